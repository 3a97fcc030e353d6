"""What is to be looked at: a folder, a pattern, a text file or Parquet files, as numbered images."""

import glob
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lucidbox.batch.detecting import ImageItem
from lucidbox.core.errors import DataError, OptionError, SourceError
from lucidbox.core.file_names import PICTURE_EXTENSIONS
from lucidbox.core.storage import (
    absolute,
    exists,
    is_address,
    is_folder,
    local_path,
    matching,
    open_stored,
    stored_files,
    told,
    within,
)

STEP = 1000
"""Lines between those whose place in a text file is remembered."""


@dataclass(frozen=True)
class Manifest(ABC):
    """Numbered images. Small, whatever it names, and may be pickled: other processes read their part themselves.

    Attributes:
        source: what the user named.
        count: number of images.
        hash: SHA-256 of what it names, as 64 hexadecimal digits; the same for the same names in another form.
        base: folder that relative names begin at.
    """

    source: str
    count: int
    hash: str
    base: str

    @abstractmethod
    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        """So many images from this one on.

        Raises:
            SourceError: the manifest cannot be read any more.
        """


@dataclass(frozen=True)
class _Named(Manifest):
    """Names in memory, of a folder's files."""

    names: tuple[str, ...]

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        return (ImageItem(name, place=within(self.base, name)) for name in self.names[first : first + count])


@dataclass(frozen=True)
class _Listed(Manifest):
    """A text file of names, one a line. ``places`` are the bytes at which every 1,000th of them begins."""

    places: tuple[int, ...]

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        if count < 1:
            return
        uri = within(self.base, self.source.rpartition("/")[2])
        with open_stored(uri) as stream, told(uri):
            stream.seek(self.places[first // STEP])
            names = islice(filter(None, map(_name_in, stream)), first % STEP, first % STEP + count)
            for name in names:
                text = _text(name, self.source)
                yield ImageItem(text, place=within(self.base, text))


@dataclass(frozen=True)
class _Tabled(Manifest):
    """Parquet files with a column of names, or of encoded images. ``rows`` are the number of each file."""

    files: tuple[str, ...]
    rows: tuple[int, ...]
    column: str
    encoded: bool

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
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


def open_manifest(source: str, *, column: str | None = None) -> Manifest:
    """Number the images that a name stands for. Their files are not looked at.

    Args:
        source: a folder, a pattern with ``*`` or ``?``, a text file (``.txt``) with one path or address a line, a
            Parquet file (or folder, or pattern of such) or one image; by path or address. Relative names in a
            manifest begin at its own folder. Folders of object storage are looked into to the end, those of this
            machine are not.
        column: of Parquet, the column of names or of encoded images; by default ``bytes``, else ``uri``.

    Raises:
        SourceError: it cannot be read.
        DataError: it names no image, or has no such column.
    """
    if not source:
        raise SourceError("an empty name is no manifest")
    lower = source.lower()
    if glob.has_magic(source):
        return _of_files(source, _matched(source), column)
    if is_folder(source):
        return _of_files(source, _held(source), column)
    if lower.endswith(".txt"):
        _no_column(column, source)
        return _listed(source)
    if not exists(source):
        raise SourceError(f"{source}: does not exist")
    return _of_files(source, [source], column)


def _of_files(source: str, names: Sequence[str], column: str | None) -> Manifest:
    """A manifest of files: Parquet is read as manifests, other files are the images themselves."""
    if names and all(name.lower().endswith((".parquet", ".pq")) for name in names):
        return _tabled(source, names, column)
    _no_column(column, source)
    base = "" if is_address(source) else str(Path.cwd())
    count, digest = _counted(source, (os.fsencode(name) for name in names))
    return _Named(source, count, digest, base, tuple(names))


def _no_column(column: str | None, source: str) -> None:
    if column is not None:
        raise OptionError(f"--column {column}: {source} is no Parquet file")


def _held(folder: str) -> list[str]:
    """Images in a folder, or, if there are only such, its Parquet files."""
    from lucidbox.sources.files import find_in_folder

    here = local_path(folder)
    files = [one.uri for one in stored_files(folder, deep=here is None)]
    if files and all(name.lower().endswith((".parquet", ".pq")) for name in files):
        return files
    if here is not None:
        return [str(path) for path in find_in_folder(here, recursive=False).pictures]
    return [name for name in files if _is_image(name)]


def _matched(pattern: str) -> list[str]:
    from lucidbox.sources.files import find_by_pattern

    here = local_path(pattern)
    # Path.glob takes no absolute pattern.
    found = matching(pattern) if here is None else sorted(glob.glob(str(here), recursive=True))  # noqa: PTH207
    if found and all(name.lower().endswith((".parquet", ".pq")) for name in found):
        return found
    if here is not None:
        return [str(path) for path in find_by_pattern(str(here)).pictures]
    return [name for name in found if _is_image(name)]


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in PICTURE_EXTENSIONS


def _counted(
    source: str, names: Iterable[bytes], note: Callable[[int], None] = lambda row: None
) -> tuple[int, str]:
    """Number and hash of names.

    Args:
        source: what they come from, for errors.
        names: in order.
        note: called with the number of each before it is counted.

    Raises:
        DataError: there are none.
    """
    digest, count = hashlib.sha256(), 0
    for name in names:
        note(count)
        digest.update(name + b"\n")
        count += 1
    if not count:
        raise DataError(f"{source}: names no images")
    return count, digest.hexdigest()


def _listed(source: str) -> Manifest:
    places: list[int] = []
    with open_stored(source) as stream, told(source):
        count, digest = _counted(source, _placed(stream, places))
    return _Listed(source, count, digest, _parent(source), tuple(places))


def _placed(stream: Any, places: list[int]) -> Iterator[bytes]:
    """The names in a text file; the bytes at which every 1,000th begins go into ``places``."""
    place = row = 0
    for line in stream:
        name = _name_in(line)
        if name:
            if row % STEP == 0:
                places.append(place)
            row += 1
            yield name
        place += len(line)


def _name_in(line: bytes) -> bytes:
    """The name on a line; nothing for empty lines and comments, which begin with ``#``."""
    name = line.strip().removeprefix(b"\xef\xbb\xbf")
    return b"" if name[:1] == b"#" else name


def _text(name: bytes, source: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise DataError(f"{source}: {name!r} is not UTF-8; write the manifest as UTF-8") from None


def _tabled(source: str, files: Sequence[str], column: str | None) -> Manifest:
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
    return _Tabled(
        source,
        sum(rows),
        digest.hexdigest(),
        _parent(files[0]),
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
    values = (row for one in batches for row in zip(*[column.to_pylist() for column in _flat(one)], strict=True))
    low = first - (skipped or 0)
    return islice(values, low, low + count)


def _flat(batch: Any) -> list[Any]:
    """The columns of a batch; of an image as Hugging Face keeps it, its bytes and its path."""
    first = batch.columns[0]
    return first.flatten()[:2] if str(first.type).startswith("struct") else batch.columns


def _parent(uri: str) -> str:
    """The folder of a file, absolute, so that other processes find the same."""
    path = local_path(uri)
    return uri[: uri.rindex("/") + 1] if path is None else str(path.absolute().parent)
