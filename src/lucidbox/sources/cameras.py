"""Live video: a camera of this machine, or a network stream."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import cv2

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS
from lucidbox.sources.capture import opened, retrieve
from lucidbox.sources.items import Failure, Picture, SourceKind

# Up to the last "@" before the path. Or, where what should be a port is no number, up to the next "@" at all.
_USER_INFORMATION = re.compile(r"\A([^/?#]*//)(?:[^/?#]*|[^/?#:\[]*:(?!\d*[/?#])[^@]*)@")


@dataclass(frozen=True)
class Camera:
    """Frames as they arrive, until the camera stops or the reader does.

    Attributes:
        address: number of a camera of this machine (0 is the first), or a stream's ``rtsp://`` address.
        max_pixels: larger frames are refused.
    """

    address: int | str
    max_pixels: int = MAX_PIXELS
    kind: ClassVar[SourceKind] = "camera"
    count: ClassVar[int | None] = None
    live: ClassVar[bool] = True
    _stated_rates: list[float] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``camera:0``, or the stream's address without its password."""
        return f"camera:{self.address}" if isinstance(self.address, int) else without_password(self.address)

    @property
    def frames_per_second(self) -> float | None:
        """The rate that the device or stream states; None if it states none, or no frames were asked for yet.

        Noted when iterating opens the device: most cannot be opened a second time just to ask.
        """
        return next(iter(self._stated_rates), None)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """Frames with their time of arrival; at the end, if the stream broke off, a failure."""
        file_name = re.sub(r"[^\w.-]+", "-", self.name)
        index = 0
        try:
            with opened(self.address, self.name) as capture:
                self._note_rate(capture.get(cv2.CAP_PROP_FPS))
                started = time.monotonic()
                while capture.grab():
                    seconds = time.monotonic() - started if index else 0.0
                    pixels = retrieve(capture, self.name, self.max_pixels)
                    yield Picture(pixels, self.name, file_name, index, seconds)
                    index += 1
            raise SourceError(f"{self.name}: no more frames come, after {index}")
        except LucidboxError as error:
            yield Failure(self.name, error)

    def _note_rate(self, rate: float) -> None:
        self._stated_rates[:] = [rate] if math.isfinite(rate) and rate > 0 else []  # 0 or -1: does not tell


def without_password(address: str) -> str:
    """An address fit to be shown and stored: ``rtsp://user:secret@host/`` without user and secret.

    A secret may hold "@". Holding "/" unescaped makes an address that does not work, but is not shown either.
    """
    return _USER_INFORMATION.sub(r"\1", address)
