"""Several pictures on the road at once: :meth:`lucidbox.detector.detector.Detector.stream` without its front door."""

import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.core.parallel import in_order
from lucidbox.detect.letterbox import Size
from lucidbox.detect.nms import Limits
from lucidbox.engines import Engine
from lucidbox.sources import Failure, LazyItem, Picture, Sources, open_sources
from lucidbox.sources.items import lazy

if TYPE_CHECKING:
    from lucidbox.detector.detector import Detector


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture of a stream.

    Attributes:
        picture: the pixels and where they came from.
        detections: the boxes, in the picture's own pixels.
        milliseconds: from letterbox to suppression; a batch's time is shared evenly. Other pictures of the stream
            may have had a share of the processor meanwhile, so these do not add up to the stream's time.
    """

    picture: Picture
    detections: Detections
    milliseconds: float


@dataclass(frozen=True, eq=False)
class _Company:
    """Pictures that share one inference, and the engine that makes it."""

    engine: Engine
    pictures: tuple[Picture, ...]


class Stream:
    """The answers to a stream of pictures, in order.

    Args:
        detector: answers.
        limits: what counts as a detection.
    """

    def __init__(self, detector: "Detector", limits: Limits) -> None:
        self.detector = detector
        self.limits = limits

    def one_by_one(self, unread: Iterable[LazyItem]) -> Generator[list[Result] | Failure, None, None]:
        """Answers in the order of the items, without any thread."""
        yield from map(self._answer, self._companies(map(_read, unread)))

    def overlapping(self, unread: Iterable[LazyItem]) -> Generator[list[Result] | Failure, None, None]:
        """The same answers in the same order, several pictures read and several companies answered at once."""
        readers = ThreadPoolExecutor(self.detector.workers, "lucidbox")
        callers = readers if self.detector.callers > 1 else ThreadPoolExecutor(1, "lucidbox")
        with (
            readers,
            callers,
            closing(in_order(readers, _read, unread, self.detector.workers)) as items,
            closing(self._companies(items)) as companies,
            closing(in_order(callers, self._answer, companies, self.detector.workers + 1)) as answers,
        ):
            yield from answers

    def _companies(self, items: Iterable[Picture | Failure]) -> Generator[_Company | Failure, None, None]:
        """Pictures that follow one another and have one shape, at most a batch of them; failures in between."""
        waiting: list[Picture] = []
        seen = 0
        for item in items:
            if waiting and not (isinstance(item, Picture) and self._shape(item) == self._shape(waiting[0])):
                yield _Company(self.detector.engine_for(seen), tuple(waiting))
                waiting = []
            if isinstance(item, Failure):
                yield item
                continue
            waiting.append(item)
            seen += 1
            if len(waiting) == self.detector.batch:
                yield _Company(self.detector.engine_for(seen), tuple(waiting))
                waiting = []
        if waiting:
            yield _Company(self.detector.engine_for(seen), tuple(waiting))

    def _shape(self, picture: Picture) -> Size:
        return self.detector.frame_of(picture.size).shape

    def _answer(self, company: _Company | Failure) -> list[Result] | Failure:
        """Detect in pictures that share an inference; a failure stays one."""
        if isinstance(company, Failure):
            return company
        started = time.perf_counter()
        images = [picture.pixels for picture in company.pictures]
        frames = [self.detector.frame_of(picture.size) for picture in company.pictures]
        found = self.detector.predict(images, frames, self.limits, company.engine)
        milliseconds = (time.perf_counter() - started) * 1000 / len(images)
        return [
            Result(picture, detections, milliseconds)
            for picture, detections in zip(company.pictures, found, strict=True)
        ]


def unread(source: Any) -> Generator[LazyItem, None, None]:
    """Items of whatever a caller calls a source, each to be read by a call.

    Raises:
        OptionError: an item is neither a picture nor the name of one.
    """
    if isinstance(source, (str, Path)):
        source = open_sources(source)
    if isinstance(source, Sources):
        yield from source.unread()
        return
    for item in source:
        if isinstance(item, (str, Path)):
            yield from open_sources(item).unread()
        elif isinstance(item, (Picture, Failure)):
            yield lazy(item)
        else:
            raise OptionError(
                f"a stream takes names, pictures of lucidbox.sources, or what open_sources gives, not"
                f" {type(item).__name__}; for arrays call the detector itself"
            )


def _read(item: LazyItem) -> Picture | Failure:
    return item()
