"""``lucidbox predict`` of videos: the saved ones have the source's clock, and what is lost is told."""

import json
import os
import sys

import cv2
import numpy as np
import pytest

from lucidbox.core.errors import SourceError
from lucidbox.save.video import VideoSaver
from lucidbox.sources import Camera, Failure, Picture

TIMES = [0, 0.04, 0.08, 0.6, 1.1, 1.133, 3.0]


@pytest.fixture
def film(tmp_path):
    """A video with frames at uneven times."""
    noise = np.random.default_rng(0)
    with VideoSaver(tmp_path / "film.mp4", 25, (160, 96)) as video:
        for time in TIMES:
            video.write(noise.integers(0, 256, (96, 160, 3), dtype=np.uint8), time)
    return tmp_path / "film.mp4"


def times_of(path):
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    times = []
    while reader.grab():
        times.append(reader.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return times


@pytest.mark.parametrize(("option", "name"), [((), "film.mp4"), (("--webm",), "film.webm")])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_saved_video_has_the_clock_of_its_source(predict, film, tmp_path, option, name, stride):
    code, out, err = predict(film, "--json", "--save", tmp_path / "out", "--video-stride", str(stride), *option)
    assert code == 0
    assert [json.loads(line)["time"] for line in out.splitlines()] == pytest.approx(TIMES[::stride], abs=1e-3)
    assert times_of(tmp_path / "out" / name) == pytest.approx(TIMES[::stride], abs=2e-3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert ("browsers do not play these MP4 videos" in err) == (not option)


def test_a_picture_says_nothing_of_browsers(predict, noise):
    assert "browsers" not in predict(noise())[1]


def test_a_video_that_lost_frames_is_exit_code_1_and_one_line(predict, film, tmp_path):
    content = film.read_bytes()
    third = content.split(b"\0\0\1\xb6")[3]  # each frame begins with this
    film.write_bytes(content.replace(b"\0\0\1\xb6" + third, bytes(4 + len(third))))
    code, out, err = predict(film, "--json", "--save", tmp_path / "out")
    *images, failure = map(json.loads, out.splitlines())
    frames, lost = len(images), len(TIMES) - len(images)
    assert code == 1
    assert 0 < lost < len(TIMES)
    assert [line for line in err.splitlines() if "error" in line] == [
        f"lucidbox: error: {film}: {lost} of 7 frames are lost: {lost} cannot be decoded"
    ]
    assert failure == {
        "source": str(film),
        "error": f"{film}: {lost} of 7 frames are lost: {lost} cannot be decoded",
        "frames": frames,
        "lost": lost,
    }
    assert len(times_of(tmp_path / "out" / "film.mp4")) == frames


def test_frames_of_a_camera_that_nobody_could_look_at_are_counted(predict, monkeypatch):
    pixels = np.zeros((96, 160, 3), np.uint8)

    def frames(self):
        yield from (Picture(pixels, "camera:0", "camera-0", index, index / 10) for index in (0, 1, 5, 9))
        yield Failure("camera:0", SourceError("camera:0: 2 frames could not be decoded so far"), passing=True)

    monkeypatch.setattr(Camera, "live", False)  # so that none of these are dropped
    monkeypatch.setattr(Camera, "__iter__", frames)
    code, out, err = predict("camera:0", "--no-draw")
    assert code == 1
    assert "camera:0: 4 of 10 frames were looked at; the others came meanwhile" in out
    assert "lucidbox: error: camera:0: 2 frames could not be decoded so far" in err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-16, or UTF-8, there")
def test_names_that_are_not_utf8(predict, film, noise, tmp_path):
    other = film.rename(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    code, out, err = predict(other, noise(), "--save", tmp_path / os.fsdecode(b"out\xff"))
    assert (code, err) == (0, "")
    assert {os.fsencode(path.name) for path in (tmp_path / os.fsdecode(b"out\xff")).iterdir()} == {
        b"caf\xe9.mp4",
        b"noise.png",
    }
    assert "caf .mp4 frame 6" in out
