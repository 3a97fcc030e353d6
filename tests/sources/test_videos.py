"""Frames of videos: which, in which order, when, in which colours; and videos that are broken."""

import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest

from lucidbox.core.errors import ImageError, SourceError
from lucidbox.sources import Camera, Failure, Picture, Video, open_sources

FRAMES = 12


def write_video(path, code="MJPG", frames=FRAMES, rate=10, size=(64, 48)):
    """A video whose frame ``i`` is of one colour: red 20 · i, blue 200."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), rate, size)
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((size[1], size[0], 3), (200, 0, 20 * index), np.uint8))
    writer.release()
    return path


def whole_and_failure(source):
    """Pictures, and the one failure that must be the last item."""
    *pictures, failure = source
    assert all(isinstance(picture, Picture) for picture in pictures)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, SourceError)
    assert "\n" not in str(failure.error)
    return pictures, failure


def shows(picture, index):
    """Whether this is frame ``index``, to within what a codec changes."""
    return np.abs(picture.pixels.astype(int) - (20 * index, 0, 200)).max() < 12


@pytest.mark.parametrize(
    ("extension", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "mp4v")]
)
def test_every_frame_in_order_with_its_time(extension, code, tmp_path):
    file = write_video(tmp_path / f"road.{extension}", code)
    video = Video(file)
    pictures = list(video)
    assert [picture.frame for picture in pictures] == list(range(FRAMES))
    assert [picture.time for picture in pictures] == pytest.approx([index / 10 for index in range(FRAMES)])
    assert all(shows(picture, index) for index, picture in enumerate(pictures))
    assert {picture.pixels.shape for picture in pictures} == {(48, 64, 3)}
    assert {picture.source for picture in pictures} == {str(file)}
    assert {picture.name for picture in pictures} == {f"road.{extension}"}
    assert (video.kind, video.live, video.count) == ("video", False, FRAMES)


@pytest.mark.parametrize("stride", [2, 5, 11, 12, 100])
def test_stride_gives_each_nth_frame(stride, tmp_path):
    (video,) = open_sources([write_video(tmp_path / "road.avi")], video_stride=stride).parts
    pictures = list(video)
    assert [picture.frame for picture in pictures] == list(range(0, FRAMES, stride))
    assert all(shows(picture, picture.frame) for picture in pictures)
    assert [picture.time for picture in pictures] == pytest.approx([picture.frame / 10 for picture in pictures])
    assert video.count == len(pictures)


def test_frames_equal_opencvs(tmp_path):
    file = write_video(tmp_path / "road.avi")
    capture = cv2.VideoCapture(str(file))
    frames = iter(Video(file))
    for index in range(5):
        picture = next(frames)
        assert np.array_equal(picture.pixels, capture.read()[1][:, :, ::-1])
        assert picture.time == pytest.approx(index / 10)
    capture.release()
    frames.close()


# A track header's matrix that turns what is shown by so many degrees clockwise (ISO 14496-12, 8.3.2).
TURNS = {
    90: (0, 1, 0, -1, 0, 0, 0, 0, 0x4000),
    180: (-1, 0, 0, 0, -1, 0, 0, 0, 0x4000),
    270: (0, -1, 0, 1, 0, 0, 0, 0, 0x4000),
}


@pytest.mark.parametrize("degrees", TURNS)
def test_a_phones_rotation_is_applied(degrees, tmp_path):
    file = tmp_path / "phone.mp4"
    writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:16, :16] = 255  # a white corner, top left
    for _ in range(3):
        writer.write(stored)
    writer.release()
    content = bytearray(file.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", *(value << 16 for value in TURNS[degrees]))
    file.write_bytes(content)
    picture = next(iter(Video(file)))
    expected = np.rot90(stored, -degrees // 90)
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 8


def test_a_video_that_ends_within_a_frame_gives_its_whole_frames_and_says_so(tmp_path):
    file = write_video(tmp_path / "road.avi")
    content = file.read_bytes()
    third = [place for place in range(len(content)) if content.startswith(b"00dc", place)][2]
    file.write_bytes(content[: third + 200])  # within the third frame's JPEG
    pictures, failure = whole_and_failure(Video(file))
    assert len(pictures) >= 1
    assert all(shows(picture, index) for index, picture in enumerate(pictures))
    assert f"{file}: the video is cut short; {len(pictures)} whole frames" in str(failure.error)


@pytest.mark.parametrize(("extension", "code"), [("avi", "MJPG"), ("mkv", "mp4v"), ("mp4", "mp4v")])
def test_a_video_cut_anywhere_gives_whole_frames_only(extension, code, tmp_path):
    content = write_video(tmp_path / f"whole.{extension}", code).read_bytes()
    file = tmp_path / f"road.{extension}"
    for length in range(1, len(content) - 1, len(content) // 25):
        file.write_bytes(content[:length])
        pictures, _ = whole_and_failure(Video(file))
        assert all(shows(picture, index) for index, picture in enumerate(pictures)), length


def test_the_rest_is_read_after_a_broken_video(tmp_path):
    write_video(tmp_path / "a.avi", frames=3)
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    write_video(tmp_path / "c.avi", frames=2)
    items = list(open_sources([tmp_path]))
    assert [type(item) for item in items] == [Picture] * 3 + [Failure] + [Picture] * 2
    assert "b.mp4: not a video that can be read" in str(items[3].error)
    assert Video(tmp_path / "b.mp4").count is None


def test_a_video_without_frames(tmp_path):
    file = write_video(tmp_path / "empty.avi", frames=0)
    _, failure = whole_and_failure(Video(file))
    assert str(file) in str(failure.error)


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n"])
def test_files_that_are_no_videos(content, tmp_path):
    (tmp_path / "a.mp4").write_bytes(content)
    pictures, failure = whole_and_failure(Video(tmp_path / "a.mp4"))
    assert pictures == []
    assert "a.mp4: not a video that can be read" in str(failure.error)


def test_a_video_that_vanished(tmp_path):
    _, failure = whole_and_failure(Video(tmp_path / "gone.mp4"))
    assert str(failure.error) == f"{tmp_path / 'gone.mp4'}: cannot be read (No such file or directory)"


def test_a_folder_called_like_a_video_is_a_folder(tmp_path):
    (tmp_path / "clips.mp4").mkdir()
    (failure,) = open_sources([tmp_path / "clips.mp4"])
    assert "no pictures or videos in this folder" in str(failure.error)


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_an_avi_whose_writer_left_its_size_open_is_whole(size, tmp_path):
    content = write_video(tmp_path / "road.avi").read_bytes()
    (tmp_path / "road.avi").write_bytes(content[:4] + size + content[8:])
    pictures = list(Video(tmp_path / "road.avi"))
    assert [picture.frame for picture in pictures] == list(range(FRAMES))


def test_frames_above_the_pixel_limit_are_refused(tmp_path):
    file = write_video(tmp_path / "road.avi")
    (failure,) = Video(file, max_pixels=64 * 48 - 1)
    assert isinstance(failure.error, ImageError)
    assert "64×48 pixels exceed the limit of 3071; raise --max-pixels" in str(failure.error)
    assert len(list(Video(file, max_pixels=64 * 48))) == FRAMES


def test_names_that_ffmpeg_could_take_for_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.avi", "frame%03d.avi", "straße 图.avi"):
        write_video(tmp_path / "plain.avi", frames=2).rename(tmp_path / name)
        assert [picture.name for picture in open_sources([name])] == [name, name]


class Recorder:
    """Stands in for ``cv2.VideoCapture`` and remembers whether it was released."""

    def __init__(self, *arguments):
        self.grabbed = 0
        self.released = False
        opened_captures.append(self)

    __class__ = cv2.VideoCapture  # what isinstance sees; a real subclass of OpenCV's class crashes

    def isOpened(self):
        return True

    def get(self, field):
        return {cv2.CAP_PROP_FPS: 25.0}.get(field, 0.0)

    def grab(self):
        self.grabbed += 1
        return self.grabbed <= 3

    def retrieve(self):
        return True, np.full((2, 2, 3), (3, 2, 1), np.uint8)

    def release(self):
        self.released = True


opened_captures = []


@pytest.fixture
def recorded(monkeypatch):
    opened_captures.clear()
    monkeypatch.setattr(cv2, "VideoCapture", Recorder)
    return opened_captures


def test_a_stream_left_early_is_closed_at_once(recorded, tmp_path):
    (tmp_path / "a.mp4").touch()
    items = iter(open_sources([tmp_path / "a.mp4"]))
    next(items)
    assert not recorded[-1].released
    items.close()
    assert recorded[-1].released


def test_times_come_from_the_rate_where_the_file_has_none(recorded, tmp_path):
    (tmp_path / "a.mp4").touch()
    assert [picture.time for picture in Video(tmp_path / "a.mp4")] == pytest.approx([0, 1 / 25, 2 / 25])


def test_a_camera_gives_rgb_frames_until_it_stops(recorded):
    pictures, failure = whole_and_failure(Camera(0))
    assert [picture.frame for picture in pictures] == [0, 1, 2]
    assert pictures[0].time == 0
    assert [picture.time for picture in pictures] == sorted(picture.time for picture in pictures)
    assert pictures[0].pixels[0, 0].tolist() == [1, 2, 3]
    assert (pictures[0].source, pictures[0].name) == ("camera:0", "camera-0")
    assert str(failure.error) == "camera:0: no more frames come, after 3"
    assert [capture.released for capture in recorded] == [True]


@pytest.mark.parametrize("grabs", ["..x..", "x..xxx.", "......xx"])
def test_a_camera_goes_on_after_bad_frames(recorded, monkeypatch, grabs):
    """A dot is a frame, an x one that cannot be decoded."""
    monkeypatch.setattr(Recorder, "grab", lambda self: setattr(self, "grabbed", self.grabbed + 1) or True)
    frame = np.full((2, 2, 3), 1, np.uint8)

    def retrieve(self):
        good = grabs[self.grabbed - 1 : self.grabbed] == "."
        return good, frame if good else None

    monkeypatch.setattr(Recorder, "retrieve", retrieve)
    *items, end = Camera(0)
    assert sum(isinstance(item, Picture) for item in items) == grabs.count(".")
    told = [item for item in items if isinstance(item, Failure)]
    assert all(item.passing and "could not be decoded so far" in str(item.error) for item in told)
    assert bool(told) == ("x" in grabs.rstrip("x"))
    assert str(end.error) == f"camera:0: 100 frames in a row cannot be decoded, after {grabs.count('.')}"
    assert end.counts == {"frames": grabs.count("."), "lost": grabs.rstrip("x").count("x")}
    assert not end.passing


def test_many_bad_frames_are_few_lines(recorded, monkeypatch):
    monkeypatch.setattr(
        Recorder, "grab", lambda self: setattr(self, "grabbed", self.grabbed + 1) or self.grabbed <= 2000
    )
    frame = np.full((2, 2, 3), 1, np.uint8)
    monkeypatch.setattr(Recorder, "retrieve", lambda self: (self.grabbed % 2 == 0, frame))
    items = list(Camera(0))
    assert sum(isinstance(item, Picture) for item in items) == 1000
    assert sum(isinstance(item, Failure) for item in items) == 11  # 1, 2, 4, ... 512 bad ones, and the end


def test_a_stream_that_breaks_off_is_opened_again(recorded, monkeypatch):
    waits = []
    monkeypatch.setattr("lucidbox.sources.cameras.time.sleep", waits.append)
    lives = iter([3, 0, 0, 3, 0, 0])  # frames of each connection
    monkeypatch.setattr(Recorder, "isOpened", lambda self: setattr(self, "most", next(lives)) or self.most > 0)
    monkeypatch.setattr(
        Recorder, "grab", lambda self: setattr(self, "grabbed", self.grabbed + 1) or self.grabbed <= self.most
    )
    items = list(Camera("rtsp://user:secret@host/road"))
    assert [type(item) for item in items] == [Picture] * 3 + [Failure] + [Picture] * 3 + [Failure]
    assert [item.frame for item in items if isinstance(item, Picture)] == list(range(6))
    assert items[3].passing
    assert str(items[3].error).startswith("rtsp://host/road: broke off after 3 frames; opened again 0.0 seconds")
    assert str(items[-1].error) == "rtsp://host/road: no video stream answers at this address"
    assert waits == [1, 2, 4, 8, 16]
    assert all(capture.released for capture in recorded)


def test_the_waits_begin_anew_after_a_steady_connection(recorded, monkeypatch):
    waits = []
    monkeypatch.setattr("lucidbox.sources.cameras.time.sleep", waits.append)
    monkeypatch.setattr("lucidbox.sources.cameras._STEADY", 0.0)
    lives = iter([2, 3, 3, *[0] * 5])
    monkeypatch.setattr(Recorder, "isOpened", lambda self: setattr(self, "most", next(lives)) or self.most > 0)
    monkeypatch.setattr(
        Recorder, "grab", lambda self: setattr(self, "grabbed", self.grabbed + 1) or self.grabbed <= self.most
    )
    list(Camera("rtsp://host/road"))
    assert waits == [1, 1, 1, 2, 4, 8, 16]


def test_a_stream_that_never_answered_is_not_tried_again(recorded, monkeypatch):
    monkeypatch.setattr(Recorder, "isOpened", lambda self: False)
    (failure,) = Camera("rtsp://host/road")
    assert str(failure.error) == "rtsp://host/road: no video stream answers at this address"
    assert len(recorded) == 1


def test_cameras_are_live_and_have_no_count():
    assert (Camera(0).kind, Camera(0).live, Camera(0).count) == ("camera", True, None)


@pytest.mark.parametrize("number", [57, 2**31, 2**70])
def test_a_camera_that_does_not_exist(number):
    (failure,) = open_sources([f"camera:{number}"])
    assert str(failure.error).startswith(f"camera:{number}: ")


def test_a_network_stream_that_does_not_answer_shows_no_password():
    (failure,) = open_sources(["rtsp://user:secret@127.0.0.1:9/road"])
    assert str(failure.error) == "rtsp://127.0.0.1:9/road: no video stream answers at this address"


@pytest.mark.thorough
def test_broken_videos_and_absent_cameras_write_nothing_to_standard_error(tmp_path):
    content = write_video(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 4 // 5])
    mp4 = write_video(tmp_path / "whole.mp4", "mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(mp4[: len(mp4) // 2])
    script = """
import sys
from lucidbox.sources import open_sources
for item in open_sources(sys.argv[1:]):
    print(getattr(item, "error", "frame"))
"""
    arguments = [tmp_path / "cut.avi", tmp_path / "cut.mp4", "camera:57", "rtsp://127.0.0.1:9/x"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if line != "frame"][1:] == [
        f"{tmp_path / 'cut.mp4'}: not a video that can be read, or it lost the part that says how to",
        "camera:57: no such camera, or it is in use",
        "rtsp://127.0.0.1:9/x: no video stream answers at this address",
    ]
