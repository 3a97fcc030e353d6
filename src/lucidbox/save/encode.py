"""Results that grow while a source is read, JSON Lines and annotated video, whole at the end or not there.

Both write beside their final place and move there when their block ends: well, or by Ctrl-C, since what was
done by then is whole; JSON Lines also where the input or the environment ends it. After a defect of ours nothing
is left.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import LucidboxError, OutputError
from lucidbox.core.filesystem import PendingFile, output_error

_USUAL_FPS = 25.0
_SLOWEST, _FASTEST = 0.01, 1000.0  # frames a second that the mp4v encoder takes


def json_line(record: dict[str, Any]) -> str:
    """One line of JSON Lines, without its line end.

    What UTF-8 cannot hold, such as the stray bytes of a broken file name, becomes "?".
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode(errors="replace").decode()


class JsonLines:
    """A new JSON Lines file, of whole lines only.

    Nothing that exists is replaced. After a line that could not be written (a full disk) the file holds the lines
    before it, and no more are taken: ``write`` raises once, later calls do nothing, so that a caller may report
    the error and go on with other work. A file without a line is kept only if nothing failed.

    Example:
        >>> with JsonLines("found.jsonl") as lines:
        ...     lines.write({"source": "street.jpg"})

    Raises:
        OutputError: on entering: the file exists; or, then or on writing or leaving, it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def __enter__(self) -> "JsonLines":
        """Open the file under its temporary name."""
        # isfile is False, never an error, for what cannot be looked at; that is the pending file's to tell.
        if os.path.isfile(self._path):  # noqa: PTH113
            raise OutputError(f"{self._path}: exists already; choose another name")
        self._pending = PendingFile(self._path)
        self._whole_bytes = 0
        self._failed = False
        try:
            with self._reported():
                self._stream = self._pending.temporary.open("wb", buffering=0)
        except OutputError:
            self._pending.discard()
            raise
        return self

    def write(self, record: dict[str, Any]) -> None:
        """Add one record; does nothing after a call that raised ``OutputError``."""
        if self._failed:
            return
        line = f"{json_line(record)}\n".encode()
        try:
            with self._reported():
                written = 0
                while written < len(line):  # a disk that fills up takes a part first, then raises
                    written += self._stream.write(line[written:])
        except OutputError:
            self._failed = True
            raise
        self._whole_bytes += len(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, with the whole lines; remove it after a defect of ours."""
        foreseen = kind is None or issubclass(kind, (KeyboardInterrupt, LucidboxError))
        ended_well = kind is None and not self._failed
        try:
            with self._reported(), self._stream:
                self._stream.truncate(self._whole_bytes)  # part of a line, from a failure or Ctrl-C
            if ended_well or (foreseen and self._whole_bytes):
                self._pending.commit()
        finally:
            self._pending.discard()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self._pending.path, error) from error


class VideoSaver:
    """An MP4 video of annotated frames (MPEG-4 part 2, the one fast encoder that OpenCV brings everywhere).

    Args:
        path: where the video is to be; should end in ".mp4".
        fps: frames a second. What no video can have (0, NaN, where a source does not tell) becomes 25.
        size: width and height. Odd sides grow by one pixel, a repeated edge, as the encoder wants even
            ones; frames of another size are scaled to this one.

    Example:
        >>> with VideoSaver("road.mp4", 25, (1280, 720)) as video:
        ...     video.write(frame)

    Raises:
        OutputError: on entering or leaving the block: the video cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self._path, self._size = path, size
        self._fps = fps if math.isfinite(fps) and _SLOWEST <= fps <= _FASTEST else _USUAL_FPS
        self._frames = 0

    def __enter__(self) -> "VideoSaver":
        """Open the encoder under a temporary name."""
        self._pending = PendingFile(self._path)
        width, height = (side + side % 2 for side in self._size)
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        with _quiet():
            self._writer = cv2.VideoWriter(
                str(self._pending.temporary), cv2.CAP_FFMPEG, fourcc, self._fps, (width, height)
            )
        if not self._writer.isOpened():
            self._pending.discard()
            raise OutputError(
                f"{self._pending.path}: OpenCV cannot encode {width}×{height} MP4 video here (8190 is the "
                "longest side); leave drawing out with --no-draw"
            )
        return self

    def write(self, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Add one frame of RGB pixels."""
        width, height = self._size
        if pixels.shape[:2] != (height, width):
            pixels = np.asarray(cv2.resize(pixels, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        if width % 2 or height % 2:
            frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        with _quiet():
            self._writer.write(frame)
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; remove it after an error, or if it has no frames."""
        try:
            with _quiet():
                self._writer.release()
            if self._frames and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._check()
                self._pending.commit()
        finally:
            self._pending.discard()

    def _check(self) -> None:
        """OpenCV's writer says nothing of a full disk; a file without all its frames does."""
        with _quiet():
            reader = cv2.VideoCapture(str(self._pending.temporary), cv2.CAP_FFMPEG)
            found = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
            reader.release()
        if found != self._frames:
            raise OutputError(
                f"{self._pending.path}: cannot be written: only {max(found, 0)} of {self._frames} frames "
                "reached the disk, which may be full; free some space or write elsewhere"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's and FFmpeg's own notes off standard error: what matters is raised."""
    # FFmpeg's level is read at its first use in a process.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
