"""Frames of a video file, each decoded when it is asked for."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS
from lucidbox.sources.capture import opened, retrieve
from lucidbox.sources.containers import is_cut_short
from lucidbox.sources.items import Failure, Picture, SourceKind


@dataclass(frozen=True)
class Video:
    """A video file. Frames stand upright (the file's rotation is applied) and none is dropped.

    A file that lost its end gives its whole frames, then a failure. The last frame that its decoder gives is
    not among them: it may be half a picture, the rest grey.

    Attributes:
        path: the file.
        stride: give every n-th frame only, starting with the first.
        max_pixels: larger frames are refused.
        called: ``Picture.name``; the file's name if not given.
    """

    path: Path
    stride: int = 1
    max_pixels: int = MAX_PIXELS
    called: str | None = None
    kind: ClassVar[SourceKind] = "video"
    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return str(self.path)

    @property
    def count(self) -> int | None:
        """How many frames will come, as the file states it; some files are wrong by a few."""
        frames = int(self._stated(cv2.CAP_PROP_FRAME_COUNT))
        return -(-frames // self.stride) if frames > 0 else None

    @property
    def frames_per_second(self) -> float | None:
        """Rate of the frames that come, ``stride`` considered; None if the file does not state one."""
        rate = self._stated(cv2.CAP_PROP_FPS)
        return rate / self.stride if rate > 0 else None

    def __iter__(self) -> Iterator[Picture | Failure]:
        """Every ``stride``-th frame, and a failure at the end of an unreadable or incomplete file."""
        given = 0
        waiting: Picture | None = None
        try:
            cut_short = is_cut_short(self.path)
            with closing(self._frames()) as frames:
                for picture in frames:
                    ready, waiting = (waiting, picture) if cut_short else (picture, None)
                    if ready is not None:
                        given += 1
                        yield ready
            if cut_short:
                raise SourceError(f"{self.name}: the video is cut short; {given} whole frames were read")
            if not given:
                raise SourceError(f"{self.name}: the video has no frames that can be decoded")
        except LucidboxError as error:
            yield Failure(self.name, error)
        except OSError as error:
            yield Failure(self.name, SourceError(f"{self.name}: cannot be read ({error.strerror})"))

    def _frames(self) -> Generator[Picture, None, None]:
        with opened(self._address(), self.name) as capture:
            rate = capture.get(cv2.CAP_PROP_FPS)
            index = 0
            while capture.grab():
                if index % self.stride == 0:
                    seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    if seconds <= 0 and index and rate > 0:  # the file carries no times
                        seconds = index / rate
                    pixels = retrieve(capture, self.name, self.max_pixels)
                    yield Picture(pixels, self.name, self.called or self.path.name, index, seconds)
                index += 1

    def _stated(self, field: int) -> float:
        """A number from the file's header; 0 if the file cannot be opened, which iterating will report."""
        try:
            with opened(self._address(), self.name) as capture:
                return float(capture.get(field))
        except SourceError:
            return 0.0

    def _address(self) -> str:
        """An absolute path, which FFmpeg cannot take for one of its protocols ("concat:...")."""
        return str(self.path.absolute())
