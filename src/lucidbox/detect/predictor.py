"""The one path from pixels to boxes: letterbox, engine, select and suppress, restore.

Knows no file, no source and no thread: pixels go in, detections come out. Prediction, streams, validation, parity,
explanation and benchmark all stand on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lucidbox.core.array_types import Float32, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import EngineError
from lucidbox.detect.letterbox import CENTRED, Letterbox, Size, fit
from lucidbox.detect.nms import Limits, detect
from lucidbox.engines.base import Engine, Prediction, for_many
from lucidbox.model_files.layouts.layout import Placement

Image = UInt8[np.ndarray, "_ _ 3"]
"""RGB pixels of one image."""


class View(NamedTuple):
    """A rectangle of an image that goes the path by itself, in pixels; right and bottom lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Height, width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, image: Image) -> Image:
        """Its pixels; no copy."""
        return image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class RawPrediction:
    """The network's own answer for one image, before selection and suppression.

    Attributes:
        image: RGB, the image's own pixels.
        letterbox: where the image lies in the network's input.
        boxes: xyxy of every anchor, pixels of the network's input.
        scores: probability of each class at every anchor.
    """

    image: UInt8[np.ndarray, "_ _ 3"]
    letterbox: Letterbox
    boxes: Float32[np.ndarray, "a 4"]
    scores: Float32[np.ndarray, "a c"]

    @cached_property
    def pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        """The network's input: the image, letterboxed."""
        return self.letterbox.apply(self.image)

    def copy(self) -> "RawPrediction":
        """The same with arrays of its own: an engine's arrays live until this thread's next call."""
        return RawPrediction(self.image, self.letterbox, self.boxes.copy(), self.scores.copy())


@dataclass(frozen=True, eq=False)
class Predictor:
    """From pixels to detections. Safe to use from several threads at once.

    Attributes:
        engine: runs the network.
        names: class names, by class id.
        size: height, width of the largest network input, multiples of 32.
        limits: what counts as a detection, unless a call says otherwise.
        square: pad every image to ``size`` instead of to the next multiples of 32.
        placement: where an image lies in the network's input.

    Example:
        >>> predictor = Predictor(engine, ("cat", "dog"))
        >>> (detections,) = predictor([image])
    """

    engine: Engine
    names: tuple[str, ...]
    size: Size = (640, 640)
    limits: Limits = field(default=Limits())
    square: bool = False
    placement: Placement = CENTRED

    def letterbox_for(self, size: Size) -> Letterbox:
        """Where an image of this height and width lies in the network's input."""
        return fit(size, self.size, square=self.square, placement=self.placement)

    def infer(
        self, images: Sequence[Image], letterboxes: Sequence[Letterbox] | None = None
    ) -> list[RawPrediction]:
        """The network's own answers for images whose letterboxes have one shape.

        Args:
            images: RGB.
            letterboxes: where each lies in the input; by default :meth:`letterbox_for` of its size.

        Raises:
            EngineError: the network answers with something that is not a number.
        """
        if letterboxes is None:
            letterboxes = [self.letterbox_for((image.shape[0], image.shape[1])) for image in images]
        fitted = [letterbox.apply(image) for image, letterbox in zip(images, letterboxes, strict=True)]
        predicted = self.engine(fitted[0][None] if len(fitted) == 1 else np.stack(fitted))
        _check(predicted, len(self.names))
        parts = zip(images, letterboxes, predicted.boxes, predicted.scores, strict=True)
        return [RawPrediction(*part) for part in parts]

    def finish(self, raw: RawPrediction, limits: Limits | None = None) -> Detections:
        """Selects, suppresses, and maps the boxes back to the image's own pixels."""
        boxes, kept = detect(raw.boxes, raw.scores, limits or self.limits)
        return Detections(raw.letterbox.restore(boxes), kept.scores, kept.classes, self.names)

    def __call__(
        self,
        images: Sequence[Image],
        letterboxes: Sequence[Letterbox] | None = None,
        limits: Limits | None = None,
    ) -> list[Detections]:
        """The path itself, for images whose letterboxes have one shape."""
        return [self.finish(raw, limits) for raw in self.infer(images, letterboxes)]

    def for_many(self) -> "Predictor":
        """The predictor with its engine in the form that answers most images a second."""
        return replace(self, engine=for_many(self.engine))


def _check(predicted: Prediction, classes: int) -> None:
    """Refuse answers of damaged weights: NaN, perhaps at one level's anchors only.

    Raises:
        EngineError: the answer is not a number, or not of this many classes.
    """
    if predicted.scores.shape[2] != classes:
        raise EngineError(f"the network has {predicted.scores.shape[2]} classes, its metadata names {classes}")
    # The largest of some numbers and a NaN is NaN: one sweep, without an array of flags.
    if np.isnan(predicted.scores.max(initial=0)) or np.isnan(predicted.boxes.max(initial=0)):
        raise EngineError("the network answers NaN: its weights are damaged, or --precision is too low for them")
