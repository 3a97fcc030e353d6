"""Temporary files and folders, locked while in use; so those that killed processes left are known, and removed."""

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PENDING = ".lucidbox-"
"""How the hidden names of unfinished files and folders begin."""

_PENDING_NAME = re.compile(r"\.lucidbox-[0-9a-z_]{8,12}(\.[^.]*)?")
_looked_through: set[Path] = set()


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder for unfinished work, hidden and closed to others, which is gone after the block.

    Raises:
        OSError: it cannot be made.
    """
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PENDING, dir=parent))
    lock = locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        unlock(lock)


def remove_abandoned(folder: Path) -> None:
    """Remove unfinished files and folders in a folder whose writers were killed; those in use are locked.

    Once a folder and process: a folder may have very many files.
    """
    if sys.platform == "win32" or folder in _looked_through:
        return
    _looked_through.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PENDING_NAME.fullmatch(entry.name):
                _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(path: Path) -> None:
    import fcntl

    with suppress(OSError):  # in use, or not ours to remove
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(kind):
                shutil.rmtree(path)
            elif stat.S_ISREG(kind):
                with path.open("rb", buffering=0) as other:
                    other.read(1)  # an error on shares where what is in use may be unlocked, see below
                path.unlink()
        finally:
            os.close(descriptor)


def locked(path: Path) -> int | None:
    """A descriptor that holds a lock, which ends with the process at the latest; None where there are no locks.

    On some network shares a lock keeps out all other descriptors, our own too. There, nothing is locked.

    Args:
        path: a new empty file, or a folder.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.is_file():
            with path.open("rb+", buffering=0) as other:
                other.write(b"0")
                other.truncate(0)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def unlock(descriptor: int | None) -> None:
    """Give back what :func:`locked` gave."""
    if descriptor is not None:
        os.close(descriptor)
