"""Runs a predictor over a stream of images, several of them concurrently, and gives results in order."""

import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial

from lucidbox.core.detections import Detections
from lucidbox.core.parallel import in_order
from lucidbox.detect.letterbox import Size
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor
from lucidbox.engines.base import Scalable
from lucidbox.sources.items import Failure, LazyItem, Picture

MANY = 16
"""Images after which a stream changes to an engine made for many: about what making that engine costs."""


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one image of a stream.

    Attributes:
        picture: the pixels and where they came from.
        detections: the boxes, in the image's own pixels.
        milliseconds: from letterbox to suppression; a batch's time is shared evenly. Other images of the stream
            may have had a share of the processor meanwhile, so these do not add up to the stream's time.
    """

    picture: Picture
    detections: Detections
    milliseconds: float


@dataclass(frozen=True, eq=False)
class StreamBatch:
    """Images that share one inference, and the predictor that makes it."""

    predictor: Predictor
    pictures: tuple[Picture, ...]


class StreamRunner:
    """Runs a predictor over streams.

    Args:
        predictor: finds objects in images.
        batch: most images that share one inference; only images of equal letterboxed shape do.
        workers: images that are worked on at once; 1 works in the caller's thread alone.

    Example:
        >>> runner = StreamRunner(predictor, batch=1, workers=3)
        >>> for answer in runner.overlapping(open_sources("photos/").lazy_items(), Limits()):
        ...     print(answer)
    """

    def __init__(self, predictor: Predictor, batch: int, workers: int) -> None:
        self.predictor = predictor
        self.batch = batch
        self.workers = workers

    @property
    def callers(self) -> int:
        """Threads that call the engine: one where each call takes all cores, as torch does."""
        return self.workers if isinstance(self.predictor.engine, Scalable) else 1

    @cached_property
    def predictor_for_many(self) -> Predictor:
        """The predictor that long streams use: made at first use, and kept."""
        return self.predictor.for_many() if self.workers > 1 else self.predictor

    def one_by_one(
        self, items: Iterable[LazyItem], limits: Limits
    ) -> Generator[list[Result] | Failure, None, None]:
        """Answers in the order of the items, without any thread."""
        yield from map(partial(_answer, limits), self._batches(map(_read, items)))

    def overlapping(
        self, items: Iterable[LazyItem], limits: Limits
    ) -> Generator[list[Result] | Failure, None, None]:
        """The same answers in the same order; several images are read and several batches answered at once."""
        readers = ThreadPoolExecutor(self.workers, "lucidbox")
        callers = readers if self.callers > 1 else ThreadPoolExecutor(1, "lucidbox")
        with (
            readers,
            callers,
            closing(in_order(readers, _read, items, self.workers)) as pictures,
            closing(self._batches(pictures)) as batches,
            closing(in_order(callers, partial(_answer, limits), batches, self.workers + 1)) as answers,
        ):
            yield from answers

    def _batches(self, items: Iterable[Picture | Failure]) -> Generator[StreamBatch | Failure, None, None]:
        """Images that follow one another and have one shape, at most a batch of them; failures in between."""
        waiting: list[Picture] = []
        seen = 0
        for item in items:
            if waiting and not (isinstance(item, Picture) and self._shape(item) == self._shape(waiting[0])):
                yield StreamBatch(self._predictor_at(seen), tuple(waiting))
                waiting = []
            if isinstance(item, Failure):
                yield item
                continue
            waiting.append(item)
            seen += 1
            if len(waiting) == self.batch:
                yield StreamBatch(self._predictor_at(seen), tuple(waiting))
                waiting = []
        if waiting:
            yield StreamBatch(self._predictor_at(seen), tuple(waiting))

    def _predictor_at(self, seen: int) -> Predictor:
        """The predictor after this many images; once the one for many exists, short streams use it, too."""
        exists = "predictor_for_many" in vars(self)
        return self.predictor_for_many if exists or seen > MANY else self.predictor

    def _shape(self, picture: Picture) -> Size:
        return self.predictor.letterbox_for(picture.size).shape


def _answer(limits: Limits, batch: StreamBatch | Failure) -> list[Result] | Failure:
    """Detects in images that share an inference; a failure stays one."""
    if isinstance(batch, Failure):
        return batch
    started = time.perf_counter()
    letterboxes = [batch.predictor.letterbox_for(picture.size) for picture in batch.pictures]
    found = batch.predictor([picture.pixels for picture in batch.pictures], letterboxes, limits)
    milliseconds = (time.perf_counter() - started) * 1000 / len(found)
    return [
        Result(picture, detections, milliseconds)
        for picture, detections in zip(batch.pictures, found, strict=True)
    ]


def _read(item: LazyItem) -> Picture | Failure:
    return item()
