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
"""Grabs that may fail one after the other until a video counts as ended: its end looks like a bad packet."""
_FEW_IN_A_ROW = 10  # once all listed frames came
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
        address: where the file came from, if not from this disk.
    """

    path: Path
    stride: int = 1
    max_pixels: int = MAX_PIXELS
    called: str | None = None
    address: str | None = None
    kind: ClassVar[SourceKind] = "video"
    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The path, as it was given, or the address."""
        return self.address or str(self.path)

    @property
    def count(self) -> int | None:
        """How many frames will come, as the file states it; some files are wrong by a few."""
        try:
            with opened(self.path, self.name) as capture:
                frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        except (SourceError, OSError):  # which iterating will report
            return None
        return -(-frames // self.stride) if frames > 0 else None

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
            listed = stated_frames(self.path)
            if problem := self._problem(tally, listed, cut_short):
                counts = {"frames": tally.frames - cut_short, "lost": tally.lost(listed) + cut_short}
                yield Failure(self.name, SourceError(f"{self.name}: {problem}"), counts=counts)
        except LucidboxError as error:
            unopened = isinstance(error, SourceError) and stated_codec(self.path)
            reason = f"{self.name}: {self._undecodable(None)}"
            yield Failure(self.name, SourceError(reason) if unopened else error)
        except OSError as error:
            yield Failure(self.name, SourceError(f"{self.name}: cannot be read ({error.strerror})"))

    def _frames(self, tally: "_Tally") -> Generator[Picture, None, None]:
        listed = stated_frames(self.path) or 0
        with opened(self.path, self.name) as capture:
            tally.rate, tally.estimate = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
            failed = 0
            while failed < (_FEW_IN_A_ROW if 0 < listed <= tally.frames else max(_MOST_IN_A_ROW, listed)):
                if not capture.grab():
                    failed += 1
                    continue
                index = tally.frames
                tally.came(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, failed)
                failed = 0
                if index % self.stride == 0:
                    pixels = retrieve(capture, self.name, self.max_pixels)
                    if pixels is None:
                        tally.failed()
                    else:
                        yield Picture(pixels, self.name, self.called or self.path.name, index, tally.times[-1])

    def _problem(self, tally: "_Tally", listed: int | None, cut_short: bool) -> str:
        """What is wrong with a video that was read to its end, in words; empty if nothing is."""
        if not tally.frames:
            return self._undecodable(listed)
        if cut_short:
            whole = -(-tally.frames // self.stride) - 1
            return f"the video is cut short; {whole} whole frames{f' of {listed}' if listed else ''} were read"
        lost = tally.lost(listed)
        broken = min(lost, tally.undecodable)
        reasons = [f"{broken} cannot be decoded"] if broken else []
        reasons += [f"{lost - broken} are missing or depend on others that are"] if lost > broken else []
        return f"{lost} of {tally.frames + lost} frames are lost: {', '.join(reasons)}" if lost else ""

    def _undecodable(self, listed: int | None) -> str:
        codec = stated_codec(self.path)
        return (
            f"the video has no frames that can be decoded{f' ({listed} are listed)' if listed else ''}:"
            f" it is damaged, or OpenCV lacks its codec{f', {codec}' if codec else ''}; try to convert it:"
            f" ffmpeg -i {self.path.name} -c:v libx264 {self.path.stem}-h264.mp4"
        )


@dataclass
class _Tally:
    """What came of a video, and what did not.

    Attributes:
        rate: frames a second that the file states; 0 or less if it states none.
        estimate: frames by stated duration and rate; 0 or less if unknown.
        times: seconds from the first frame to each that could be decoded.
        undecodable: packets that could not be, before the last frame.
    """

    rate: float = 0.0
    estimate: float = 0.0
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

    def failed(self) -> None:
        """The last frame cannot be decoded after all."""
        self.times.pop()
        self.undecodable += 1

    def lost(self, listed: int | None) -> int:
        """Frames that did not come, of those that the file lists or, where it lists none, by what was met."""
        return max(self.undecodable, self._missing()) if listed is None else max(0, listed - self.frames)

    def _missing(self) -> int:
        """Frames that an even clock, and the stated duration, have room for; 0 if longer steps must be meant."""
        steps = np.diff(np.sort(self.times)) * self.rate
        is_even = len(steps) >= _FEWEST_STEPS and np.mean(np.abs(steps - 1) < 0.1) > 0.9
        if not is_even:
            return 0
        holes = int(np.rint(steps[steps > 1.5] - 1).sum())
        # The duration may be that of the sound, which often ends a little later.
        slack = max(self.rate, 0.02 * self.estimate)
        behind = self.estimate - self.frames - holes if self.estimate > 0 else 0
        if behind < -slack:  # the clock was set anew on the way
            return 0
        return holes + (int(behind) if behind >= slack else 0)
