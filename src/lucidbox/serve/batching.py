"""Images of several requests in one inference: those of one shape that come within a few milliseconds."""

import threading
from dataclasses import dataclass, field

from lucidbox.detect.letterbox import Letterbox, Size
from lucidbox.detect.predictor import Image, Predictor, RawPrediction

GATHER = 0.003
"""Seconds that the first image of a batch waits for others."""


@dataclass(eq=False)
class _Batch:
    """Images that will share an inference, and what came of it."""

    images: list[Image] = field(default_factory=list)
    letterboxes: list[Letterbox] = field(default_factory=list)
    full: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    answers: list[RawPrediction] = field(default_factory=list)
    error: Exception | None = None


class Batcher:
    """Called by many threads with an image each; the first thread of a batch runs it for all of them.

    Args:
        predictor: makes the inferences.
        most: images in a batch.

    Attributes:
        most: as given.

    Example:
        >>> raw = Batcher(detector.predictor, 16)(image)  # in each of several threads
    """

    def __init__(self, predictor: Predictor, most: int) -> None:
        self._predictor, self.most = predictor, most
        self._lock = threading.Lock()
        self._open: dict[Size, _Batch] = {}

    def __call__(self, image: Image) -> RawPrediction:
        """The network's own answer for an image.

        Raises:
            EngineError: the network fails.
        """
        letterbox = self._predictor.letterbox_for((image.shape[0], image.shape[1]))
        with self._lock:
            batch = self._open.setdefault(letterbox.shape, _Batch())
            row = len(batch.images)
            batch.images.append(image)
            batch.letterboxes.append(letterbox)
            if len(batch.images) == self.most:
                del self._open[letterbox.shape]
                batch.full.set()
        if row == 0:
            self._run(batch, letterbox.shape)
        batch.done.wait()
        if batch.error is not None:
            raise batch.error
        return batch.answers[row]

    def _run(self, batch: _Batch, shape: Size) -> None:
        batch.full.wait(GATHER)
        with self._lock:
            if self._open.get(shape) is batch:
                del self._open[shape]
        try:
            batch.answers = [raw.copy() for raw in self._predictor.infer(batch.images, batch.letterboxes)]
        except Exception as error:
            batch.error = error
        finally:
            batch.done.set()
