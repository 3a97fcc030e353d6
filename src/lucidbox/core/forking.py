"""Forks that wait until the threads of libraries rest.

A fork copies the memory and one thread. A lock that another thread holds in that moment stays taken in the child,
which hangs when it needs that lock. OpenCV's and OpenVINO's threads hold some for a moment after their work is
done, and so does a thread of Python's in which OpenVINO has worked, after its ``join`` has returned.
"""

import os
import threading
import time
from functools import cache
from pathlib import Path

_TASKS = Path("/proc/self/task")  # of Linux; elsewhere nothing is waited for

_LONGEST = 1.0  # seconds: a thread needs microseconds to rest, on a busy machine milliseconds


@cache
def forks_wait_for_libraries() -> None:
    """From now on a fork of this process waits until no thread works that Python does not list, a second at most.

    What Python's own threads do is the program's to know.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait)


def _wait() -> None:
    until, looks = time.monotonic() + _LONGEST, 0
    # Twice: a thread passed over as resting may go on before the last one that works is looked at.
    while looks < 2 and time.monotonic() < until:
        listed = {str(thread.native_id) for thread in threading.enumerate()}
        looks = 0 if any(_works(task) for task in _tasks() if task.name not in listed) else looks + 1
        time.sleep(0.0005 * (looks < 2))


def _tasks() -> list[Path]:
    return list(_TASKS.iterdir()) if _TASKS.exists() else []


def _works(task: Path) -> bool:
    try:
        state = (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:  # it has ended meanwhile
        return False
    return state in "RD"  # on a core or waiting for one; or for the disk, such as for a page of memory
