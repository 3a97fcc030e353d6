"""Live video: a camera of this machine, or a network stream."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lucidbox.errors import LucidboxError, SourceError
from lucidbox.images import MAX_PIXELS
from lucidbox.sources.capture import opened, retrieve
from lucidbox.sources.picture import Failure, Kind, Picture


@dataclass(frozen=True)
class Camera:
    """Frames as they arrive, until the camera stops or the reader does.

    Attributes:
        address: number of a camera of this machine (0 is the first), or a stream's ``rtsp://`` address.
        max_pixels: larger frames are refused.
    """

    address: int | str
    max_pixels: int = MAX_PIXELS
    kind: ClassVar[Kind] = "camera"
    count: ClassVar[int | None] = None
    live: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """``camera:0``, or the stream's address without its password."""
        return f"camera:{self.address}" if isinstance(self.address, int) else without_password(self.address)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """Frames with their time of arrival; at the end, if the stream broke off, a failure."""
        file_name = re.sub(r"[^\w.-]+", "-", self.name)
        index = 0
        try:
            with opened(self.address, self.name) as capture:
                started = time.monotonic()
                while capture.grab():
                    seconds = time.monotonic() - started if index else 0.0
                    pixels = retrieve(capture, self.name, self.max_pixels)
                    yield Picture(pixels, self.name, file_name, index, seconds)
                    index += 1
            raise SourceError(f"{self.name}: no more frames come, after {index}")
        except LucidboxError as error:
            yield Failure(self.name, error)


def without_password(address: str) -> str:
    """An address fit to be shown and stored: ``rtsp://user:secret@host/`` without user and secret."""
    return re.sub(r"//[^/@]*@", "//", address, count=1)
