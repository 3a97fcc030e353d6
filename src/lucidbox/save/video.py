"""Annotated video: a file that gets its name only when it is complete."""

import math
from array import array
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import PendingFile, output_error, utf8_path
from lucidbox.core.opencv import quiet_opencv
from lucidbox.save.clock import retime_mp4, retime_webm

USUAL_FPS = 25.0
"""Frames a second of a video whose source does not state them, and the rate at which all are encoded."""
_SLOWEST, _FASTEST = 0.01, 1000.0  # frames a second that a video can have


class VideoSaver:
    """Writes an MP4 video (MPEG-4 part 2, the fast encoder that OpenCV has on every system) or a WebM one (VP8).

    Browsers play VP8, and not MPEG-4 part 2; encoding it takes six times as long.

    The file appears when the block ends, normally or by Ctrl-C; after an error there is none.

    Args:
        path: the file to write; WebM if it ends in ".webm", else MP4.
        fps: frames a second, for frames without a time of their own. A value that no video can have (0, or NaN for
            an unknown rate) becomes 25.
        size: width and height. An odd side grows by one pixel, a repeated edge, since the encoder needs even
            ones; frames of another size are scaled to this one.

    Example:
        >>> with VideoSaver("road.mp4", 25, (1280, 720)) as video:
        ...     video.write(frame, seconds)

    Raises:
        OutputError: on entering or leaving the block: the video cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self._path, self._size = path, size
        self._step = 1 / (fps if math.isfinite(fps) and _SLOWEST <= fps <= _FASTEST else USUAL_FPS)
        self._times = array("d")
        self._webm = Path(path).suffix.lower() == ".webm"
        self._open = ExitStack()

    def __enter__(self) -> "VideoSaver":
        """Open the encoder under a temporary name."""
        self._pending = PendingFile(self._path)
        self._open.callback(self._pending.discard)
        try:
            self._encoded = self._open.enter_context(utf8_path(self._place()))
            self._writer = self._encoder()
        except OSError as error:
            self._open.close()
            raise output_error(self._pending.path, error) from error
        except BaseException:
            self._open.close()
            raise
        return self

    def _place(self) -> Path:
        """Where to encode: the MP4 itself; for a WebM a file of another kind, in a folder beside it."""
        if not self._webm:
            return self._pending.temporary
        from tempfile import TemporaryDirectory

        beside = self._pending.path.parent
        return Path(self._open.enter_context(TemporaryDirectory(prefix=".lucidbox-", dir=beside)), "encoded.mkv")

    def _encoder(self) -> cv2.VideoWriter:
        width, height = (side + side % 2 for side in self._size)
        fourcc = cv2.VideoWriter.fourcc(*("VP80" if self._webm else "mp4v"))
        with quiet_opencv():
            writer = cv2.VideoWriter(self._encoded, cv2.CAP_FFMPEG, fourcc, USUAL_FPS, (width, height))
        if not writer.isOpened():
            kind, longest = ("WebM", 16383) if self._webm else ("MP4", 8190)
            raise OutputError(
                f"{self._pending.path}: OpenCV cannot encode {width}×{height} {kind} video here ({longest} is the "
                "longest side); leave drawing out with --no-draw"
            )
        return writer

    def write(self, pixels: UInt8[np.ndarray, "h w 3"], time: float | None = None) -> None:
        """Add one frame of RGB pixels, shown so many seconds after the video's start; by default at the rate."""
        width, height = self._size
        if pixels.shape[:2] != (height, width):
            pixels = np.asarray(cv2.resize(pixels, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        if width % 2 or height % 2:
            frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        with quiet_opencv():
            self._writer.write(frame)
        following = self._times[-1] + self._step if self._times else 0.0
        self._times.append(following if time is None else time)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; remove it after an error, or if it has no frames."""
        with self._open, quiet_opencv():
            self._writer.release()
            if self._times and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._finish(np.asarray(self._times))
                self._pending.commit()

    def _finish(self, times: Float[np.ndarray, "n"]) -> None:
        """Give the frames their times, and count them: OpenCV's writer does not report a full disk."""
        try:
            if self._webm:
                timed = Path(self._encoded).with_name("timed.mkv")
                found = retime_webm(Path(self._encoded), timed, times)
                timed.replace(self._pending.temporary)
            else:
                reader = cv2.VideoCapture(self._encoded, cv2.CAP_FFMPEG)
                found = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
                reader.release()
                last = times[-1] - times[-2] if len(times) > 1 else 0
                retime_mp4(self._pending.temporary, times, last if last > 0 else self._step)
        except OSError as error:
            raise output_error(self._pending.path, error) from error
        if found != len(times):
            raise OutputError(
                f"{self._pending.path}: cannot be written: only {max(found, 0)} of {len(times)} frames "
                "reached the disk, which may be full; free some space or write elsewhere"
            )
