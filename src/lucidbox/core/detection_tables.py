"""Detections of many images as Parquet files: their schema, and reading them file by file.

pyarrow (extra ``batch``) is imported when a table is read or written, not before.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np

from lucidbox.core.detections import DetectionRow, Detections
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.storage import Stored, is_folder, open_stored, read_stored, stored_files, told, within

SCHEMA_VERSION = 1
"""Of the columns and of what the metadata state; another one is refused."""

JOB_FILE = "_lucidbox.json"
"""States of a folder which of its files belong together: those whose names end with its ``suffix``."""

_KEY = b"lucidbox"
_AT_ONCE = 1000  # rows


@dataclass(frozen=True)
class TableInfo:
    """What a file of detections states about itself.

    Attributes:
        names: class names of the model.
        model: SHA-256 of the model's file.
        settings: what decided which boxes were found.
        lucidbox: version that wrote it.
        seconds: that the whole file took.
        failures: rows with an error.
        schema: version of the columns.
    """

    names: tuple[str, ...]
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    lucidbox: str = ""
    seconds: float = 0.0
    failures: int = 0
    schema: int = SCHEMA_VERSION

    def metadata(self) -> dict[bytes, bytes]:
        """As metadata of a Parquet file: one entry, JSON."""
        return {_KEY: json.dumps(asdict(self), ensure_ascii=False).encode()}


@cache
def pyarrow() -> Any:
    """The package, with its Parquet part.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise OptionError("Parquet files need pyarrow; pip install 'lucidbox[batch]'") from None
    return pyarrow


def detection_schema(info: TableInfo | None = None) -> Any:
    """The ``pyarrow.Schema`` of a table of detections; what the file states about itself is its metadata."""
    pa = pyarrow()
    return pa.schema(
        [
            pa.field("uri", pa.string(), nullable=False),
            pa.field("sha256", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("boxes", pa.list_(pa.list_(pa.float32(), 4)), nullable=False),
            pa.field("scores", pa.list_(pa.float32()), nullable=False),
            pa.field("classes", pa.list_(pa.int32()), nullable=False),
            pa.field("error", pa.string()),
            pa.field("milliseconds", pa.float32()),
        ],
        info.metadata() if info else None,
    )


def record_batch(rows: "list[DetectionRow]") -> Any:
    """Rows as a ``pyarrow.RecordBatch``."""
    pa = pyarrow()
    found = [row.detections for row in rows]
    ends = np.cumsum([0, *map(len, found)], dtype=np.int32)

    def lists(values: Any) -> Any:
        return pa.ListArray.from_arrays(pa.array(ends), values)

    boxes = np.concatenate([one.boxes for one in found] or [np.zeros((0, 4))]).astype(np.float32, copy=False)
    scores = np.concatenate([one.scores for one in found] or [np.zeros(0)]).astype(np.float32, copy=False)
    classes = np.concatenate([one.classes for one in found] or [np.zeros(0)]).astype(np.int32, copy=False)
    schema = detection_schema()
    plain = {
        name: pa.array([getattr(row, name) for row in rows], schema.field(name).type)
        for name in ("uri", "sha256", "width", "height", "error", "milliseconds")
    }
    listed = {
        "boxes": lists(pa.FixedSizeListArray.from_arrays(pa.array(boxes.reshape(-1)), 4)),
        "scores": lists(pa.array(scores)),
        "classes": lists(pa.array(classes)),
    }
    return pa.RecordBatch.from_arrays([(plain | listed)[name] for name in schema.names], schema=schema)


@dataclass(frozen=True)
class DetectionTable:
    """One Parquet file of detections, read in pieces.

    Attributes:
        uri: where it is.
        names: class names, for files that do not state any.
    """

    uri: str
    names: tuple[str, ...] | None = None

    def info(self) -> TableInfo:
        """What the file states about itself.

        Raises:
            SourceError: it cannot be read.
            DataError: it is no table of detections, or of another version.
        """
        with open_stored(self.uri) as stream, told(self.uri):
            return self._checked(pyarrow().parquet.read_schema(stream))

    def batches(self, columns: list[str] | None = None) -> Iterator[Any]:
        """The rows as record batches (``pyarrow.RecordBatch``) of at most 1,000.

        Args:
            columns: only these.

        Raises:
            SourceError, DataError: as for :meth:`info`.
        """
        with open_stored(self.uri) as stream, told(self.uri):
            file = pyarrow().parquet.ParquetFile(stream)
            self._checked(file.schema_arrow)
            yield from file.iter_batches(_AT_ONCE, columns=columns)

    def rows(self) -> Iterator[DetectionRow]:
        """Image by image.

        Raises:
            SourceError, DataError: as for :meth:`info`.
        """
        names = self.info().names
        for batch in self.batches():
            yield from _rows_of(batch, names)

    def _checked(self, schema: Any) -> TableInfo:
        wanted = detection_schema()
        stated = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
        if stated.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise DataError(
                f"{self.uri}: schema {stated['schema']}; this lucidbox reads {SCHEMA_VERSION}: use the version"
                f" that wrote it ({stated.get('lucidbox')})"
            )
        for column in wanted:
            if column.name not in schema.names:
                raise DataError(f"{self.uri}: no column {column.name!r}; not a file of detections by lucidbox")
        if "names" not in stated and self.names is None:
            raise DataError(f"{self.uri}: states no class names; not written by lucidbox")
        given = {name: value for name, value in stated.items() if name in TableInfo.__dataclass_fields__}
        return TableInfo(**given | {"names": tuple(stated.get("names", self.names))})


def _rows_of(batch: Any, names: tuple[str, ...]) -> Iterator[DetectionRow]:
    """Rows of a batch; arrays are views into it."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    plain = {
        name: columns[name].to_pylist() for name in ("uri", "sha256", "width", "height", "error", "milliseconds")
    }
    ends = columns["boxes"].offsets.to_numpy()
    # flatten() heeds offsets of slices, the values themselves start at the first row's.
    boxes = columns["boxes"].flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    scores = columns["scores"].flatten().to_numpy(zero_copy_only=False)
    classes = columns["classes"].flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    ends = ends - ends[0]
    for row in range(batch.num_rows):
        part = slice(ends[row], ends[row + 1])
        found = Detections(boxes[part], scores[part], classes[part], names)
        one = {name: values[row] for name, values in plain.items()}
        yield DetectionRow(
            one["uri"], one["sha256"], one["width"], one["height"], found, one["error"], one["milliseconds"]
        )


def job_of(folder: str) -> dict[str, Any] | None:
    """What the job file of a folder states; None where there is none.

    Raises:
        SourceError: it cannot be read.
        DataError: it is not one of lucidbox.
    """
    place = within(folder, JOB_FILE)
    with told(place):
        try:
            content = read_stored(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        stated: dict[str, Any] = json.loads(content)
        if stated["schema"] != SCHEMA_VERSION or not isinstance(stated["suffix"], str):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{place}: not written by this version of lucidbox batch; choose another folder") from None
    return stated


def is_table(uri: str) -> bool:
    """Whether a name is that of a Parquet file, or of a folder that holds some."""
    if uri.lower().endswith((".parquet", ".pq")):
        return True
    return is_folder(uri) and any(one.name.endswith(".parquet") for one in stored_files(uri))


def tables(uri: str, names: tuple[str, ...] | None = None) -> list[DetectionTable]:
    """The tables that a name stands for: a Parquet file, or a folder of them, of whose job alone if it has one.

    Args:
        uri: of the file or folder.
        names: class names, for files that do not state any.

    Raises:
        SourceError: it cannot be listed.
        DataError: there is none.
    """
    if not is_folder(uri):
        return [DetectionTable(uri, names)]
    found = [DetectionTable(one.uri, names) for one in table_files(uri, job_of(uri))]
    if not found:
        raise DataError(f"{uri}: no Parquet files of detections in this folder")
    return found


def table_files(folder: str, job: Mapping[str, Any] | None) -> list[Stored]:
    """The Parquet files of a folder; where it has a job, its own only."""
    suffix = job["suffix"] if job else ".parquet"
    return [one for one in stored_files(folder) if one.name.endswith(suffix)]
