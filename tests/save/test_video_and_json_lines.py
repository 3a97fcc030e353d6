"""JSON Lines and videos that are whole or not there."""

import errno
import json
import subprocess
import sys
from io import FileIO

import cv2
import numpy as np
import pytest

from lucidbox.core.errors import EngineError, OutputError
from lucidbox.core.filesystem import PendingFile
from lucidbox.save.json_lines import JsonLines, json_line
from lucidbox.save.video import VideoSaver


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def frames_of(path):
    """Every frame of a video as RGB, and its frames a second."""
    reader = cv2.VideoCapture(str(path))
    frames = []
    while True:
        done, frame = reader.read()
        if not done:
            return frames, reader.get(cv2.CAP_PROP_FPS)
        frames.append(frame[..., ::-1])


def plain(colour, height=48, width=64):
    return np.full((height, width, 3), colour, np.uint8)


COLOURS = ((250, 10, 10), (10, 250, 10), (10, 10, 250))


def test_video_has_the_frames_colours_and_speed_it_was_given(tmp_path):
    with VideoSaver(tmp_path / "new" / "clip.mp4", 12.5, (64, 48)) as video:
        for colour in COLOURS:
            video.write(plain(colour))
    frames, speed = frames_of(tmp_path / "new" / "clip.mp4")
    assert speed == 12.5
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.mean(axis=(0, 1)) - colour).max() < 12
    assert names(tmp_path / "new") == ["clip.mp4"]


@pytest.mark.parametrize(("width", "height"), [(31, 17), (64, 47), (1, 1), (2, 200)])
def test_odd_sides_grow_by_one_pixel(tmp_path, width, height):
    with VideoSaver(tmp_path / "clip.mp4", 25, (width, height)) as video:
        video.write(plain(200, height, width))
    ((frame,), _) = frames_of(tmp_path / "clip.mp4")
    assert frame.shape[:2] == (height + height % 2, width + width % 2)
    assert frame.min() > 180  # the edge is repeated, not black


def test_a_frame_of_another_size_is_scaled(tmp_path):
    with VideoSaver(tmp_path / "clip.mp4", 25, (64, 48)) as video:
        video.write(plain(200))
        video.write(plain(90, 480, 640))
    frames, _ = frames_of(tmp_path / "clip.mp4")
    assert [frame.shape[:2] for frame in frames] == [(48, 64)] * 2
    assert abs(frames[1].mean() - 90) < 12


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 90_000])
def test_a_speed_that_no_video_has_becomes_25(tmp_path, fps):
    with VideoSaver(tmp_path / "clip.mp4", fps, (64, 48)) as video:
        video.write(plain(0))
    assert frames_of(tmp_path / "clip.mp4")[1] == 25


@pytest.mark.parametrize("fps", [30000 / 1001, 23.976023976, 0.04, 240])
def test_unusual_speeds_are_kept(tmp_path, fps):
    with VideoSaver(tmp_path / "clip.mp4", fps, (64, 48)) as video:
        video.write(plain(0))
        video.write(plain(9))
    frames, speed = frames_of(tmp_path / "clip.mp4")
    assert len(frames) == 2
    assert speed == pytest.approx(fps, rel=1e-3)


def record(saver, failure):
    """Write two frames or lines, then fail."""
    with saver as target:
        for _ in range(2):
            target.write(plain(100) if isinstance(target, VideoSaver) else {"source": "人.jpg"})
        raise failure


@pytest.mark.parametrize("make", [lambda path: VideoSaver(path, 25, (64, 48)), JsonLines])
def test_ctrl_c_keeps_what_was_done(tmp_path, make):
    with pytest.raises(KeyboardInterrupt):
        record(make(tmp_path / "result.mp4"), KeyboardInterrupt)
    assert names(tmp_path) == ["result.mp4"]
    if make is JsonLines:
        lines = (tmp_path / "result.mp4").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == [{"source": "人.jpg"}] * 2
    else:
        assert len(frames_of(tmp_path / "result.mp4")[0]) == 2


def test_an_error_leaves_the_video_that_was_there_before(tmp_path):
    (tmp_path / "result.mp4").write_text("before")
    with pytest.raises(RuntimeError):
        record(VideoSaver(tmp_path / "result.mp4", 25, (64, 48)), RuntimeError("ours"))
    assert names(tmp_path) == ["result.mp4"]
    assert (tmp_path / "result.mp4").read_text() == "before"


def test_a_defect_of_ours_leaves_no_lines(tmp_path):
    with pytest.raises(RuntimeError):
        record(JsonLines(tmp_path / "a.jsonl"), RuntimeError("ours"))
    assert names(tmp_path) == []


def test_an_error_of_the_environment_keeps_the_lines_before_it(tmp_path):
    with pytest.raises(EngineError):
        record(JsonLines(tmp_path / "a.jsonl"), EngineError("out of memory at picture 3"))
    assert names(tmp_path) == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == '{"source": "人.jpg"}\n' * 2


@pytest.mark.parametrize("failure", [EngineError, KeyboardInterrupt])
def test_an_error_before_the_first_line_leaves_no_file_in_the_way(tmp_path, failure):
    with pytest.raises(failure), JsonLines(tmp_path / "a.jsonl"):
        raise failure
    assert names(tmp_path) == []


def test_without_pictures_the_lines_are_an_empty_file(tmp_path):
    with JsonLines(tmp_path / "a.jsonl"):
        pass
    assert (tmp_path / "a.jsonl").read_bytes() == b""


@pytest.mark.parametrize("content", [b"\xff\xd8\xff a picture of the user's", b""])
def test_lines_never_replace_a_file(tmp_path, content):
    (tmp_path / "mine.jpg").write_bytes(content)
    with pytest.raises(OutputError, match=r"mine.jpg: exists already; choose another name$"):
        JsonLines(tmp_path / "mine.jpg").__enter__()
    assert (tmp_path / "mine.jpg").read_bytes() == content
    assert names(tmp_path) == ["mine.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX device")
def test_lines_to_a_device_that_leads_to_a_file(tmp_path):
    with (tmp_path / "out").open("wb") as out:
        with pytest.raises(OutputError, match="exists already; choose another name"):
            JsonLines(f"/dev/fd/{out.fileno()}").__enter__()
        out.write(b"of another program")
    assert (tmp_path / "out").read_bytes() == b"of another program"
    assert names(tmp_path) == ["out"]


def test_video_without_frames_is_no_file(tmp_path):
    with VideoSaver(tmp_path / "clip.mp4", 25, (64, 48)):
        pass
    assert names(tmp_path) == []


def test_size_that_cannot_be_encoded_is_named_and_nothing_else_is_said(tmp_path, capfd):
    with pytest.raises(OutputError, match=r"clip.mp4: OpenCV cannot encode 9000×100 MP4 video .* --no-draw"):
        VideoSaver(tmp_path / "clip.mp4", 25, (9000, 100)).__enter__()
    assert names(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for saver in (VideoSaver(tmp_path / "file" / "clip.mp4", 25, (64, 48)), JsonLines(tmp_path / "file" / "a")):
        with pytest.raises(OutputError, match="choose another path"):
            saver.__enter__()


LIMITED = """
import resource, signal, sys
import numpy as np
from lucidbox.core.errors import OutputError
from lucidbox.save.json_lines import JsonLines
from lucidbox.save.video import VideoSaver
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
noise = np.random.default_rng(0)
try:
    if sys.argv[2] == "video":
        with VideoSaver(sys.argv[1], 25, (320, 240)) as video:
            for _ in range(40):
                video.write(noise.integers(0, 255, (240, 320, 3), np.uint8))
    else:
        with JsonLines(sys.argv[1]) as lines:
            for _ in range(40):
                try:
                    lines.write({"source": "x" * 5_000})
                except OutputError as error:
                    if sys.argv[2] == "lines":
                        raise
                    print(error)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("video", "frames reached the disk"), ("lines", "larger than"), ("lines, going on", "larger than")],
)
def test_a_write_that_the_system_refuses_half_way(tmp_path, kind, reason):
    """As a full disk would; standard error stays empty, so that the user reads one line."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "result.mp4"), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "result.mp4: cannot be written: " in done.stdout
    assert reason in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    if kind == "video":
        assert names(tmp_path) == []
        return
    line = json_line({"source": "x" * 5_000}) + "\n"
    assert names(tmp_path) == ["result.mp4"]
    assert (tmp_path / "result.mp4").read_text() == line * (60_000 // len(line))


def test_json_lines_on_a_full_disk(tmp_path, monkeypatch):
    def full(self):
        raise OutputError(f"{self.path}: {errno.ENOSPC}")

    monkeypatch.setattr(PendingFile, "commit", full)
    with pytest.raises(OutputError), JsonLines(tmp_path / "a.jsonl") as lines:
        lines.write({})
    assert names(tmp_path) == []


def test_lines_that_could_not_be_begun_leave_nothing(tmp_path):
    """A disk that is full from the start: the one error is raised, and no empty file bears the name."""
    with JsonLines(tmp_path / "a.jsonl") as lines:
        lines._stream.close()
        lines._stream = FullDisk(lines._pending.temporary, "wb")
        with pytest.raises(OutputError, match="the disk is full"):
            lines.write({"source": "a.jpg"})
        lines.write({"source": "b.jpg"})
    assert names(tmp_path) == []


def test_ctrl_c_within_a_line_cuts_that_line_off(tmp_path):
    def write_half():
        with JsonLines(tmp_path / "a.jsonl") as lines:
            lines.write({"source": "a.jpg"})
            lines._stream.write(b'{"sour')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert (tmp_path / "a.jsonl").read_text() == '{"source": "a.jpg"}\n'


class FullDisk(FileIO):
    """Takes four bytes of each line, and no more."""

    def write(self, data):
        if self.tell() >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[:4])


def test_json_line_is_one_line_of_utf8():
    assert json_line({"label": "人", "name": "two\nlines"}) == '{"label": "人", "name": "two\\nlines"}'
    assert json_line({"source": "\udcff.jpg"}) == '{"source": "?.jpg"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        json_line({"score": float("nan")})
