"""Live video: a camera of this machine, or a network stream."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS
from lucidbox.sources.capture import STREAM_SECONDS, opened, retrieve
from lucidbox.sources.items import Failure, Picture, SourceKind

_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each try to open again a network stream that broke off; after the last one it is given up."""
_STEADY = 60.0  # seconds that a stream must last for the waits to begin anew
_MOST_IN_A_ROW = 100  # bad frames until a camera counts as gone

# Up to the last "@" before the path. Or, where what should be a port is no number, up to the next "@" at all.
_USER_INFORMATION = re.compile(r"\A([^/?#]*//)(?:[^/?#]*|[^/?#:\[]*:(?!\d*[/?#])[^@]*)@")


@dataclass(frozen=True)
class Camera:
    """Frames as they arrive, until the camera stops or the reader does.

    A frame that cannot be decoded is passed over. A network stream that breaks off is opened again, after longer
    and longer waits. Failures between the frames tell both, bad frames at each doubling of their number.

    Attributes:
        address: number of a camera of this machine (0 is the first), or a stream's ``rtsp://`` address.
        max_pixels: larger frames are refused.
    """

    address: int | str
    max_pixels: int = MAX_PIXELS
    kind: ClassVar[SourceKind] = "camera"
    count: ClassVar[int | None] = None
    live: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """``camera:0``, or the stream's address without its password."""
        return f"camera:{self.address}" if isinstance(self.address, int) else without_password(self.address)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """Frames with their time of arrival; at the end, if the stream broke off, a failure."""
        tally = _Tally()
        tries = 0
        while True:
            began = time.monotonic()
            try:
                yield from self._connection(tally, tries)
                error: LucidboxError = SourceError(f"{self.name}: no more frames come, after {tally.frames}")
            except SourceError as problem:
                error = problem
            except LucidboxError as problem:  # frames of a size that is refused
                yield Failure(self.name, problem)
                return
            if tally.last > began + _STEADY:
                tries = 0
            if isinstance(self.address, int) or not tally.frames or tries == len(_WAITS):
                counts = {"frames": tally.frames, "lost": tally.undecodable}
                yield Failure(self.name, error, counts=counts)
                return
            time.sleep(_WAITS[tries])
            tries += 1

    def _connection(self, tally: "_Tally", tries: int) -> Iterator[Picture | Failure]:
        """Frames until the stream breaks off; before the first one of a stream opened again, that it had."""
        file_name = re.sub(r"[^\w.-]+", "-", self.name)
        with opened(self.address, self.name) as capture:
            failed, last, grabbed = 0, time.monotonic(), False
            while failed < _MOST_IN_A_ROW and time.monotonic() - last < STREAM_SECONDS:
                grabbed = capture.grab()
                pixels = retrieve(capture, self.name, self.max_pixels) if grabbed else None
                if pixels is None:
                    failed += 1
                    continue
                now = time.monotonic()
                if tries:
                    error = (
                        f"broke off after {tally.frames} frames; opened again {now - tally.last:.1f} seconds later"
                    )
                    yield Failure(self.name, SourceError(f"{self.name}: {error}"), passing=True)
                    tries = 0
                if tally.bad(failed):
                    error = f"{tally.undecodable} frames could not be decoded so far"
                    yield Failure(self.name, SourceError(f"{self.name}: {error}"), passing=True)
                yield Picture(pixels, self.name, file_name, tally.frames, tally.came(now))
                failed, last = 0, time.monotonic()
        if grabbed:
            raise SourceError(f"{self.name}: {failed} frames in a row cannot be decoded, after {tally.frames}")


@dataclass
class _Tally:
    frames: int = 0
    undecodable: int = 0
    first: float = 0.0
    last: float = 0.0

    def came(self, now: float) -> float:
        """Count a frame; seconds since the first one."""
        self.first = self.first if self.frames else now
        self.frames, self.last = self.frames + 1, now
        return now - self.first

    def bad(self, count: int) -> bool:
        """Count frames that could not be decoded; whether their number is, or has passed, a power of two."""
        before, self.undecodable = self.undecodable, self.undecodable + count
        return self.undecodable.bit_length() > before.bit_length()


def without_password(address: str) -> str:
    """An address fit to be shown and stored: ``rtsp://user:secret@host/`` without user and secret.

    A secret may hold "@". Holding "/" unescaped makes an address that does not work, but is not shown either.
    """
    return _USER_INFORMATION.sub(r"\1", address)
