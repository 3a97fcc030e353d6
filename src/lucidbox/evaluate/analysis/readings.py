"""Other things that predictions may mean: boxes of another form or scale, ids counted otherwise.

Each reading gives as many rows as it is given. Ids that mean nothing under it become -1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.boxes import cxcywh_to_xywh, xyxy_to_xywh
from lucidbox.core.class_names import COCO_IDS
from lucidbox.core.columns import lookup
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.truth import Truth

_Boxes = Float[np.ndarray, "n 4"]
_Sizes = Float[np.ndarray, "n 2"]
"""Width and height of the image of each box."""

_STRIDE = 32
_FACTORS = np.array(
    [1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2, 3, 4, 8]
)
_WINDOW = 0.06
"""Logarithms of ratios of sides that are no further apart are taken for one ratio; of places a third of that."""


@dataclass(frozen=True)
class OtherReading:
    """One thing that predictions may mean.

    Attributes:
        cause: what is wrong then, as the end of "it seems that …".
        apply: the predictions with boxes or ids as the evaluation expects them.
    """

    cause: str
    apply: Callable[[Predictions], Predictions]


@dataclass(frozen=True, eq=False)
class SamePairs:
    """Detections and objects of one class in one image, row by row, from which scales are estimated.

    Attributes:
        detections: row of each pair's detection.
        objects: box of its object.
    """

    detections: Int[np.ndarray, " p"]
    objects: Float[np.ndarray, "p 4"]


_FORMS: dict[str, Callable[[_Boxes], _Boxes]] = {
    "": lambda boxes: boxes,
    "corners (left, top, right, bottom)": xyxy_to_xywh,
    "centre, width and height": cxcywh_to_xywh,
    "corners, top first (top, left, bottom, right)": lambda boxes: xyxy_to_xywh(boxes[:, [1, 0, 3, 2]]),
}


def box_readings(truth: Truth, found: Predictions, pairs: SamePairs) -> Iterator[OtherReading]:
    """Boxes of other forms, and of images of other sizes.

    Args:
        truth: states the sizes of images; where it does not, fewer readings are possible.
        found: some of the predictions.
        pairs: of them, by which scales are estimated.
    """
    sizes = image_sizes(truth, found)

    def reading(
        cause: str, convert: Callable[[_Boxes], _Boxes], undo: Callable[[_Boxes, _Sizes], _Boxes]
    ) -> OtherReading:
        def apply(given: Predictions) -> Predictions:
            boxes = undo(convert(given.boxes_xywh), sizes if given is found else image_sizes(truth, given))
            return replace(given, boxes_xywh=np.maximum(boxes, [-np.inf, -np.inf, 0, 0]))

        return OtherReading(cause, apply)

    for form, convert in _FORMS.items():
        if form:
            yield reading(f"boxes are {form}", convert, lambda boxes, sizes: boxes)
    for form, convert in _FORMS.items():
        boxes = convert(found.boxes_xywh)[pairs.detections]
        for scale, undo in _scales(boxes, pairs.objects, sizes[pairs.detections]):
            cause = f"boxes are {form}, {scale}" if form else f"boxes are {scale}"
            yield reading(cause, convert, undo)


def image_sizes(truth: Truth, found: Predictions) -> _Sizes:
    """Width and height of the image of each detection; 0 where unknown."""
    images = lookup(found.image_ids, truth.image_ids)
    sizes: _Sizes = np.concatenate([truth.sizes, np.zeros((1, 2))])[images]
    return sizes


def _scales(boxes: _Boxes, objects: _Boxes, sizes: _Sizes) -> Iterator[tuple[str, Callable[..., _Boxes]]]:
    """Scales that boxes may have, and how each is undone; the plainer first.

    Args:
        boxes: of detections.
        objects: of objects of their class in their image, one of which each of them may have found.
        sizes: of the images.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where nothing is padded, places tell a scale better than sides.
        sides = boxes[:, 2:] / objects[:, 2:]
        places = (boxes[:, :2] + boxes[:, 2:] / 2) / (objects[:, :2] + objects[:, 2:] / 2)
    if len(sizes) and sizes.all():
        longer = sizes.max(axis=1, keepdims=True)
        yield "shares of the image's width and height", lambda boxes, sizes: boxes * np.tile(sizes, 2)
        side = _whole(_mode(places * longer, _WINDOW / 3), 0.005)
        if _differs(side / longer):
            yield f"in images whose longer side is {side}", _letterboxed(side, lambda sizes: sizes)
        padded = _whole(_mode(sides * longer, _WINDOW), 0.02)
        yield (
            f"in images letterboxed to {padded}×{padded}",
            _letterboxed(padded, lambda sizes: np.full_like(sizes, padded)),
        )
        yield (
            f"in images letterboxed to multiples of {_STRIDE} up to {padded}",
            _letterboxed(padded, lambda sizes: np.ceil(sizes / _STRIDE - 1e-9) * _STRIDE),
        )
        across, down = (_whole(_mode(places[:, axis] * sizes[:, axis], _WINDOW / 3), 0.005) for axis in (0, 1))
        stretched = np.array([across, down, across, down], np.float64)
        if _differs(stretched[:2] / sizes):
            yield (
                f"in images stretched to {across}×{down}",
                lambda boxes, sizes: boxes / stretched * np.tile(sizes, 2),
            )
    factor = _mode(places, _WINDOW / 3)
    near = float(_FACTORS[np.abs(np.log(_FACTORS / factor)).argmin()])
    factor = near if abs(near / factor - 1) < 0.01 else factor
    if _differs(np.array(factor)):
        yield f"in images of {factor:.3g} times the size", lambda boxes, sizes: boxes / factor


def _letterboxed(side: int, shape: Callable[[_Sizes], _Sizes]) -> Callable[[_Boxes, _Sizes], _Boxes]:
    """Undoes a resize to this longer side, and padding around it up to a shape."""

    def undo(boxes: _Boxes, sizes: _Sizes) -> _Boxes:
        gain = side / np.maximum(sizes.max(axis=1, keepdims=True), 1)
        resized = sizes * gain
        padding = (shape(resized) - resized) / 2
        undone: _Boxes = (boxes - np.concatenate([padding, np.zeros_like(padding)], axis=1)) / gain
        return undone

    return undo


def _differs(ratios: Float[np.ndarray, "..."]) -> bool:
    """Whether a scale is so far from 1 that it can be a mistake; boxes a little too small are only bad."""
    return bool(abs(float(np.median(ratios)) - 1) > 0.1)


def _mode(ratios: Float[np.ndarray, "..."], window: float) -> float:
    """The ratio that most of them are near to; 1 where there is none."""
    logs = np.sort(np.log(ratios[(ratios > 0) & np.isfinite(ratios)]))
    if not len(logs):
        return 1.0
    counts = np.searchsorted(logs, logs + window, side="right") - np.arange(len(logs))
    first = int(np.argmax(counts))
    return float(np.exp(np.median(logs[first : first + counts[first]])))


def _whole(side: float, tolerance: float) -> int:
    """A side of an image near the estimated one: multiples of 32 and of 10 are likelier than others."""
    near = [round(side / step) * step for step in (_STRIDE, 10)]
    likely = [one for one in near if one and abs(one / side - 1) < tolerance]
    return likely[0] if likely else max(1, round(side))


def category_readings(truth: Truth) -> Iterator[OtherReading]:
    """Category ids counted otherwise."""
    known = truth.category_ids
    if len(known) == len(COCO_IDS):
        coco = np.array(COCO_IDS)
        if np.array_equal(known, np.arange(known[0], known[0] + len(known))):
            yield _category("category ids are COCO's 1 to 90", lambda ids: _at(known, lookup(ids, coco)))
    yield _category("category ids are one too low", lambda ids: ids + 1)
    yield _category("category ids are one too high", lambda ids: ids - 1)
    for first in (0, 1):
        words = f"category ids are places in the list of categories, counted from {first}"
        yield _category(words, partial(_at_place, known, first))


def image_readings(truth: Truth, found: Predictions) -> Iterator[OtherReading]:
    """Image ids counted otherwise."""
    known = truth.image_ids
    yield _image("image ids are one too low", lambda ids: ids + 1)
    yield _image("image ids are one too high", lambda ids: ids - 1)
    for first in (0, 1):
        words = f"image ids are places in the list of images, counted from {first}"
        yield _image(words, partial(_at_place, known, first))
    for shift in {int(known[0] - found.image_ids.min()), int(known[-1] - found.image_ids.max())} - {-1, 0, 1}:
        yield _image(f"image ids are {abs(shift)} too {'low' if shift > 0 else 'high'}", partial(np.add, shift))
    stems = [Path(name).stem for name in truth.file_names]
    if stems and all(stem.isdecimal() and len(stem) < 18 for stem in stems):
        numbers = np.array([int(stem) for stem in stems])
        order = np.argsort(numbers, kind="stable")
        yield _image(
            "image ids are the numbers in file names",
            lambda ids: _at(known[order], lookup(ids, numbers[order])),
        )


def _category(cause: str, mapped: Callable[[Int[np.ndarray, " n"]], Int[np.ndarray, " n"]]) -> OtherReading:
    return OtherReading(cause, lambda found: replace(found, category_ids=mapped(found.category_ids)))


def _image(cause: str, mapped: Callable[[Int[np.ndarray, " n"]], Int[np.ndarray, " n"]]) -> OtherReading:
    return OtherReading(cause, lambda found: replace(found, image_ids=mapped(found.image_ids)))


def _at_place(known: Int[np.ndarray, " k"], first: int, ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The ids at places that are counted from this number."""
    return _at(known, ids - first)


def _at(known: Int[np.ndarray, " k"], places: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The ids at these places; -1 beyond them."""
    inside = (places >= 0) & (places < len(known))
    return np.where(inside, known[np.where(inside, places, 0)], -1)
