"""Annotated video: a file that gets its name only when it is complete."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import PendingFile

_USUAL_FPS = 25.0
_SLOWEST, _FASTEST = 0.01, 1000.0  # frames a second that the mp4v encoder takes


class VideoSaver:
    """Writes an MP4 video (MPEG-4 part 2, the one fast encoder that OpenCV has on every system).

    The file appears when the block ends, normally or by Ctrl-C; after an error there is none.

    Args:
        path: the file to write; should end in ".mp4".
        fps: frames a second. A value that no video can have (0, or NaN for an unknown rate) becomes 25.
        size: width and height. An odd side grows by one pixel, a repeated edge, since the encoder needs even
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
        """Count the frames in the file: OpenCV's writer does not report a full disk."""
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
    """Keep OpenCV's and FFmpeg's own messages off standard error: errors are raised as exceptions."""
    # FFmpeg's level is read at its first use in a process.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
