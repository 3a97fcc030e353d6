"""Parquet files with a column of names, or of encoded images."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lucidbox.batch.detecting import ImageItem
from lucidbox.batch.manifest import Manifest, folder_of
from lucidbox.core.errors import DataError
from lucidbox.core.storage import absolute, open_stored, told, within


@dataclass(frozen=True)
class TabledImages(Manifest):
    """Parquet files with a column of names, or of encoded images. ``rows`` are the number of each file."""

    files: tuple[str, ...]
    rows: tuple[int, ...]
    column: str
    encoded: bool

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        """So many images from this one on."""
        begun = 0
        for uri, rows in zip(self.files, self.rows, strict=True):
            low, high = max(first - begun, 0), min(first + count - begun, rows)
            if low < high:
                yield from self._items_of(uri, low, high - low, begun)
            begun += rows

    def _items_of(self, uri: str, first: int, count: int, begun: int) -> Iterator[ImageItem]:
        with open_stored(uri) as stream, told(uri):
            file = _parquet(stream)
            columns = _columns(file.schema_arrow, self.column, self.encoded)
            at_once = 64 if self.encoded else 4096
            for row, values in enumerate(_values(file, columns, first, count, at_once), first):
                if self.encoded:
                    data, *name = values
                    yield ImageItem(name[0] if name and name[0] else f"{self.source}#{begun + row}", data or b"")
                else:
                    name_ = values[0] or ""
                    yield ImageItem(name_, place=within(self.base, name_))


def tabled_images(source: str, files: Sequence[str], column: str | None) -> TabledImages:
    """Look at Parquet files once: names are read, encoded images are not.

    Args:
        source: what the user named.
        files: paths or addresses, in order.
        column: see :func:`~lucidbox.batch.opening.open_manifest`.

    Raises:
        SourceError: one cannot be read.
        DataError: there are no rows, or one has no such column.
    """
    rows: list[int] = []
    digest, encoded = hashlib.sha256(), False
    for uri in files:
        with open_stored(uri) as stream, told(uri):
            file = _parquet(stream)
            column, encoded = _chosen(file.schema_arrow, column, uri)
            rows.append(file.metadata.num_rows)
            if encoded:
                # Reading all images to plan would double the work; the footer has sizes, places and statistics.
                digest.update(f"{file.metadata.to_dict()}".encode())
            else:
                for (name,) in _values(file, [column], 0, rows[-1]):
                    digest.update((name or "").encode() + b"\n")
    if not sum(rows):
        raise DataError(f"{source}: names no images")
    assert column is not None
    return TabledImages(
        source,
        sum(rows),
        digest.hexdigest(),
        folder_of(files[0]),
        tuple(map(absolute, files)),
        tuple(rows),
        column,
        encoded,
    )


def _parquet(stream: Any) -> Any:
    from lucidbox.core.detection_tables import pyarrow

    return pyarrow().parquet.ParquetFile(stream)


def _chosen(schema: Any, column: str | None, uri: str) -> tuple[str, bool]:
    """The column, and whether it holds encoded images."""
    wanted = [column] if column is not None else ["bytes", "uri"]
    for name in wanted:
        if name in schema.names:
            kind = str(schema.field(name).type)
            if kind in ("string", "large_string", "string_view"):
                return name, False
            if kind in ("binary", "large_binary", "binary_view") or kind.startswith("struct<bytes: binary"):
                return name, True  # the struct is how Hugging Face keeps images
            raise DataError(f"{uri}: column {name!r} is of {kind}; it must be text, or bytes of images")
    shown = ", ".join(schema.names)
    raise DataError(f"{uri}: no column {' or '.join(map(repr, wanted))}; it has {shown}: name one with --column")


def _columns(schema: Any, column: str, encoded: bool) -> list[str]:
    """The columns to read: the images' names go with encoded images, if there are some."""
    if not encoded or str(schema.field(column).type).startswith("struct"):
        return [column]
    return [column, *[name for name in ("uri", "path") if name in schema.names and name != column][:1]]


def _values(
    file: Any, columns: list[str], first: int, count: int, at_once: int = 4096
) -> Iterator[tuple[Any, ...]]:
    """Values of some rows; only the row groups that hold them are read."""
    groups, begun, skipped = [], 0, None
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if begun < first + count and begun + rows > first:
            groups.append(group)
            skipped = begun if skipped is None else skipped
        begun += rows
    batches = file.iter_batches(at_once, row_groups=groups, columns=columns)
    values = (row for one in batches for row in zip(*_flat(one, columns), strict=True))
    low = first - (skipped or 0)
    return islice(values, low, low + count)


def _flat(batch: Any, columns: list[str]) -> list[list[Any]]:
    """Values of these columns, in this order; of images as Hugging Face keeps them, bytes and paths."""
    arrays = [batch.column(name) for name in columns]
    if str(arrays[0].type).startswith("struct"):
        arrays = arrays[0].flatten()[:2]
    return [array.to_pylist() for array in arrays]
