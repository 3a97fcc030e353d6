"""Confidence intervals of AP by resampling the images.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.

A resample draws as many images as there are, with replacement. Matching never looks beyond an image, so it is
not repeated: an image drawn twice has weight 2. Copies of one detection rank next to one another; the envelope of
precision is then attained at the last of them.

Resampled AP is a little higher on average than AP itself (a repeated true positive comes without new mistakes),
so the percentile interval is centred: quantiles of the deviations from the resamples' own mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.curves import CurveChanges, changes_of, envelope, hits_needed, running, true_positives
from lucidbox.evaluate.evaluation import Matching

NAMES = ("AP", "AP50", "AP75")
"""What is resampled, where the protocol measures it."""


@dataclass(frozen=True)
class Interval:
    """A number, its confidence interval, and the standard deviation over resamples."""

    name: str
    value: float
    low: float
    high: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sets of predictions on the same images.

    Attributes:
        first: intervals of the first set's numbers.
        second: intervals of the second set's.
        differences: second minus first, resampled together.
        verdict: "better", "worse" or "no difference": whether the interval of the difference in AP lies
            above 0, below 0, or around it.

    Example:
        >>> result = compare_paired(evaluate(truth, old).matching, evaluate(truth, new).matching)
        >>> result.verdict
    """

    first: tuple[Interval, ...]
    second: tuple[Interval, ...]
    differences: tuple[Interval, ...]
    verdict: str


@dataclass(frozen=True, eq=False)
class ResamplingInputs:
    """All that a resample needs of one set of matches, for all sizes at the largest detection limit.

    Attributes:
        images: number of images.
        counted_images: image of each detection that counts by its size, in order of position.
        class_starts: where each class begins among them.
        changes: true positives and corrections, thresholds one after the other.
        places: for each change, how many of the counted detections lie at or above it.
        change_images: image of each change.
        object_images: image of each truth that counts.
        object_classes: its class.
    """

    images: int
    counted_images: Int[np.ndarray, " c"]
    class_starts: Int[np.ndarray, " k1"]
    changes: CurveChanges
    places: Int[np.ndarray, " e"]
    change_images: Int[np.ndarray, " e"]
    object_images: Int[np.ndarray, " t"]
    object_classes: Int[np.ndarray, " t"]


def bootstrap(
    matching: Matching, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[Interval, ...]:
    """Confidence intervals of AP, AP50 and AP75 by resampling images.

    Args:
        matching: the matches, from ``Summary.matching``.
        resamples: number of resamples; more than a thousand changes little.
        seed: seed of the random numbers; the same seed gives the same bits.
        confidence: share of resamples inside the interval.

    Raises:
        OptionError: fewer than 2 resamples, a negative seed, a confidence outside 0 to 1, or no truth to measure.
    """
    check_resampling(resamples, seed, confidence)
    inputs = _resampling_inputs(matching)
    drawn = np.array([resampled(matching, inputs, weights) for weights in _draws(inputs.images, resamples, seed)])
    return _intervals(_unweighted(matching, inputs), drawn, confidence)


def compare_paired(
    first: Matching, second: Matching, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Comparison:
    """Whether the second predictions are better than the first, by resampling images for both alike.

    Raises:
        OptionError: the truths or the protocols differ, or as for :func:`bootstrap`.
    """
    check_resampling(resamples, seed, confidence)
    if not first.truth.same_as(second.truth) or first.protocol != second.protocol:
        raise OptionError("only predictions on the same truth under the same protocol can be compared")
    sides = [(matching, _resampling_inputs(matching)) for matching in (first, second)]
    weights = _draws(len(first.truth.image_ids), resamples, seed)
    drawn = np.array([[resampled(*side, image_weights) for side in sides] for image_weights in weights])
    points = [_unweighted(*side) for side in sides]
    differences = _intervals(points[1] - points[0], drawn[:, 1] - drawn[:, 0], confidence)
    verdict = "better" if differences[0].low > 0 else "worse" if differences[0].high < 0 else "no difference"
    return Comparison(
        _intervals(points[0], drawn[:, 0], confidence),
        _intervals(points[1], drawn[:, 1], confidence),
        differences,
        verdict,
    )


def check_resampling(resamples: int, seed: int, confidence: float = 0.95) -> None:
    """Raise an OptionError for numbers that no bootstrap can work with."""
    if resamples < 2:
        raise OptionError(f"resamples must be at least 2, got {resamples}")
    if seed < 0:
        raise OptionError(f"seed must not be negative, got {seed}")
    if not 0 < confidence < 1:
        raise OptionError(f"confidence must lie between 0 and 1, got {confidence}")


def resampled(
    matching: Matching, inputs: ResamplingInputs, weights: Int[np.ndarray, " i"]
) -> Float[np.ndarray, " s"]:
    """AP, AP50 and AP75 with each image counted as often as its weight says; NaN where not measured."""
    thresholds, classes = np.array(matching.protocol.iou_thresholds), len(inputs.class_starts) - 1
    true = true_positives(
        inputs.changes, running(weights[inputs.counted_images]), inputs.places, inputs.class_starts,
        len(thresholds), weights[inputs.change_images],
    )  # fmt: skip
    positives = np.bincount(inputs.object_classes, weights[inputs.object_images], classes).astype(np.int64)
    needed = np.maximum(hits_needed(positives, matching.protocol.recall_points), 1)
    # The first hit at which enough weight is gathered: totals rise through all curves.
    before = np.append(0, true.totals)[true.starts[:-1], None]
    index = np.searchsorted(true.totals, before + np.tile(needed, (len(thresholds), 1)))
    precision, _ = envelope(true.starts, true.precision, index - true.starts[:-1, None] + 1)
    measured = precision.mean(axis=1).reshape(len(thresholds), classes)[:, positives > 0]
    if measured.size == 0:
        return np.full(len(NAMES), np.nan)
    rows = [np.arange(len(thresholds)), *(np.flatnonzero(thresholds == iou) for iou in (0.5, 0.75))]
    return np.array([measured[row].mean() if len(row) else np.nan for row in rows])


def _resampling_inputs(matching: Matching) -> ResamplingInputs:
    ranking, objects = matching.ranking, matching.objects
    if not matching.positives[0].any():
        raise OptionError("nothing to resample: no truth counts")
    columns = []
    for matches in matching.matches:
        if 0 in matches.bitset.areas:
            changes = changes_of(matching, matches, 0)
            first = matches.bitset.thresholds.start * len(matching.class_names)
            columns.append((changes.positions, changes.curves + first, changes.true, changes.correction))
    changes = CurveChanges(*(np.concatenate(column) for column in zip(*columns, strict=True)))
    counted = (ranking.ranks < matching.protocol.max_detections[-1]) & ~matching.outside[0]
    places = running(counted)
    rows = np.flatnonzero(~objects.ignored[0])
    return ResamplingInputs(
        len(matching.truth.image_ids),
        ranking.images[counted],
        places[ranking.class_starts],
        changes,
        places[changes.positions + 1],
        ranking.images[changes.positions],
        matching.truth.images[objects.rows[rows]],
        objects.classes[rows],
    )


def _unweighted(matching: Matching, inputs: ResamplingInputs) -> Float[np.ndarray, " s"]:
    return resampled(matching, inputs, np.ones(inputs.images, np.int64))


def _draws(images: int, resamples: int, seed: int) -> Iterator[Int[np.ndarray, " i"]]:
    """How often each image is drawn, one resample at a time: all of them would fill the memory."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(0, images, images), minlength=images)


def _intervals(
    values: Float[np.ndarray, " s"], drawn: Float[np.ndarray, "r s"], confidence: float
) -> tuple[Interval, ...]:
    tail = (1 - confidence) / 2
    return tuple(
        Interval(name, float(value), *_around(float(value), column, tail), float(np.nanstd(column)))
        for name, value, column in zip(NAMES, values, drawn.T, strict=True)
        if not np.isnan(value)
    )


def _around(value: float, drawn: Float[np.ndarray, " r"], tail: float) -> tuple[float, float]:
    low, high = np.nanquantile(drawn - np.nanmean(drawn), [tail, 1 - tail]).tolist()
    return value + low, value + high
