"""Every frame of a saved video is shown at its own time, whatever the source's clock."""

import os
import sys
from contextlib import suppress

import cv2
import numpy as np
import pytest

from lucidbox.core.errors import OutputError
from lucidbox.save.video import VideoSaver

CLOCKS = {
    "even": np.arange(12) / 25,
    "a camera slower than it states": np.arange(12) * 0.51,
    "slow motion": np.arange(40) / 262.77,
    "a frame a minute": np.arange(5) * 60.0,
    "uneven": np.cumsum([0, 0.04, 0.04, 0.52, 0.48, 0.033, 0.7, 0.01, 2.5, 0.04]),
    "a gap": np.array([0, 1, 2, 3, 153, 154.0]),
    "days": np.array([0, 90_000, 400_000.0]),
}


def save(path, times):
    with VideoSaver(path, 25, (64, 48)) as video:
        for index, time in enumerate(times):
            video.write(np.full((48, 64, 3), 6 * index, np.uint8), time)


def shown(path):
    """Seconds at which each frame is shown, from the first one on, and its brightness."""
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    times, greys = [], []
    while reader.grab():
        times.append(reader.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        greys.append(reader.retrieve()[1].mean())
    return times, greys


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_every_frame_at_its_time(tmp_path, name, clock, capfd):
    save(tmp_path / name, CLOCKS[clock])
    times, greys = shown(tmp_path / name)
    assert times == pytest.approx(CLOCKS[clock].tolist(), abs=0.002)
    assert greys == pytest.approx([6 * index for index in range(len(times))], abs=4)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("times", [[0, 0.2, 0.1, 0.1, 0.4], [0, 0, 0], [5, 1, 2], [0, 1e12], [-3, 0, 1]])
def test_times_that_no_video_can_have_lose_no_frame(tmp_path, name, times):
    save(tmp_path / name, times)
    found, _ = shown(tmp_path / name)
    assert len(found) == len(times)
    assert found == sorted(found)


def test_a_late_first_frame_waits(tmp_path):
    """FFmpeg's reader takes the first frame's time for zero; the file's own edit list holds it."""
    save(tmp_path / "a.mp4", [1.5, 2.0])
    content = (tmp_path / "a.mp4").read_bytes()
    edits = content[content.index(b"elst") + 8 :]
    assert [int.from_bytes(edits[place : place + 4], "big") for place in (0, 4, 8, 16)] == [
        2,
        1500,
        2**32 - 1,
        1000,
    ]


def test_the_last_frame_stays_as_long_as_the_one_before(tmp_path):
    save(tmp_path / "a.mp4", [0, 0.5, 1.0])
    reader = cv2.VideoCapture(str(tmp_path / "a.mp4"), cv2.CAP_FFMPEG)
    assert reader.get(cv2.CAP_PROP_FPS) == pytest.approx(2)


def test_webm_is_what_its_name_says(tmp_path):
    save(tmp_path / "a.webm", [0, 0.5, 1.0])
    header = (tmp_path / "a.webm").read_bytes()[:1000]
    assert b"\x42\x82\x84webm" in header
    assert b"V_VP8" in header
    assert b"matroska" not in header


def test_a_webm_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.webm").mkdir()
    with pytest.raises(OutputError, match="not a regular file"):
        VideoSaver(tmp_path / "a.webm", 25, (64, 48)).__enter__()
    with pytest.raises(OutputError, match="16383 is the longest side"):
        VideoSaver(tmp_path / "b.webm", 25, (20_000, 100)).__enter__()
    with suppress(KeyError), VideoSaver(tmp_path / "c.webm", 25, (64, 48)) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["a.webm"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-16, or UTF-8, there")
@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"d\xff/\xfe.webm"])
def test_names_that_are_not_utf8(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    save(path, [0, 0.25])
    path.rename(tmp_path / "plain")
    assert shown(tmp_path / "plain")[0] == [0, 0.25]
