"""Forks wait for threads that Python does not know; two libraries' locks that hung children are the reason."""

import subprocess
import sys

import pytest

from lucidbox.core import forking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what threads do")


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """Function that gives states to threads, look by look, and what each look of a wait then found."""

    def wait(*states, longest=60):
        found, left = [], list(states)

        def tasks():
            found.append(left.pop(0) if len(left) > 1 else left[0])
            for number, letter in enumerate(found[-1], start=10**9):  # of no thread of Python's
                (tmp_path / f"{number}").mkdir(exist_ok=True)
                (tmp_path / f"{number}" / "stat").write_text(f"{number} (a R) R) {letter} 1 2 3")
            return list(tmp_path.iterdir())

        monkeypatch.setattr(forking, "_tasks", tasks)
        monkeypatch.setattr(forking, "_LONGEST", longest)
        forking._wait()
        return found

    return wait


@pytest.mark.parametrize("resting", ["S", "I", "Z", "t"])
def test_two_looks_do_where_all_rest(looks, resting):
    assert looks("S" + resting) == ["S" + resting] * 2


@pytest.mark.parametrize("working", ["R", "D"])
def test_it_looks_until_two_looks_in_a_row_find_none_at_work(looks, working):
    busy = "S" + working
    assert looks(busy, "SS", busy, busy, "SS", "SS") == [busy, "SS", busy, busy, "SS", "SS"]


def test_it_goes_on_where_a_thread_works_for_long(looks):
    assert set(looks("R", longest=0.01)) <= {"R"}


def test_a_thread_that_has_ended_does_not_work(tmp_path):
    assert not forking._works(tmp_path / "7")


REAL = """
import ctypes, os, threading
from lucidbox.core import forking

forking._LONGEST = 60
forking.forks_wait_for_libraries()
library, thread, stop = ctypes.CDLL(None), ctypes.c_ulong(), threading.Event()

def work():
    while not stop.is_set():
        pass

python = threading.Thread(target=work)  # at work, and not waited for
python.start()
before = set(os.listdir("/proc/self/task"))
spaces = ctypes.create_string_buffer(b" " * 100_000_000)  # are passed over one by one, in a tenth of a second
assert library.pthread_create(ctypes.byref(thread), None, library.atoi, spaces) == 0
if os.fork() == 0:
    os._exit(0)
print(len(set(os.listdir("/proc/self/task")) - before))
stop.set()
"""


def test_a_fork_waits_for_a_thread_that_is_none_of_pythons():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", REAL], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n", done


REGISTERED = """
import os, sys
before = []
os.register_at_fork = lambda **hooks: before.append(hooks.get("before"))
from lucidbox.core import forking

if sys.argv[1] == "Detector":
    from lucidbox import Detector
    Detector(None, ("red",))
else:
    from lucidbox.engines.openvino import shared_core
    shared_core()
assert forking._wait in before
"""


@pytest.mark.parametrize("user", ["Detector", "OpenVINO"])
def test_who_uses_such_libraries_lets_forks_wait(user):
    subprocess.run([sys.executable, "-W", "ignore", "-c", REGISTERED, user], check=True)
