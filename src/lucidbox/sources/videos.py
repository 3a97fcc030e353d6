"""Frames of a video file, each decoded when it is asked for."""

from array import array
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS
from lucidbox.sources.capture import opened, retrieve
from lucidbox.sources.containers import is_cut_short, stated_codec, stated_frames
from lucidbox.sources.items import Failure, Picture, SourceKind

_MOST_IN_A_ROW = 1000
"""Grabs that may fail one after the other before a video counts as ended: FFmpeg reports its end like a bad packet."""
_FEWEST_STEPS = 20  # that tell whether a video's clock is even


@dataclass(frozen=True)
class Video:
    """A video file. Frames stand upright (the file's rotation is applied) and none is dropped.

    What cannot be decoded is passed over, as FFmpeg does, and what follows it is read. At the end comes a failure
    that counts the frames that are lost: packets that could not be decoded, and frames that the file's own tables
    list, or an even clock has room for, but that did not come.

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
        tally = _Tally()
        waiting: Picture | None = None
        try:
            cut_short = is_cut_short(self.path)
            with closing(self._frames(tally)) as frames:
                for picture in frames:
                    ready, waiting = (waiting, picture) if cut_short else (picture, None)
                    if ready is not None:
                        yield ready
            if problem := self._problem(tally, cut_short):
                raise SourceError(f"{self.name}: {problem}")
        except LucidboxError as error:
            yield Failure(self.name, error)
        except OSError as error:
            yield Failure(self.name, SourceError(f"{self.name}: cannot be read ({error.strerror})"))

    def _frames(self, tally: "_Tally") -> Generator[Picture, None, None]:
        listed = stated_frames(self.path) or 0
        with opened(self.path, self.name) as capture:
            tally.rate = capture.get(cv2.CAP_PROP_FPS)
            failed = 0
            while failed < max(_MOST_IN_A_ROW, listed):
                if not capture.grab():
                    failed += 1
                    continue
                index = tally.frames
                tally.came(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, failed)
                failed = 0
                if index % self.stride == 0:
                    pixels = retrieve(capture, self.name, self.max_pixels)
                    yield Picture(pixels, self.name, self.called or self.path.name, index, tally.times[-1])

    def _problem(self, tally: "_Tally", cut_short: bool) -> str:
        """What is wrong with a video that was read to its end, in words; empty if nothing is."""
        listed = stated_frames(self.path)
        if not tally.frames:
            return self._undecodable(listed)
        lost = max(tally.undecodable, tally.missing() if listed is None else listed - tally.frames)
        if cut_short:
            whole = -(-tally.frames // self.stride) - 1
            of = f" of {listed}" if listed else ""
            return f"the video is cut short; {whole} whole frames{of} were read"
        if lost <= 0:
            return ""
        reasons = [f"{tally.undecodable} cannot be decoded"] if tally.undecodable else []
        if lost > tally.undecodable:
            reasons.append(f"{lost - tally.undecodable} are missing or need others that are")
        return f"{lost} of {tally.frames + lost} frames are lost ({', '.join(reasons)}); the others were read"

    def _undecodable(self, listed: int | None) -> str:
        codec = stated_codec(self.path)
        return (
            f"the video has no frames that can be decoded{f' ({listed} are listed)' if listed else ''}: it is damaged,"
            f" or OpenCV lacks its codec{f', {codec}' if codec else ''}; try to convert it:"
            f" ffmpeg -i {self.path.name} -c:v libx264 {self.path.stem}-h264.mp4"
        )

    def _stated(self, field: int) -> float:
        """A number from the file's header; 0 if the file cannot be opened, which iterating will report."""
        try:
            with opened(self.path, self.name) as capture:
                return float(capture.get(field))
        except (SourceError, OSError):
            return 0.0


@dataclass
class _Tally:
    """What came of a video, and what did not.

    Attributes:
        rate: frames a second that the file states; 0 or less if it states none.
        times: seconds from the first frame to each that could be decoded.
        undecodable: packets that could not be, before the last frame.
    """

    rate: float = 0.0
    times: "array[float]" = field(default_factory=lambda: array("d"))
    undecodable: int = 0

    @property
    def frames(self) -> int:
        """Number of frames that could be decoded."""
        return len(self.times)

    def came(self, seconds: float, failed: int) -> None:
        """Count a frame, and the packets before it that could not be decoded."""
        if seconds <= 0 and self.times and self.rate > 0:  # the file carries no times
            seconds = self.frames / self.rate
        self.times.append(seconds)
        self.undecodable += failed

    def missing(self) -> int:
        """Frames that an even clock has room for; 0 if it is not even, since longer steps are meant then."""
        steps = np.diff(np.sort(self.times)) * self.rate
        is_even = len(steps) >= _FEWEST_STEPS and np.mean(np.abs(steps - 1) < 0.1) > 0.9
        holes = int(np.rint(steps[steps > 1.5] - 1).sum()) if is_even else 0
        return holes if holes < 2 * self.frames else 0  # else the clock was set anew
