"""Locks on folders, which end with the process that holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucidbox.core.errors import OutputError

_held: set[int] = set()


@contextmanager
def alone_in(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other processes, and other threads of this one, out of such a block with this folder.

    Args:
        folder: exists.
        wait: for the end of the block that another one is in.

    Yields:
        Whether that is sure: some systems and file systems have no such locks.

    Raises:
        OutputError: another one is in such a block, and ``wait`` is false.
    """
    try:
        import fcntl

        # The folder itself: a file to lock would have to stay there for good.
        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield False
        return
    _held.add(descriptor)
    try:
        locked = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise OutputError(
                f"{folder}: another process is at work in this folder; wait for its end, or choose another folder"
            ) from None
        except OSError:
            locked = False
        yield locked
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _let_go() -> None:
    """In a forked child: its copies would hold the locks for longer than the process that took them."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
