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
    """Every ranked detection under one IoU threshold, in one area range.

    Attributes:
        true: whether the detection at each position found a truth that counts.
        counted: whether it counts at all: not beyond the detection limit, not on an ignored truth.
    """

    true: Bool[np.ndarray, " n"]
    counted: Bool[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One class at every score threshold that tells its detections apart, highest first.

    Attributes:
        scores: the thresholds.
        hits: true positives that score at least that.
        counts: counted detections that do.
        positives: truths that count.
    """

    scores: Float[np.ndarray, " s"]
    hits: Int[np.ndarray, " s"]
    counts: Int[np.ndarray, " s"]
    positives: int

    @property
    def precision(self) -> Float[np.ndarray, " s"]:
        """Share of right ones among the counted detections."""
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
    """Every detection's fate under one IoU threshold and area range, at the largest detection limit.

    Args:
        matching: the matches.
        threshold: index of the IoU threshold.
        area: index of the area range.
    """
    field, positions = matching.field, matching.candidates.positions
    outcome = _outcome(matching, threshold, area)
    bit = _bit(outcome, threshold, area)
    true = np.zeros(len(field.ranking.scores), bool)
    true[positions] = outcome.true & bit != 0
    counted = ~field.outside[area] | true
    counted[positions[outcome.ignored & bit != 0]] = False
    counted &= field.ranking.ranks < matching.protocol.max_detections[-1]
    return Outcomes(true, counted)


def matched_pairs(matching: Matching, threshold: int = 0, area: int = 0) -> Int[np.ndarray, " m"]:
    """Rows of ``matching.candidates.pairs`` that were matched, with a truth that counts.

    Args:
        matching: the matches.
        threshold: index of the IoU threshold.
        area: index of the area range.
    """
    outcome = _outcome(matching, threshold, area)
    counting = ~matching.objects.ignored[area][matching.candidates.pairs.truths]
    return np.flatnonzero((outcome.paired & _bit(outcome, threshold, area) != 0) & counting)


def found_objects(matching: Matching, threshold: int = 0) -> Bool[np.ndarray, " t"]:
    """Whether each of ``matching.objects`` counts at all sizes and was found."""
    found = np.zeros(len(matching.objects.rows), bool)
    found[matching.candidates.pairs.truths[matched_pairs(matching, threshold)]] = True
    return found


def _outcome(matching: Matching, threshold: int, area: int) -> Matches:
    return next(one for one in matching.outcomes if threshold in one.word.thresholds and area in one.word.areas)


def _bit(outcome: Matches, threshold: int, area: int) -> np.uint64:
    return np.uint64(1 << outcome.word.bit(threshold, area))


def sweeps(matching: Matching, threshold: int = 0) -> list[Sweep]:
    """Every class at every score threshold, under one IoU threshold and for all sizes."""
    field, fate = matching.field, outcomes_at(matching, threshold)
    starts = field.ranking.class_starts
    result = []
    for index, (start, end) in enumerate(pairwise(starts.tolist())):
        own = np.arange(start, end)
        result.append(_sweep(field.ranking.scores, fate, own, int(field.positives[0, index])))
    return result


def together(matching: Matching, threshold: int = 0) -> Sweep:
    """All classes at one score threshold, under one IoU threshold and for all sizes: every object counts alike."""
    field, fate = matching.field, outcomes_at(matching, threshold)
    order = np.argsort(-field.ranking.scores, kind="stable")
    return _sweep(field.ranking.scores, fate, order, int(field.positives[0].sum()))


def _sweep(scores: Float[np.ndarray, " n"], fate: Outcomes, order: Int[np.ndarray, " m"], positives: int) -> Sweep:
    """The sweep over the detections in this order, which must be of falling scores."""
    scores = scores[order]
    # A threshold cannot part equal scores, so only the last of them is a place to stop.
    last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)) if len(scores) else np.zeros(0, int)
    hits, counts = (np.cumsum(flags[order])[last] for flags in (fate.true, fate.counted))
    return Sweep(scores[last], hits, counts, positives)


def best_f1(matching: Matching, threshold: int = 0) -> list[OperatingPoint]:
    """For each class the score threshold of highest F1; of equal ones the highest threshold."""
    return [best_point(sweep) for sweep in sweeps(matching, threshold)]


def best_point(sweep: Sweep) -> OperatingPoint:
    """The point of highest F1; of equal ones that of the highest threshold."""
    if sweep.positives == 0 or not sweep.hits.any():
        return OperatingPoint(0.0, 0.0, 0.0, 0.0)
    best = int(np.argmax(sweep.f1))
    return OperatingPoint(*(float(one[best]) for one in (sweep.scores, sweep.f1, sweep.precision, sweep.recall)))
