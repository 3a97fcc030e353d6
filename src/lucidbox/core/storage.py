"""Files on this machine or in object storage, named by a path or an address such as ``s3://bucket/key``.

Paths and ``file://`` are read and written without any package; other addresses go through fsspec (extra ``batch``)
and the package that it names for each, such as s3fs.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from lucidbox.core.errors import LucidboxError, OutputError, SourceError
from lucidbox.core.filesystem import atomic_write

LONGEST_OBJECT = 2**30
"""Bytes that are read of one object at most: an image of more is none that could be decoded."""

_PUT_IF_ABSENT = frozenset({"s3", "s3a", "gs", "gcs", "memory", "abfs", "abfss", "az"})
"""Stores that write a whole object in one request, and refuse it where one of this name exists."""


@dataclass(frozen=True)
class Stored:
    """A file in a folder. ``uri`` is in the form in which the folder was named, ``name`` is below it."""

    uri: str
    name: str


def is_address(name: str) -> bool:
    """Whether a name is an address, not a path."""
    return "://" in name


def local_path(uri: str | Path) -> Path | None:
    """The path that a name stands for; None where it leads to another store."""
    text = str(uri)
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    return None if is_address(text) else Path(text)


def absolute(uri: str) -> str:
    """A name by which other processes, in other folders, find the same."""
    path = local_path(uri)
    return uri if path is None else str(path.absolute())


def within(folder: str, name: str) -> str:
    """A name within a folder; names that are absolute, or addresses, stand for themselves."""
    if not folder or is_address(name) or Path(name).is_absolute():
        return name
    if not is_address(folder):
        return str(Path(folder, name))
    return f"{folder}{name}" if folder.endswith("/") else f"{folder}/{name}"


def read_stored(uri: str) -> bytes:
    """The content of a file, in one request.

    Raises:
        OSError: it is missing, cannot be read, or is longer than ``LONGEST_OBJECT``; as other errors of the
            stores' packages.
    """
    path = local_path(uri)
    if path is not None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError("is a folder or device, not a file")
        size = status.st_size  # a file that grows meanwhile is read as long as it is then
        data = path.read_bytes() if size < LONGEST_OBJECT else b""
    else:
        filesystem, place = _opened(uri)
        data = _within_limit(filesystem, place)
        size = len(data)
    if size >= LONGEST_OBJECT:
        raise OSError(f"more than {LONGEST_OBJECT >> 20} MiB")
    return data


def _within_limit(filesystem: Any, place: str) -> bytes:
    try:
        return bytes(filesystem.cat_file(place, start=0, end=LONGEST_OBJECT))
    except OSError as error:
        # Stores have no range in an object of no bytes, and say so.
        if isinstance(error, (FileNotFoundError, PermissionError)) or "range" not in str(error).lower():
            raise
        return b""


@contextmanager
def open_stored(uri: str) -> Iterator[IO[bytes]]:
    """A file opened for reading, also at random; what goes wrong while reading, :func:`told` turns into a line.

    Raises:
        SourceError: it is missing or cannot be opened; names it, and the remedy.
    """
    with told(uri):
        path = local_path(uri)
        if path is not None:
            stream = path.open("rb")
        else:
            filesystem, place = _opened(uri)
            stream = filesystem.open(place, "rb")
    with stream:
        yield stream


def is_folder(uri: str) -> bool:
    """Whether a name is a folder; object stores call so what names of objects begin with.

    Raises:
        SourceError: the store cannot be asked.
    """
    return _is(uri, "dir")


def exists(uri: str) -> bool:
    """Whether there is a file of this name.

    Raises:
        SourceError: the store cannot be asked.
    """
    return _is(uri, "file")


def _is(uri: str, kind: Literal["file", "dir"]) -> bool:
    """What a path's ``is_file`` or ``is_dir`` says, or a store's ``isfile`` or ``isdir``, asked anew."""
    with told(uri):
        path = local_path(uri)
        if path is not None:
            return path.is_file() if kind == "file" else path.is_dir()
        filesystem, place = _opened(uri)
        filesystem.invalidate_cache()
        return bool(getattr(filesystem, f"is{kind}")(place))


def stored_files(folder: str, *, deep: bool = False) -> list[Stored]:
    """Files in a folder, by name; hidden ones, which may be half written, are left out. None if it is missing.

    Args:
        folder: where to look.
        deep: look into folders within folders, too.

    Raises:
        SourceError: it cannot be listed.
    """
    with told(folder):
        path = local_path(folder)
        if path is not None and not deep:
            return _files_here(folder, path)
        filesystem, place = _opened(folder)
        filesystem.invalidate_cache()
        try:
            found = filesystem.find(place, maxdepth=None if deep else 1)
        except FileNotFoundError:
            return []
        root = place.rstrip("/")
        return [
            Stored(within(folder, name), name)
            for key in sorted(found)
            if (name := key[len(root) :].lstrip("/")) and not any(part[0] == "." for part in name.split("/"))
        ]


def _files_here(folder: str, path: Path) -> list[Stored]:
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
    return [Stored(within(folder, name), name) for name in names]


def matching(pattern: str) -> list[str]:
    """Addresses of the files that a pattern in an object store matches, by name.

    Raises:
        SourceError: the store cannot be listed.
    """
    with told(pattern):
        filesystem, place = _opened(pattern)
        return [cast(str, filesystem.unstrip_protocol(key)) for key in sorted(filesystem.glob(place))]


def commit(uri: str, data: bytes, *, replace: bool = False) -> bool:
    """Write a whole file in one step that nobody sees half done.

    On a disk it is written under a hidden name and renamed; stores of objects take it in one request.

    Args:
        uri: where to.
        data: all of it.
        replace: write over a file of this name.

    Returns:
        Whether it was written; not where a file of this name exists and ``replace`` is not asked for. Two that
        write the same new name at one time may both hear that they did; the file is whole, from one of them.

    Raises:
        OutputError: it cannot be written; names the address, the reason and the remedy.
    """
    path = local_path(uri)
    if path is not None:
        if not replace and path.exists():
            return False
        atomic_write(path, data)
        return True
    try:
        filesystem, place = _opened(uri)
        if uri.split("://", 1)[0] in _PUT_IF_ABSENT:
            filesystem.pipe_file(place, data, mode="overwrite" if replace else "create")
            return True
        return _commit_by_moving(filesystem, place, data, replace)
    except FileExistsError:
        return False
    except LucidboxError:
        raise
    except Exception as error:
        raise OutputError(f"{uri}: cannot be written: {reason(error)}") from error


def _commit_by_moving(filesystem: Any, place: str, data: bytes, replace: bool) -> bool:
    """For stores that rename in one step, as HDFS does, and know no condition on writing."""
    import secrets

    if not replace and filesystem.exists(place):
        return False
    folder, _, name = place.rpartition("/")
    temporary = f"{folder}/.lucidbox-{secrets.token_hex(6)}-{name}"
    filesystem.makedirs(folder, exist_ok=True)
    try:
        filesystem.pipe_file(temporary, data)
        filesystem.mv(temporary, place)
    finally:
        if filesystem.exists(temporary):
            filesystem.rm_file(temporary)
    return True


def _opened(uri: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise SourceError(f"{uri}: addresses need fsspec; pip install 'lucidbox[batch]'") from None
    try:
        filesystem, place = url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise SourceError(f"{uri}: {reason(error)}") from error
    return filesystem, place


@contextmanager
def told(uri: str) -> Iterator[None]:
    """What goes wrong while reading from a store, as one line that names the address.

    Raises:
        SourceError: whatever the store's package raised.
    """
    try:
        yield
    except LucidboxError:
        raise
    except Exception as error:
        raise SourceError(f"{uri}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, and what to do about it, in one line."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "no permission; check the rights of this user, or the store's credentials"
    if type(error).__name__ in ("NoCredentialsError", "DefaultCredentialsError"):
        return "no credentials for this store; set them up as its own tools ask for"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())
