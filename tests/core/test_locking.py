"""Locks on folders: one block at a time, and none that outlives its process."""

import os
import signal
import time

import pytest

from lucidbox.core.errors import OutputError
from lucidbox.core.locking import alone_in

fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")


def test_one_at_a_time(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with alone_in(tmp_path) as alone:
        assert alone
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(OutputError, match="another process is at work"), alone_in(tmp_path, wait=False):
            pass
    with alone_in(tmp_path, wait=False) as alone:
        assert alone
    os.close(descriptor)


def test_without_the_folder_nothing_is_sure(tmp_path):
    with alone_in(tmp_path / "nowhere") as alone:
        assert not alone


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_hold_it(tmp_path):
    """As workers of a training that was killed: they live on for some seconds."""
    begun, end = os.pipe()
    with alone_in(tmp_path):
        child = os.fork()
        if not child:
            os.write(end, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(begun, 1)
    with alone_in(tmp_path, wait=False) as alone:
        assert alone
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
