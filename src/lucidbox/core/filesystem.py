"""Writing that is whole or not at all, folders that are never overwritten, and the cache's place."""

import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.temporary import PENDING, locked, remove_abandoned, unlock

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EFBIG: "the file is larger than this system allows; write elsewhere or raise the limit",
    errno.EACCES: "no permission to write here; choose a folder of yours",
    errno.EPERM: "no permission to write here; choose a folder of yours",
    errno.EROFS: "this disk is read-only; write elsewhere",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    errno.EEXIST: "a file of this name is in the way; choose another path",
    errno.EISDIR: "this is a folder; name a file in it",
    errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """The error to raise where ``path`` could not be written: path, reason and remedy in one line."""
    reason = _REMEDIES.get(error.errno or 0) or f"{error.strerror or error}; choose another path"
    return OutputError(f"{path}: cannot be written: {reason}")


class PendingFile:
    """A file being written beside its final place, under a hidden name until it is whole.

    Attributes:
        path: where the file is to be. A symbolic link is followed, not replaced.
        temporary: where it is until :meth:`commit`: the same folder and suffix.

    Raises:
        OutputError: the folder cannot be made or written, or ``path`` is a folder or a device.
    """

    def __init__(self, path: str | Path) -> None:
        given = Path(path)
        try:
            self.path = Path(os.path.realpath(given))
            # What was given, not where it leads: /dev/stdout leads to a name that nothing has.
            if given.exists() and not given.is_file():
                raise OutputError(f"{self.path}: cannot be written: not a regular file; name a file")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.path.parent)
            self.temporary, self._lock = self._created()
        except OSError as error:
            raise output_error(given, error) from error

    def _created(self) -> tuple[Path, int | None]:
        """A new temporary file, and the lock that says it is in use."""
        while True:
            temporary = self.path.with_name(f"{PENDING}{secrets.token_hex(6)}{self.path.suffix}")
            # Not mkstemp: that gives mode 0600, and results should have the modes the user's umask says.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            lock = locked(temporary)
            if temporary.exists():  # else another process took it for abandoned before it was locked
                return temporary, lock
            unlock(lock)

    def commit(self) -> None:
        """Flush the temporary file to disk and give it its name, in one step that cannot be seen half done.

        Raises:
            OutputError: that failed; then neither name holds anything new.
        """
        try:
            # Some systems report a full disk only when they really write.
            with self.temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            self.temporary.replace(self.path)
            self._let_go()
        except OSError as error:
            self.discard()
            raise output_error(self.path, error) from error
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the temporary file, if that can be done; the final place stays as it was."""
        with suppress(OSError):  # a folder locked meanwhile; what led here is the error to tell
            self.temporary.unlink()
        self._let_go()

    def _let_go(self) -> None:
        unlock(self._lock)
        self._lock = None


def check_writable(path: str | Path) -> None:
    """Try to write a file, before the work whose result it is to hold; what is there stays as it is.

    Raises:
        OutputError: it cannot be written; names the path, the reason and the remedy.
    """
    PendingFile(path).discard()


def pending_files(folder: Path) -> list[Path]:
    """Files in a folder that are being written, or were when their writer was killed."""
    return sorted(folder.glob(f"{PENDING}*"))


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to ``path`` when the block ends well.

    On any exception, Ctrl-C included, the temporary file is removed and ``path`` is as it was before.

    Yields:
        An existing empty file in the folder of ``path`` (made if need be), with the suffix of ``path``.

    Raises:
        OutputError: the file cannot be written; names the path, the reason and the remedy.
    """
    pending = PendingFile(path)
    try:
        yield pending.temporary
    except OSError as error:
        pending.discard()
        # A failure about some other file, met while writing this one, is not about this path.
        if error.filename is None or Path(os.fsdecode(error.filename)) == pending.temporary:
            raise output_error(pending.path, error) from error
        raise
    except BaseException:
        pending.discard()
        raise
    pending.commit()


def atomic_write(path: str | Path, data: bytes | str) -> None:
    """Write a whole file at once; text as UTF-8 with the line ends it has.

    Raises:
        OutputError: the file cannot be written; whatever was at ``path`` is untouched.
    """
    content = data.encode() if isinstance(data, str) else data
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def utf8_path(path: Path) -> Iterator[str]:
    """The absolute path as text for libraries that take UTF-8 alone; of another name, a link to it.

    Raises:
        OSError: there is no place for the link, or this system makes none.
    """
    text = str(path.absolute())
    if text == text.encode(errors="replace").decode():
        yield text
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="lucidbox-") as folder:
        link = Path(folder, f"link{path.suffix.encode(errors='replace').decode()}")
        link.symlink_to(text)
        yield str(link)


def numbered_folder(base: str | Path) -> Path:
    """Make and return a new folder: ``base``, or else the first free of ``base-2``, ``base-3``, ...

    The folder is made, not looked for, so that two processes never get the same one. A base that ends without a
    name of its own, such as "." or "..", stands for the folder it leads to.

    Raises:
        OutputError: the folder cannot be made.
    """
    wanted = Path(base)
    try:
        if wanted.name in ("", ".."):
            wanted = Path(os.path.realpath(wanted))
        if not wanted.name:
            raise OutputError(f"{wanted}: nothing can be made beside the root of a disk; choose a folder in it")
        wanted.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(wanted.parent, error) from error
    for number in count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise output_error(folder, error) from error
        if number > 1:
            remove_abandoned(wanted if number == 2 else wanted.with_name(f"{wanted.name}-{number - 1}"))
        return folder
    raise AssertionError("count() never ends")


def cache_folder() -> Path:
    """Where lucidbox keeps what it can make again; the folder itself may not exist yet.

    ``LUCIDBOX_CACHE`` if set, else ``$XDG_CACHE_HOME/lucidbox``, else the platform's place for caches.

    Raises:
        OutputError: that would be in a home folder, and the system does not say where it is.
    """
    try:
        return _cache_folder()
    except RuntimeError as error:  # pathlib's word for no HOME and no entry among the system's users
        raise OutputError("the cache's place: no home folder is known; name a folder in LUCIDBOX_CACHE") from error


def _cache_folder() -> Path:
    chosen = os.environ.get("LUCIDBOX_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if Path(shared).is_absolute():  # the XDG specification says to ignore relative ones
        return Path(shared) / "lucidbox"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lucidbox"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "lucidbox" / "cache"
    return Path.home() / ".cache" / "lucidbox"


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp_of(path: str | Path) -> str:
    """A text that is another one when the file was changed: its path, length in bytes and time of last change.

    The path alone where there is no file.
    """
    absolute = Path(path).absolute()
    try:
        status = absolute.stat()
    except OSError:
        return str(absolute)
    return f"{absolute}\0{status.st_size}\0{status.st_mtime_ns}"
