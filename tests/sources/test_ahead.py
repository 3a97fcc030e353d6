"""A source read by a thread of its own: nothing lost of a file, the newest of what is live, no thread left."""

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import SourceError
from lucidbox.sources import Failure, Picture, open_sources
from lucidbox.sources.ahead import ahead, newest


class Tape:
    """Items that count how many were asked for, wait for a gate where told to, and know when they are closed."""

    def __init__(self, count, gates=None):
        self.asked = 0
        self.closed_by = None
        self._count, self._gates = count, gates or {}
        self.progress = threading.Condition()

    def __iter__(self):
        try:
            for item in range(self._count):
                if item in self._gates:
                    assert self._gates[item].wait(60)
                with self.progress:
                    self.asked = item + 1
                    self.progress.notify_all()
                yield item
        finally:
            self.closed_by = threading.current_thread()

    def wait_for(self, asked):
        with self.progress:
            assert self.progress.wait_for(lambda: self.asked >= asked, 60)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "lucidbox-reader"]


def test_every_item_comes_in_order():
    assert list(ahead(range(200), 3)) == list(range(200))
    assert readers() == []


def test_no_more_is_read_than_there_is_room_for():
    tape = Tape(100)
    items = ahead(tape, 4)
    for taken in range(20):
        assert next(items) == taken
        # One more than the shelf holds is in the thread's hand.
        assert tape.asked <= taken + 1 + 4 + 1
    tape.wait_for(20 + 4 + 1)
    assert tape.asked == 25
    items.close()
    assert tape.asked <= 26


def test_leaving_ends_the_thread_which_closes_what_it_reads():
    tape = Tape(10**9)
    items = ahead(tape, 2)
    assert next(items) == 0
    (reader,) = readers()
    items.close()
    assert not reader.is_alive()
    assert tape.closed_by is reader
    assert readers() == []


@pytest.mark.parametrize("read", [lambda items: ahead(items, 2), newest])
def test_an_error_comes_after_what_came_before_it(read):
    def items():
        yield 1
        raise ValueError("broken")

    reading = read(items())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="broken"):
        next(reading)
    assert readers() == []


def test_of_a_live_source_the_newest_comes_and_older_ones_are_dropped():
    second, last = threading.Event(), threading.Event()
    tape = Tape(8, {1: second, 7: last})
    items = newest(tape)
    assert next(items) == 0
    second.set()
    tape.wait_for(7)  # 5 lies there, and 6 is about to, or does
    seen = [next(items)]
    assert seen[0] in (5, 6)
    last.set()
    seen += items
    assert seen == sorted(set(seen))
    assert seen[-1] == 7
    assert readers() == []


def test_failures_of_a_live_source_are_never_dropped():
    lost = [Failure("camera:0", SourceError(f"camera:0: {index}"), passing=True) for index in range(3)]
    read = threading.Event()

    def tape():
        yield from [1, lost[0], 2, lost[1], 3, lost[2], 4]
        read.set()

    items = newest(tape())
    first = next(items)
    assert read.wait(5)
    assert [item for item in [first, *items] if isinstance(item, Failure)] == lost


def test_a_reader_that_never_drops_is_not_newest():
    """What tells the two apart: a slow taker of ``ahead`` gets everything."""
    tape = Tape(8)
    items = ahead(tape, 8)
    first = next(items)
    tape.wait_for(8)
    assert [first, *items] == list(range(8))


def test_unread_items_are_the_items(tmp_path):
    """Files, a video and what cannot be read: the same, in the same order, read later and in any thread."""
    Image.fromarray(np.full((8, 9, 3), 7, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    writer = cv2.VideoWriter(
        str(tmp_path / "c.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    for shade in range(0, 200, 20):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    sources = open_sources([tmp_path, tmp_path / "gone.png"])
    unread = list(sources.lazy_items())
    with ThreadPoolExecutor(3) as pool:
        read = list(pool.map(lambda item: item(), unread))
    expected = list(sources)
    assert [type(item) for item in read] == [Picture, Failure] + [Picture] * 10 + [Failure]
    assert [item.source for item in read] == [item.source for item in expected]
    for one, other in zip(read, expected, strict=True):
        if isinstance(one, Picture):
            assert (one.name, one.frame, one.time) == (other.name, other.frame, other.time)
            assert np.array_equal(one.pixels, other.pixels)
    assert readers() == []
