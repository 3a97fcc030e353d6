"""Precision and recall curves from matches. A curve belongs to one IoU threshold and one class.

Precision's envelope is attained at true positives: recall rises only there, and anything else only lowers
precision. So a curve needs the true positives alone and, for each, how many counted detections rank at or
above it: a running sum over all detections inside the area range, corrected at the few detections whose match
overrules their own size.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Shaped
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.matching import Matches
from lucidbox.evaluate.ranking import Ranking


@dataclass(frozen=True, eq=False)
class Curves:
    """The arrays pycocotools calls ``precision``, ``recall`` and ``scores``; -1 where there is no truth.

    Attributes:
        precision: highest precision at or beyond each recall point.
        recall: recall of all kept detections.
        scores: score at which each recall point is reached; 0 where it is not.
    """

    precision: Float[np.ndarray, "thresholds points classes areas limits"]
    recall: Float[np.ndarray, "thresholds classes areas limits"]
    scores: Float[np.ndarray, "thresholds points classes areas limits"]


@dataclass(frozen=True, eq=False)
class CurveChanges:
    """The detections that change a curve, for some thresholds of one area range, by curve, then position.

    Attributes:
        positions: position in the ranking.
        curves: threshold (from 0) times number of classes plus class; not falling.
        true: whether it is a true positive.
        correction: what it adds to the running count of counted detections: -1, 0 or 1.
    """

    positions: Int[np.ndarray, " e"]
    curves: Int[np.ndarray, " e"]
    true: Bool[np.ndarray, " e"]
    correction: Int[np.ndarray, " e"]


@dataclass(frozen=True, eq=False)
class TruePositives:
    """The true positives of some curves, one curve after the other, best score first.

    Attributes:
        rows: their rows in the changes that they were taken from.
        starts: where each curve begins; the last entry is the number of true positives.
        totals: how many there are down to each one, over all curves.
        precision: share of true positives among the counted detections of the curve down to each one.
    """

    rows: Int[np.ndarray, " h"]
    starts: Int[np.ndarray, " k1"]
    totals: Int[np.ndarray, " h"]
    precision: Float[np.ndarray, " h"]


def changes_of(matching: Matching, matches: Matches, area: int) -> CurveChanges:
    """True positives and corrections of one area range, for the thresholds of a bitset."""
    candidates, bitset = matching.candidates, matches.bitset
    order = candidates.by_position
    positions = candidates.positions[order]
    outside = matching.outside[area, positions]
    mask = np.uint64(bitset.mask(area))
    true = matches.true[order] & mask
    corrected = np.where(outside, true, matches.ignored[order] & mask)
    class_of = candidates.classes[order]
    columns = []
    for number, threshold in enumerate(bitset.thresholds):
        bit = np.uint64(1 << bitset.bit(threshold, area))
        is_true, is_corrected = true & bit != 0, corrected & bit != 0
        rows = np.flatnonzero(is_true | is_corrected)
        correction = is_corrected[rows] * np.where(outside[rows], 1, -1)
        curves = number * len(matching.class_names) + class_of[rows]
        columns.append((positions[rows], curves, is_true[rows], correction))
    return CurveChanges(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def hits_needed(positives: Int[np.ndarray, " k"], points: tuple[float, ...]) -> Int[np.ndarray, "k points"]:
    """The fewest true positives whose recall reaches each point, exactly as doubles compare."""
    wanted, total = np.array(points), np.maximum(positives, 1)[:, None]
    needed: Int[np.ndarray, "k points"] = np.ceil(wanted * total).astype(np.int64)
    # The product is rounded, so the answer can be one off either way; the quotient decides.
    needed -= (needed - 1) / total >= wanted
    needed += needed / total < wanted
    return needed


def true_positives(
    changes: CurveChanges,
    counted: Int[np.ndarray, " n1"],
    places: Int[np.ndarray, " e"],
    class_starts: Int[np.ndarray, " c1"],
    thresholds: int,
    weights: Int[np.ndarray, " e"] | None = None,
) -> TruePositives:
    """The true positives among the changes, and the precision at each.

    Args:
        changes: what changes the curves.
        counted: running count, over all classes, of the detections that their own size lets count.
        places: for each change, the entry of ``counted`` that includes it.
        class_starts: the entry of ``counted`` at which each class begins.
        thresholds: how many thresholds the changes are of.
        weights: how often each change counts; None for once.
    """
    corrected = running(changes.correction if weights is None else changes.correction * weights)
    rows = np.flatnonzero(changes.true)
    totals = np.arange(len(rows) + 1) if weights is None else running(weights[rows])
    borders = np.arange(thresholds * (len(class_starts) - 1) + 1)
    starts = np.searchsorted(changes.curves[rows], borders)
    sizes = np.diff(starts)
    before = np.tile(counted[class_starts[:-1]], thresholds)
    before = before + corrected[np.searchsorted(changes.curves, borders[:-1])]
    counts = counted[places[rows]] + corrected[rows + 1] - np.repeat(before, sizes)
    hits = totals[1:] - np.repeat(totals[starts[:-1]], sizes)
    # pycocotools adds the spacing so as never to divide by zero; for one counted detection it shows.
    return TruePositives(rows, starts, totals[1:], hits / (counts + np.spacing(1)))


def running(steps: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n1"]:
    """Running sum with a zero in front: entry p is the sum of what lies before position p."""
    # Flags are counted in 32 bits, half the memory; weights might need more.
    total = np.zeros(len(steps) + 1, np.int32 if steps.dtype == bool else np.int64)
    np.cumsum(steps, out=total[1:])
    return total


def envelope(
    starts: Int[np.ndarray, " k1"], precision: Float[np.ndarray, " h"], needed: Int[np.ndarray, "k points"]
) -> tuple[Float[np.ndarray, "k points"], Int[np.ndarray, "k points"]]:
    """Best precision at or beyond each recall point, and which true positive reaches it; h if none does.

    Args:
        starts: as in :class:`TruePositives`.
        precision: as in :class:`TruePositives`.
        needed: true positives to reach each point, at least 1, by curve.
    """
    firsts, sizes = starts[:-1, None], np.diff(starts)[:, None]
    reached = needed <= sizes
    index = np.where(reached, firsts + needed - 1, firsts + sizes)
    # The best between this recall point and the next, then the best of all points from here on.
    between = np.maximum.reduceat(np.append(precision, 0.0), index.ravel()).reshape(index.shape)
    between[~reached] = 0
    best = np.maximum.accumulate(between[:, ::-1], axis=1)[:, ::-1]
    return best, np.where(reached, index, len(precision))


def curves_of(matching: Matching) -> Curves:
    """All curves: every threshold, recall point, class, area range and detection limit."""
    protocol, classes = matching.protocol, len(matching.class_names)
    thresholds, points = len(protocol.iou_thresholds), len(protocol.recall_points)
    outer = (len(protocol.areas), len(protocol.max_detections), thresholds, classes)
    # In memory each curve lies in one piece, which is how they are written; the axes are then put in order.
    curves = Curves(
        np.full((*outer, points), -1.0).transpose(2, 4, 3, 0, 1),
        np.full(outer, -1.0).transpose(2, 3, 0, 1),
        np.full((*outer, points), -1.0).transpose(2, 4, 3, 0, 1),
    )
    for matches in matching.matches:
        for area in matches.bitset.areas:
            _fill(matching, matches, area, curves)
    return curves


def _fill(matching: Matching, matches: Matches, area: int, into: Curves) -> None:
    """Fill in the curves of one area range, for the thresholds of a bitset."""
    ranking, positives, thresholds = matching.ranking, matching.positives[area], matches.bitset.thresholds
    changes = changes_of(matching, matches, area)
    needed = hits_needed(positives, matching.protocol.recall_points)
    # Recall 0 is reached by the first detection, right or wrong.
    first = np.append(ranking.scores, 0.0)[ranking.class_starts[:-1]] * (np.diff(ranking.class_starts) > 0)
    some, rows = positives > 0, slice(thresholds.start, thresholds.stop)
    shape = (len(thresholds), len(positives), len(matching.protocol.recall_points))
    for column, limit in enumerate(matching.protocol.max_detections):
        # Candidates are within the largest limit anyhow.
        within = changes if limit == matching.protocol.max_detections[-1] else _limited(changes, ranking, limit)
        kept = np.logical_not(matching.outside[area])
        kept &= ranking.ranks < limit
        true = true_positives(within, running(kept), within.positions + 1, ranking.class_starts, len(thresholds))
        best, reached_by = envelope(
            true.starts, true.precision, np.tile(np.maximum(needed, 1), (len(thresholds), 1))
        )
        at = np.append(ranking.scores[within.positions[true.rows]], 0.0)[reached_by].reshape(shape)
        at = np.where(needed == 0, first[:, None], at)
        hits = np.diff(true.starts).reshape(shape[:2])
        into.precision[rows, :, some, area, column] = best.reshape(shape)[:, some].transpose(0, 2, 1)
        into.scores[rows, :, some, area, column] = at[:, some].transpose(0, 2, 1)
        into.recall[rows, some, area, column] = hits[:, some] / positives[some]


def _limited(changes: CurveChanges, ranking: Ranking, limit: int) -> CurveChanges:
    """The changes by detections that are among the first ``limit`` of their image and class."""
    rows = np.flatnonzero(ranking.ranks[changes.positions] < limit)
    return CurveChanges(*(column[rows] for column in vars(changes).values()))
