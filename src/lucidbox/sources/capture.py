"""OpenCV's video reader, opened quietly and closed for certain. What video files and cameras share."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import SourceError
from lucidbox.core.filesystem import utf8_path
from lucidbox.core.opencv import quiet_opencv
from lucidbox.images.kinds import refuse_size

STREAM_SECONDS = 10  # that a stream may be silent


@contextmanager
def opened(address: str | int | Path, name: str) -> Iterator[cv2.VideoCapture]:
    """A reader for a file, a stream's address or a camera's number; released at the end of the ``with`` block.

    A file is opened by its absolute path, which FFmpeg cannot take for one of its protocols ("concat:...").

    Raises:
        SourceError: it cannot be opened.
        OSError: a file with a name that is not UTF-8, where no link to it can be made.
    """
    if isinstance(address, str) and not address.isprintable():  # OpenCV crashes at what is not UTF-8
        raise SourceError(f"{name}: an address holds printable letters only; write others as %20")
    with utf8_path(address) if isinstance(address, Path) else nullcontext(address) as place:
        try:
            with quiet_opencv():
                capture = _capture(place)
        except cv2.error as error:
            raise SourceError(f"{name}: cannot be opened ({error.err})") from error
    try:
        if not capture.isOpened():
            raise SourceError(f"{name}: {_unopened(address)}")
        yield capture
    finally:
        capture.release()


def retrieve(capture: cv2.VideoCapture, name: str, max_pixels: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """The grabbed frame as RGB; None if it cannot be decoded.

    Raises:
        ImageError: it has more pixels than ``max_pixels``.
    """
    width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width > 0 and height > 0:  # 0 where a camera does not tell
        refuse_size(width, height, max_pixels, name)
    try:
        decoded, frame = capture.retrieve()
    except cv2.error:
        decoded = False
    if not decoded:
        return None
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _capture(address: str | int) -> cv2.VideoCapture:
    if isinstance(address, int):
        return cv2.VideoCapture(address)
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
    options = [value for option in patience for value in (option, 1000 * STREAM_SECONDS)]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, options)


def _unopened(address: str | int | Path) -> str:
    if isinstance(address, int):
        return "no such camera, or it is in use"
    if isinstance(address, str):
        return "no video stream answers at this address"
    return "not a video that can be read, or it lost the part that says how to"
