"""Runs a predictor over a stream of images, several of them concurrently, and gives results in order."""

import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.core.parallel import in_order
from lucidbox.detect.letterbox import Letterbox
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor, View
from lucidbox.engines.base import Scalable
from lucidbox.sources.items import Failure, LazyItem, Picture

if TYPE_CHECKING:
    from lucidbox.detect.tiles import Tiling

MANY = 16
"""Images after which a stream changes to an engine made for many: about what making that engine costs."""


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one image of a stream.

    Attributes:
        picture: the pixels and where they came from.
        detections: the boxes, in the image's own pixels.
        milliseconds: from letterbox to suppression; a batch's time is shared evenly. Of an image in tiles, from
            the first one's beginning to the last one's end. Other images of the stream may have had a share of the
            processor meanwhile, so these do not add up to the stream's time.
    """

    picture: Picture
    detections: Detections
    milliseconds: float

    def plot(self) -> UInt8[np.ndarray, "h w 3"]:
        """RGB pixels of the image with its boxes, and their class names and scores."""
        from lucidbox.draw import draw

        pixels, (height, width) = self.picture.pixels, self.picture.size
        gains = np.array([pixels.shape[1] / max(width, 1), pixels.shape[0] / max(height, 1)] * 2, np.float32)
        return draw(pixels, replace(self.detections, boxes=self.detections.boxes * gains))

    def show(self) -> None:
        """Show :meth:`plot` in the notebook, or in the system's viewer.

        Raises:
            OutputError: nothing here can show pictures, or this was read without pixels.
        """
        from lucidbox.draw import show

        show(self.plot())

    def _repr_jpeg_(self) -> bytes | None:
        from lucidbox.draw.showing import as_jpeg

        return as_jpeg(self.plot())


class Piece(NamedTuple):
    """A view of an image, which is the whole image where there are no tiles; and how many views the image has."""

    picture: Picture
    view: View
    views: int


class PieceAnswer(NamedTuple):
    """What was found in a piece, in its own pixels; when work on its batch began and ended, in seconds."""

    piece: Piece
    detections: Detections
    began: float
    ended: float


@dataclass(frozen=True, eq=False)
class StreamBatch:
    """Pieces that share one inference, where they lie in its input, and the predictor that makes it."""

    predictor: Predictor
    pieces: tuple[Piece, ...]
    letterboxes: tuple[Letterbox, ...]


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
        self, items: Iterable[LazyItem], limits: Limits, tiling: "Tiling | None" = None
    ) -> Generator[list[Result] | Failure, None, None]:
        """Answers in the order of the items, without any thread."""
        batches = self._batches(map(_read, items), tiling)
        yield from _joined(map(partial(_answer, limits), batches), limits)

    def overlapping(
        self, items: Iterable[LazyItem], limits: Limits, tiling: "Tiling | None" = None, *, live: bool = False
    ) -> Generator[list[Result] | Failure, None, None]:
        """The same answers in the same order; several images are read and several batches answered at once.

        Args:
            items: are read by threads.
            limits: what counts as a detection.
            tiling: how images are divided, if at all.
            live: take an item only when the one before is answered; only its tiles are answered at once.
        """
        readers = ThreadPoolExecutor(self.workers, "lucidbox")
        callers = readers if self.callers > 1 else ThreadPoolExecutor(1, "lucidbox")
        with readers, callers:
            for group in ([item] for item in items) if live else (items,):
                with (
                    closing(in_order(readers, _read, group, self.workers)) as pictures,
                    closing(self._batches(pictures, tiling, MANY if live else 0)) as batches,
                    closing(in_order(callers, partial(_answer, limits), batches, self.workers + 1)) as answers,
                ):
                    yield from _joined(answers, limits)

    def _batches(
        self, items: Iterable[Picture | Failure], tiling: "Tiling | None", seen: int = 0
    ) -> Generator[StreamBatch | Failure, None, None]:
        """Pieces that follow one another and have one shape, at most a batch of them; failures in between."""
        waiting: list[tuple[Piece, Letterbox]] = []
        for piece in self._pieces(items, tiling):
            letterbox = None
            if isinstance(piece, Piece):
                whole = piece.views == 1
                letterbox = self.predictor.letterbox_for(piece.picture.size if whole else piece.view.size)
            if waiting and (letterbox is None or letterbox.shape != waiting[0][1].shape):
                yield self._batch(waiting, seen)
                waiting = []
            if isinstance(piece, Failure):
                yield piece
                continue
            assert letterbox is not None
            waiting.append((piece, letterbox))
            seen += 1
            if len(waiting) == self.batch:
                yield self._batch(waiting, seen)
                waiting = []
        if waiting:
            yield self._batch(waiting, seen)

    def _pieces(
        self, items: Iterable[Picture | Failure], tiling: "Tiling | None"
    ) -> Generator[Piece | Failure, None, None]:
        """The views of every image; a failure for an image that cannot be divided so."""
        for item in items:
            if isinstance(item, Failure):
                yield item
                continue
            height, width = item.size
            views: tuple[View, ...] = (View(0, 0, width, height),)
            if tiling is not None:
                try:
                    views = tiling.views(item.size, self.predictor.size)
                    if len(views) > 1 and item.pixels.shape[:2] != item.size:
                        raise OptionError("decoded at a reduced size, which leaves no pixels for tiles")
                except OptionError as error:
                    yield Failure(item.source, OptionError(f"{item.source}: {error}"))
                    continue
            yield from (Piece(item, view, len(views)) for view in views)

    def _batch(self, waiting: list[tuple[Piece, Letterbox]], seen: int) -> StreamBatch:
        """A batch, and its predictor after this many pieces; once the one for many exists, all streams use it."""
        exists = "predictor_for_many" in vars(self)
        predictor = self.predictor_for_many if exists or seen > MANY else self.predictor
        return StreamBatch(predictor, *zip(*waiting, strict=True))


def _answer(limits: Limits, batch: StreamBatch | Failure) -> list[PieceAnswer] | Failure:
    """Detects in pieces that share an inference; a failure stays one."""
    if isinstance(batch, Failure):
        return batch
    began = time.perf_counter()
    pixels = [piece.view.of(piece.picture.pixels) for piece in batch.pieces]
    found = batch.predictor(pixels, batch.letterboxes, limits)
    ended = time.perf_counter()
    if batch.pieces[0].views == batch.pieces[-1].views == 1:
        ended = began + (ended - began) / len(found)
    return [PieceAnswer(*part, began, ended) for part in zip(batch.pieces, found, strict=True)]


def _joined(
    answers: Iterable[list[PieceAnswer] | Failure], limits: Limits
) -> Generator[list[Result] | Failure, None, None]:
    """The results of images whose pieces are all answered; pieces of one image follow one another."""
    parts: list[PieceAnswer] = []
    for answer in answers:
        if isinstance(answer, Failure):
            yield answer
            continue
        results = []
        for found in answer:
            parts.append(found)
            if len(parts) == found.piece.views:
                results.append(_result(parts, limits))
                parts = []
        if results:
            yield results


def _result(parts: list[PieceAnswer], limits: Limits) -> Result:
    began = time.perf_counter()
    detections = parts[0].detections
    if len(parts) > 1:
        from lucidbox.detect.merging import merge  # a cold start on one view need not pay for it

        detections = merge([(part.piece.view, part.detections) for part in parts], limits)
    seconds = time.perf_counter() - began + max(part.ended for part in parts) - parts[0].began
    return Result(parts[0].piece.picture, detections, seconds * 1000)


def _read(item: LazyItem) -> Picture | Failure:
    return item()
