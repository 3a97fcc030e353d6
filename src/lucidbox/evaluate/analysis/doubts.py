"""Signs that a number cannot be right, and the likeliest cause: the reading under which predictions fit the truth.

Signs are looked for in what an evaluation has computed anyway and in a few thousand boxes. Only where there is one
are readings tried, on a sample; only the one that fits far better is evaluated, and told if its AP is far higher.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.columns import lookup
from lucidbox.evaluate.analysis.readings import (
    OtherReading,
    SamePairs,
    box_readings,
    category_readings,
    image_readings,
    image_sizes,
)
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.operating import found_objects
from lucidbox.evaluate.overlaps import Boxes, iou_of_pairs, rows_of_runs
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.summary import Summary, evaluate, mean_of_measured
from lucidbox.evaluate.truth import Truth

_LOW, _LOW_FIRST = 0.1, 0.3
"""AP, and AP at the lowest IoU threshold, below which readings are tried."""

_BOXES, _IMAGES, _BEST = 4096, 60, 12
"""Boxes looked at for signs; images of the sample, and the best detections of each."""

_RIGHT = 0.6
"""Share of the best detections that lie on objects from which on nothing is read otherwise: they are only few."""

_FEW = 10
"""Images among which a share says little: then all objects of the others must have been found."""

_OVERLAP = 0.5
"""IoU at which a detection lies on an object."""


@dataclass(frozen=True, eq=False)
class _Sample:
    """Detections and objects of some images, and every pair of the two that is in one image.

    Attributes:
        found: the detections.
        boxes: of the objects.
        categories: category id of each object.
        detections: row of each pair's detection.
        objects: row of its object.
    """

    found: Predictions
    boxes: Float[np.ndarray, "t 4"]
    categories: Int[np.ndarray, " t"]
    detections: Int[np.ndarray, " p"]
    objects: Int[np.ndarray, " p"]

    def best_ious(self, found: Predictions, *, any_class: bool = False) -> Float[np.ndarray, " t"]:
        """The highest IoU of each object with a detection of its class; ``found`` are its rows, read otherwise."""
        boxes, truths = Boxes.from_xywh(found.boxes_xywh), Boxes.from_xywh(self.boxes)
        ious = iou_of_pairs(boxes[self.detections], truths[self.objects], np.zeros(len(self.objects), bool))
        if not any_class:
            ious = ious * self.same_class(found)
        best = np.zeros(len(self.boxes))
        np.maximum.at(best, self.objects, ious)
        return best

    def same_class(self, found: Predictions) -> Bool[np.ndarray, " p"]:
        """Which pairs are of one class."""
        same: Bool[np.ndarray, " p"] = found.category_ids[self.detections] == self.categories[self.objects]
        return same


def doubts(summary: Summary) -> tuple[str, ...]:
    """What makes an evaluation's number doubtful, with the likeliest cause, in sentences; none for sound ones."""
    matching = summary.matching
    if not len(matching.objects.rows) or summary.stats[0] < 0:
        return ()
    notes = [*_misread(summary)] if len(matching.predictions) or matching.predictions.left_out else []
    return tuple(notes or _partial(summary))


def _misread(summary: Summary) -> Iterator[str]:
    """The reading under which predictions fit far better; else what no reading explains."""
    matching = summary.matching
    truth, found = matching.truth, matching.predictions
    whole = found.with_left_out()
    beyond, tiny = _strange_boxes(truth, whole)
    low = summary.stats[0] < _LOW or mean_of_measured(summary.curves.precision[0, :, :, 0, -1]) < _LOW_FIRST
    if not (low or beyond > 0.1 or tiny > 0.5):
        return
    sample = _sample(matching, whole)
    told = _likeliest(summary, sample, whole)
    if told:
        yield told
    elif beyond > 0.2:
        yield (
            f"{found.source}: {beyond:.0%} of the boxes reach far beyond their images; boxes must be left, top,"
            " width, height in pixels of the size that the annotations state, with the annotations' image ids"
        )
    elif tiny > 0.9:
        shares = "" if truth.sizes.all() else f" of the image's sides, which {truth.source} does not state"
        yield f"{found.source}: boxes are below a pixel; they seem to be shares{shares}, not pixels"
    elif _touches_nothing(matching, sample):
        yield f"{found.source}: no detection touches any object: these may be results of other images"


def _touches_nothing(matching: Matching, sample: _Sample) -> bool:
    """Whether there are enough detections and objects to wonder that none of the two meet, of whatever class."""
    unknown = matching.predictions.left_out
    given = len(sample.found) if len(matching.predictions) or unknown is None else len(unknown)
    return (
        min(given, len(sample.boxes)) >= _BEST
        and not found_objects(matching).any()
        and not sample.best_ious(sample.found, any_class=True).any()
    )


def _strange_boxes(truth: Truth, found: Predictions) -> tuple[float, float]:
    """The shares of boxes that reach far beyond their image, and that are below a pixel."""
    if not len(found):
        return 0.0, 0.0
    part = found[np.arange(0, len(found), max(1, len(found) // _BOXES))]
    sizes, boxes = image_sizes(truth, part), part.boxes_xywh
    room = 0.05 * sizes + 2
    outside = (boxes[:, :2] + boxes[:, 2:] > sizes + room).any(axis=1) | (boxes[:, :2] < -room).any(axis=1)
    return float((outside & sizes.all(axis=1)).mean()), float((boxes[:, 2:].max(axis=1) < 1).mean())


def _sample(matching: Matching, found: Predictions) -> _Sample:
    """Evenly chosen images that have objects and detections, the objects that count, and the best detections."""
    truth, rows = matching.truth, matching.objects.rows[~matching.objects.ignored[0]]
    of_image, count = lookup(found.image_ids, truth.image_ids), len(truth.image_ids)
    asked = np.bincount(truth.images[rows], minlength=count) > 0
    answered = np.zeros(count + 1, bool)
    answered[of_image] = True
    both = asked & answered[:-1]
    annotated = np.flatnonzero(both if both.any() else asked)
    images = annotated[np.linspace(0, len(annotated) - 1, min(_IMAGES, len(annotated))).astype(np.int64)]
    chosen = np.zeros(len(truth.image_ids) + 1, bool)  # the last one for -1, an unknown image
    chosen[images] = True
    near = np.flatnonzero(chosen[of_image])
    near = near[np.lexsort((-found.scores[near], of_image[near]))]
    ranks = np.arange(len(near)) - np.searchsorted(of_image[near], of_image[near])
    near = near[ranks < _BEST]
    rows = rows[chosen[truth.images[rows]]]
    starts, ends = (np.searchsorted(of_image[near], truth.images[rows], side=side) for side in ("left", "right"))
    return _Sample(
        found[near],
        truth.boxes_xywh[rows],
        truth.category_ids[truth.categories[rows]],
        rows_of_runs(starts, ends - starts),
        np.repeat(np.arange(len(rows)), ends - starts),
    )


def _likeliest(summary: Summary, sample: _Sample, whole: Predictions) -> str:
    """A sentence on the reading under which predictions fit far better, with its AP; empty if none does."""
    matching, ap = summary.matching, float(summary.stats[0])
    truth, protocol = matching.truth, matching.protocol
    now = _fit(sample.best_ious(sample.found))
    if now > _RIGHT * len(sample.found):
        return ""
    same = np.flatnonzero(sample.same_class(sample.found))
    pairs = SamePairs(sample.detections[same], sample.boxes[sample.objects[same]])
    fits = [
        (_fit(sample.best_ious(one.apply(sample.found))), one) for one in box_readings(truth, sample.found, pairs)
    ]
    if protocol.classes is None and not protocol.class_agnostic:
        fits += _tried(category_readings(truth), sample)
    if now < 0.1 * len(sample.boxes):
        for one in image_readings(truth, whole):
            moved = _sample(matching, one.apply(whole))
            fits.append((_fit(moved.best_ious(moved.found)), one))
    highest = max(fit for fit, _ in fits)
    # The first of nearly equal ones is the plainest.
    fit, best = next(pair for pair in fits if pair[0] >= 0.99 * highest)
    if fit < 1.5 * now + 0.4:
        return ""
    read = float(evaluate(truth, best.apply(whole).restricted_to(truth), protocol).stats[0])
    least = max(3 * ap, ap + (0.05 if fit >= max(5, 2 * now + 3) else 0.2 if fit >= 2 else 0.5))
    if read < least:
        return ""
    source = matching.predictions.source
    return f"{source}: it seems that {best.cause}; read so, AP would be {read:.3f} and not {ap:.3f}"


def _tried(readings: Iterable[OtherReading], sample: _Sample) -> list[tuple[float, OtherReading]]:
    return [(_fit(sample.best_ious(one.apply(sample.found))), one) for one in readings]


def _fit(best_ious: Float[np.ndarray, " t"]) -> float:
    """How many objects a detection lies on, each as much as it is covered."""
    return float(best_ious[best_ious >= _OVERLAP].sum())


def _partial(summary: Summary) -> Iterator[str]:
    """Whether more images lack detections than what is found in the others explains."""
    matching = summary.matching
    truth, objects = matching.truth, matching.objects
    detected = np.diff(matching.ranking.class_starts) > 0
    asked = ~objects.ignored[0] & detected[objects.classes]
    images, count = truth.images[objects.rows], len(truth.image_ids)
    seen = np.zeros(count, bool)
    seen[matching.ranking.images] = True
    numbers = np.bincount(images[asked], minlength=count)
    annotated, absent = numbers > 0, (numbers > 0) & ~seen
    share = absent.sum() / max(annotated.sum(), 1)
    if share < 0.25 or not (annotated & seen).any():
        return
    found = found_objects(matching)[asked & seen[images]]
    missed = 1 - found.sum() / (len(found) + 1)
    rare = _share_without(len(matching.predictions) / seen.sum()) * annotated.sum()
    expected = max(float((missed ** numbers[annotated]).sum()), rare)
    few = share >= 0.5 and annotated.sum() <= _FEW and found.all()
    if absent.sum() > 3 * expected + 3 * np.sqrt(expected) or few:
        others = evaluate(truth[~absent[truth.images]], matching.predictions, matching.protocol).stats[0]
        yield (
            f"{matching.predictions.source}: {absent.sum()} of {annotated.sum()} images with objects have no"
            f" detection: it seems that results are for a part of the images; of the others alone AP would be"
            f" {others:.3f} and not {summary.stats[0]:.3f}"
        )


def _share_without(mean: float) -> float:
    """The share of images without detections that this many on average in the others let expect (Poisson)."""
    rate = mean
    for _ in range(30):
        rate = mean * -np.expm1(-rate)
    return float(np.exp(-rate))
