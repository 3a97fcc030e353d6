"""How sure AP is: resampling the pictures (Efron and Tibshirani 1993, "An Introduction to the Bootstrap").

A resample draws as many pictures as there are, with replacement. Matching never looks beyond a picture, so it
is not done again: a picture drawn twice simply weighs 2. Copies of one detection rank next to one another; the
envelope of precision is then attained at the last of them.

Resampled AP is a little higher on average than AP itself (a repeated true positive comes without new mistakes),
so the percentile interval is centred: quantiles of the deviations from the resamples' own mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.curves import Events, Trace, envelope, events_of, hits_needed, running
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
    """Two sets of predictions on the same pictures.

    Attributes:
        first: intervals of the first one's numbers.
        second: intervals of the second one's.
        differences: second minus first, resampled together.
        verdict: "better", "worse" or "no difference": whether the interval of the difference in AP lies
            above 0, below 0, or around it.
    """

    first: tuple[Interval, ...]
    second: tuple[Interval, ...]
    differences: tuple[Interval, ...]
    verdict: str


@dataclass(frozen=True, eq=False)
class Lanes:
    """All a resample needs of one set of matches, for all sizes at the largest detection limit.

    Attributes:
        pictures: number of pictures.
        counted_images: picture of each detection that counts by its size, in order of position.
        class_starts: where each class begins among them.
        places: for each event, how many of them lie at or above it.
        event_images: picture of each event.
        events: true positives and corrections, thresholds one after the other.
        object_images: picture of each truth that counts.
        object_classes: its class.
    """

    pictures: int
    counted_images: Int[np.ndarray, " c"]
    class_starts: Int[np.ndarray, " k1"]
    places: Int[np.ndarray, " e"]
    event_images: Int[np.ndarray, " e"]
    events: Events
    object_images: Int[np.ndarray, " t"]
    object_classes: Int[np.ndarray, " t"]


def bootstrap(
    matching: Matching, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[Interval, ...]:
    """Confidence intervals of AP, AP50 and AP75 by resampling pictures.

    Args:
        matching: the matches, from ``Summary.matching``.
        resamples: how many; more than a thousand changes little.
        seed: of the random numbers; the same seed gives the same bits.
        confidence: share of resamples inside the interval.

    Raises:
        OptionError: fewer than 2 resamples, a negative seed, a confidence outside 0 to 1, or no truth to measure.
    """
    check_resampling(resamples, seed, confidence)
    lanes = _lanes(matching)
    drawn = np.array([resampled(matching, lanes, weights) for weights in _draws(lanes.pictures, resamples, seed)])
    return _intervals(_once(matching, lanes), drawn, confidence)


def compare_paired(
    first: Matching, second: Matching, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Comparison:
    """Whether the second predictions are better than the first, by resampling pictures for both alike.

    Raises:
        OptionError: the truths or the protocols differ, or as for :func:`bootstrap`.
    """
    check_resampling(resamples, seed, confidence)
    if not first.truth.same_as(second.truth) or first.protocol != second.protocol:
        raise OptionError("only predictions on the same truth under the same protocol can be compared")
    sides = [(one, _lanes(one)) for one in (first, second)]
    drawn = np.array(
        [
            [resampled(matching, lanes, weights) for matching, lanes in sides]
            for weights in _draws(sides[0][1].pictures, resamples, seed)
        ]
    )
    points = [_once(matching, lanes) for matching, lanes in sides]
    differences = _intervals(points[1] - points[0], drawn[:, 1] - drawn[:, 0], confidence)
    verdict = "better" if differences[0].low > 0 else "worse" if differences[0].high < 0 else "no difference"
    return Comparison(
        _intervals(points[0], drawn[:, 0], confidence),
        _intervals(points[1], drawn[:, 1], confidence),
        differences,
        verdict,
    )


def check_resampling(resamples: int, seed: int, confidence: float = 0.95) -> None:
    """Refuse what no bootstrap could do; raises OptionError."""
    if resamples < 2:
        raise OptionError(f"resamples must be at least 2, got {resamples}")
    if seed < 0:
        raise OptionError(f"seed must not be negative, got {seed}")
    if not 0 < confidence < 1:
        raise OptionError(f"confidence must lie between 0 and 1, got {confidence}")


def resampled(matching: Matching, lanes: Lanes, weights: Int[np.ndarray, " i"]) -> Float[np.ndarray, " s"]:
    """AP, AP50 and AP75 with each picture counted as often as its weight says; NaN where not measured."""
    thresholds = np.array(matching.protocol.iou_thresholds)
    classes = len(lanes.class_starts) - 1
    counted = running(weights[lanes.counted_images])
    event_weights = weights[lanes.event_images]
    corrected = running(lanes.events.change * event_weights)
    hits = np.flatnonzero(lanes.events.true)
    numbers = running(event_weights[hits])
    borders = np.arange(len(thresholds) * classes + 1)
    starts = np.searchsorted(lanes.events.lanes[hits], borders)
    sizes = np.diff(starts)
    before = np.tile(counted[lanes.class_starts[:-1]], len(thresholds))
    before += corrected[np.searchsorted(lanes.events.lanes, borders[:-1])]
    counts = counted[lanes.places[hits]] + corrected[hits + 1] - np.repeat(before, sizes)
    right = numbers[1:] - np.repeat(numbers[starts[:-1]], sizes)
    traced = Trace(starts, right / (counts + np.spacing(1)), np.zeros(len(hits)))
    positives = np.bincount(lanes.object_classes, weights[lanes.object_images], classes).astype(np.int64)
    needed = np.maximum(hits_needed(positives[None], matching.protocol.recall_points)[0], 1)
    # The first hit at which enough weight is gathered: numbers rise through all lanes.
    targets = numbers[starts[:-1]][:, None] + np.tile(needed, (len(thresholds), 1))
    index = np.searchsorted(numbers[1:], targets.ravel()).reshape(targets.shape)
    precision, _ = envelope(traced, index - starts[:-1, None] + 1)
    measured = precision.mean(axis=1).reshape(len(thresholds), classes)[:, positives > 0]
    if measured.size == 0:
        return np.full(len(NAMES), np.nan)
    rows = [np.arange(len(thresholds)), *(np.flatnonzero(thresholds == iou) for iou in (0.5, 0.75))]
    return np.array([measured[row].mean() if len(row) else np.nan for row in rows])


def _lanes(matching: Matching) -> Lanes:
    field, ranking, objects = matching.field, matching.field.ranking, matching.objects
    if not field.positives[0].any():
        raise OptionError("nothing to resample: no truth counts")
    by_word = [events_of(field, matching.candidates, one, 0) for one in matching.outcomes if 0 in one.word.areas]
    classes = len(ranking.class_starts) - 1
    firsts = [one.word.thresholds.start * classes for one in matching.outcomes if 0 in one.word.areas]
    events = Events(
        np.concatenate([one.positions for one in by_word]),
        np.concatenate([one.lanes + first for one, first in zip(by_word, firsts, strict=True)]),
        np.concatenate([one.true for one in by_word]),
        np.concatenate([one.change for one in by_word]),
    )
    counted = (ranking.ranks < matching.protocol.max_detections[-1]) & ~field.outside[0]
    places = running(counted)
    rows = np.flatnonzero(~objects.ignored[0])
    return Lanes(
        len(matching.truth.image_ids),
        ranking.images[counted],
        places[ranking.class_starts],
        places[events.positions + 1],
        ranking.images[events.positions],
        events,
        matching.truth.images[objects.rows[rows]],
        objects.classes[rows],
    )


def _once(matching: Matching, lanes: Lanes) -> Float[np.ndarray, " s"]:
    return resampled(matching, lanes, np.ones(lanes.pictures, np.int64))


def _draws(pictures: int, resamples: int, seed: int) -> Iterator[Int[np.ndarray, " i"]]:
    """How often each picture is drawn, one resample after the other: together they would fill the memory."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(0, pictures, pictures), minlength=pictures)


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
    low, high = (float(one) for one in np.nanquantile(drawn - np.nanmean(drawn), [tail, 1 - tail]))
    return value + low, value + high
