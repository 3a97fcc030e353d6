"""The score threshold at which a detector is best used, per class and for all classes together."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.matching import Matches


@dataclass(frozen=True)
class OperatingPoint:
    """What keeping the detections that score at least ``score`` gives; all 0 if nothing is found."""

    score: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Every ranked detection's outcome under one IoU threshold, in one area range.

    Attributes:
        true: whether the detection at each position found a truth that counts.
        counted: whether it counts at all: not beyond the detection limit, not on an ignored truth.
    """

    true: Bool[np.ndarray, " n"]
    counted: Bool[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of every score threshold that separates detections, highest first.

    Attributes:
        scores: the thresholds.
        hits: true positives that score at least that.
        counts: counted detections that do.
        positives: truths that count.

    Example:
        >>> person = sweeps(match_all(truth, predictions))[0]
        >>> person.scores[person.precision >= 0.9].min()
    """

    scores: Float[np.ndarray, " s"]
    hits: Int[np.ndarray, " s"]
    counts: Int[np.ndarray, " s"]
    positives: int

    @property
    def precision(self) -> Float[np.ndarray, " s"]:
        """Share of true positives among the counted detections."""
        share: Float[np.ndarray, " s"] = self.hits / np.maximum(self.counts, 1)
        return share

    @property
    def recall(self) -> Float[np.ndarray, " s"]:
        """Share of the truths that is found."""
        share: Float[np.ndarray, " s"] = self.hits / max(self.positives, 1)
        return share

    @property
    def f1(self) -> Float[np.ndarray, " s"]:
        """Harmonic mean of precision and recall: 2 hits / (counts + positives)."""
        mean: Float[np.ndarray, " s"] = 2 * self.hits / np.maximum(self.counts + self.positives, 1)
        return mean


def outcomes_at(matching: Matching, threshold: int = 0, area: int = 0) -> Outcomes:
    """Every detection's outcome at the largest detection limit.

    Args:
        matching: the matches.
        threshold: index of the IoU threshold.
        area: index of the area range.
    """
    positions = matching.candidates.positions
    matches, bit = _matches_at(matching, threshold, area)
    true = np.zeros(len(matching.ranking.scores), bool)
    true[positions] = matches.true & bit != 0
    counted = ~matching.outside[area] | true
    counted[positions[matches.ignored & bit != 0]] = False
    counted &= matching.ranking.ranks < matching.protocol.max_detections[-1]
    return Outcomes(true, counted)


def matched_pairs(matching: Matching, threshold: int = 0, area: int = 0) -> Int[np.ndarray, " m"]:
    """Rows of ``matching.candidates.pairs`` that were matched with a truth that counts."""
    matches, bit = _matches_at(matching, threshold, area)
    counting = ~matching.objects.ignored[area][matching.candidates.pairs.truths]
    return np.flatnonzero((matches.paired & bit != 0) & counting)


def found_objects(matching: Matching, threshold: int = 0) -> Bool[np.ndarray, " t"]:
    """Whether each of ``matching.objects`` counts at all sizes and was found."""
    found = np.zeros(len(matching.objects.rows), bool)
    found[matching.candidates.pairs.truths[matched_pairs(matching, threshold)]] = True
    return found


def _matches_at(matching: Matching, threshold: int, area: int) -> tuple[Matches, np.uint64]:
    """The matches that include one threshold and area range, and the bit for it."""
    for matches in matching.matches:
        if threshold in matches.bitset.thresholds and area in matches.bitset.areas:
            return matches, np.uint64(1 << matches.bitset.bit(threshold, area))
    raise IndexError(f"no threshold {threshold} in area range {area}")


def sweeps(matching: Matching, threshold: int = 0) -> list[Sweep]:
    """For each class the result of every score threshold, under one IoU threshold and for all sizes."""
    outcomes, starts = outcomes_at(matching, threshold), matching.ranking.class_starts
    return [
        _sweep(matching, outcomes, np.arange(start, end), int(positives))
        for (start, end), positives in zip(pairwise(starts.tolist()), matching.positives[0], strict=True)
    ]


def pooled_sweep(matching: Matching, threshold: int = 0) -> Sweep:
    """The result of one score threshold for all classes, under one IoU threshold and for all sizes.

    Every object counts alike, whatever its class.
    """
    order = np.argsort(-matching.ranking.scores, kind="stable")
    return _sweep(matching, outcomes_at(matching, threshold), order, int(matching.positives[0].sum()))


def _sweep(matching: Matching, outcomes: Outcomes, order: Int[np.ndarray, " m"], positives: int) -> Sweep:
    """The sweep over the detections in this order, which must be of falling scores."""
    scores = matching.ranking.scores[order]
    # A threshold cannot separate equal scores: only the last of them is a place to stop.
    last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)) if len(scores) else np.zeros(0, int)
    hits, counts = (np.cumsum(flags[order])[last] for flags in (outcomes.true, outcomes.counted))
    return Sweep(scores[last], hits, counts, positives)


def best_f1(matching: Matching, threshold: int = 0) -> list[OperatingPoint]:
    """For each class the score threshold of highest F1; of equal ones the highest threshold."""
    return [best_point(sweep) for sweep in sweeps(matching, threshold)]


def best_point(sweep: Sweep) -> OperatingPoint:
    """The point of highest F1; of equal ones that of the highest threshold."""
    if sweep.positives == 0 or not sweep.hits.any():
        return OperatingPoint(0.0, 0.0, 0.0, 0.0)
    best = int(np.argmax(sweep.f1))
    return OperatingPoint(
        *(float(column[best]) for column in (sweep.scores, sweep.f1, sweep.precision, sweep.recall))
    )
