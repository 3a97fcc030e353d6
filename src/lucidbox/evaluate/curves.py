"""Precision and recall curves from matches.

Precision's envelope is attained at true positives: recall rises only there, and anything else only lowers
precision. So a curve needs the true positives alone and, for each, how many counted detections rank at or
above it: a running sum over all detections inside the area range, corrected at the few detections whose match
overrules their own size.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Shaped
from lucidbox.evaluate.candidates import MatchCandidates, Objects
from lucidbox.evaluate.matching import Matches
from lucidbox.evaluate.protocol import Protocol
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
class Field:
    """What all curves share.

    Attributes:
        ranking: the detections' order.
        outside: per area range, whether the detection at each position is of another size.
        positives: number of truths that count, per area range and class.
        protocol: the rules.
    """

    ranking: Ranking
    outside: Bool[np.ndarray, "areas n"]
    positives: Int[np.ndarray, "areas classes"]
    protocol: Protocol


@dataclass(frozen=True, eq=False)
class Events:
    """The detections that move a curve, for all thresholds of one area range, by threshold then position.

    Attributes:
        positions: position in the ranking.
        lanes: threshold (from 0 in its word) times number of classes plus class; not falling.
        true: whether it is a true positive.
        change: by how much it corrects the running count of counted detections: -1, 0 or 1.
    """

    positions: Int[np.ndarray, " e"]
    lanes: Int[np.ndarray, " e"]
    true: Bool[np.ndarray, " e"]
    change: Int[np.ndarray, " e"]


@dataclass(frozen=True, eq=False)
class Trace:
    """The true positives of one area range and detection limit.

    Attributes:
        starts: where each lane (threshold by class) begins; the last entry is the number of true positives.
        precision: share of true positives among the counted detections down to each one.
        scores: its score.
    """

    starts: Int[np.ndarray, " lanes1"]
    precision: Float[np.ndarray, " h"]
    scores: Float[np.ndarray, " h"]


def field_of(
    ranking: Ranking,
    sizes: Float[np.ndarray, " n"],
    objects: Objects,
    protocol: Protocol,
) -> Field:
    """Collect what all curves share.

    Args:
        ranking: the detections' order.
        sizes: area of each detection in square pixels, in the order given to the ranking.
        objects: the truths.
        protocol: the rules.
    """
    # Flags are an eighth of the size of areas: quicker to put in order.
    outside = np.array([((sizes < one.low) | (sizes > one.high))[ranking.detections] for one in protocol.areas])
    classes = len(ranking.class_starts) - 1
    positives = [np.bincount(objects.classes[~ignored], minlength=classes) for ignored in objects.ignored]
    return Field(ranking, outside, np.array(positives), protocol)


def events_of(field: Field, candidates: MatchCandidates, matches: Matches, area: int) -> Events:
    """Gather true positives and corrections of one area range, for the thresholds of a word."""
    order = candidates.by_position
    positions = candidates.positions[order]
    outside = field.outside[area, positions]
    mask = np.uint64(matches.word.mask(area))
    true = matches.true[order] & mask
    change = np.where(outside, true, matches.ignored[order] & mask)
    class_of = candidates.classes[order]
    classes = len(field.ranking.class_starts) - 1
    columns = []
    for lane, threshold in enumerate(matches.word.thresholds):
        bit = np.uint64(1 << matches.word.bit(threshold, area))
        hit, changed = true & bit != 0, change & bit != 0
        chosen = np.flatnonzero(hit | changed)
        sign = np.where(outside[chosen], 1, -1)
        columns.append((positions[chosen], lane * classes + class_of[chosen], hit[chosen], changed[chosen] * sign))
    return Events(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def hits_needed(
    positives: Int[np.ndarray, "areas classes"], points: tuple[float, ...]
) -> Int[np.ndarray, "areas classes points"]:
    """The fewest true positives whose recall reaches each point, exactly as doubles compare."""
    wanted, total = np.array(points), np.maximum(positives, 1)[..., None]
    needed: Int[np.ndarray, "areas classes points"] = np.ceil(wanted * total).astype(np.int64)
    # The product is rounded, so the answer can be one off either way; the quotient decides.
    needed -= (needed - 1) / total >= wanted
    needed += needed / total < wanted
    return needed


def trace(field: Field, all_events: Events, height: int, area: int, limit: int) -> Trace:
    """Precision and score at every true positive of one area range and detection limit.

    Args:
        field: what all curves share.
        all_events: the events of the area range.
        height: number of thresholds in them.
        area: index of the area range.
        limit: detections kept per picture and class.
    """
    ranking, events = field.ranking, all_events
    classes = len(ranking.class_starts) - 1
    # Candidates are within the largest limit anyhow.
    if limit < field.protocol.max_detections[-1]:
        chosen = np.flatnonzero(ranking.ranks[events.positions] < limit)
        events = Events(*(column[chosen] for column in vars(events).values()))
    kept = np.logical_not(field.outside[area])
    kept &= ranking.ranks < limit
    counted = running(kept)
    corrected = running(events.change)
    lanes = np.arange(height * classes + 1)
    hits = np.flatnonzero(events.true)
    lane_starts = np.searchsorted(events.lanes[hits], lanes)
    sizes = np.diff(lane_starts)
    before = np.tile(counted[ranking.class_starts[:-1]], height)
    before = before + corrected[np.searchsorted(events.lanes, lanes[:-1])]
    positions = events.positions[hits]
    counts = counted[positions + 1] + corrected[hits + 1] - np.repeat(before, sizes)
    numbers = np.arange(1, len(hits) + 1) - np.repeat(lane_starts[:-1], sizes)
    # pycocotools adds the spacing so as never to divide by zero; for one counted detection it shows.
    return Trace(lane_starts, numbers / (counts + np.spacing(1)), ranking.scores[positions])


def running(steps: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n1"]:
    """Running sum with a zero in front: entry p is the sum of what lies before position p."""
    # Flags are counted in 32 bits, half the memory; weights might need more.
    total = np.zeros(len(steps) + 1, np.int32 if steps.dtype == bool else np.int64)
    np.cumsum(steps, out=total[1:])
    return total


def envelope(
    traced: Trace, needed: Int[np.ndarray, "lanes points"]
) -> tuple[Float[np.ndarray, "lanes points"], Float[np.ndarray, "lanes points"]]:
    """Best precision at or beyond each recall point, and the score where the point is reached; 0 if it is not.

    Args:
        traced: the true positives.
        needed: true positives to reach each point, at least 1, by lane.
    """
    starts, sizes = traced.starts[:-1, None], np.diff(traced.starts)[:, None]
    reached = needed <= sizes
    index = np.where(reached, starts + needed - 1, starts + sizes)
    # The best between this recall point and the next, then the best of all points from here on.
    between = np.maximum.reduceat(np.append(traced.precision, 0.0), index.ravel()).reshape(index.shape)
    between[~reached] = 0
    best = np.maximum.accumulate(between[:, ::-1], axis=1)[:, ::-1]
    return best, np.where(reached, np.append(traced.scores, 0.0)[index], 0.0)


def curves_of(field: Field, candidates: MatchCandidates, outcomes: tuple[Matches, ...]) -> Curves:
    """All curves: every threshold, recall point, class, area range and detection limit."""
    protocol, classes = field.protocol, len(field.ranking.class_starts) - 1
    thresholds, points = len(protocol.iou_thresholds), len(protocol.recall_points)
    outer = (len(protocol.areas), len(protocol.max_detections), thresholds, classes)
    # In memory each curve lies in one piece, which is how they are written; the axes are then put in order.
    curves = Curves(
        np.full((*outer, points), -1.0).transpose(2, 4, 3, 0, 1),
        np.full(outer, -1.0).transpose(2, 3, 0, 1),
        np.full((*outer, points), -1.0).transpose(2, 4, 3, 0, 1),
    )
    for matches in outcomes:
        for area in matches.word.areas:
            _draw(field, candidates, matches, area, curves)
    return curves


def _draw(field: Field, candidates: MatchCandidates, matches: Matches, area: int, into: Curves) -> None:
    """Fill in the curves of one area range, for the thresholds of a word."""
    ranking, positives, lanes = field.ranking, field.positives[area], matches.word.thresholds
    events = events_of(field, candidates, matches, area)
    needed = hits_needed(field.positives[[area]], field.protocol.recall_points)[0]
    # Recall 0 is reached by the first detection, right or wrong.
    first = np.append(ranking.scores, 0.0)[ranking.class_starts[:-1]] * (np.diff(ranking.class_starts) > 0)
    some, rows = positives > 0, slice(lanes.start, lanes.stop)
    shape = (len(lanes), len(positives), len(field.protocol.recall_points))
    for column, limit in enumerate(field.protocol.max_detections):
        traced = trace(field, events, len(lanes), area, limit)
        best, reached_at = envelope(traced, np.tile(np.maximum(needed, 1), (len(lanes), 1)))
        at = np.where(needed == 0, first[:, None], reached_at.reshape(shape))
        hits = np.diff(traced.starts).reshape(shape[:2])
        into.precision[rows, :, some, area, column] = best.reshape(shape)[:, some].transpose(0, 2, 1)
        into.scores[rows, :, some, area, column] = at[:, some].transpose(0, 2, 1)
        into.recall[rows, some, area, column] = hits[:, some] / positives[some]
