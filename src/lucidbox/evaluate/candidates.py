"""The detections that overlap any truth enough to match, and the order in which they are matched."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.evaluate.overlaps import Boxes, Pairs, list_pairs, rows_of_runs
from lucidbox.evaluate.protocol import Protocol
from lucidbox.evaluate.ranking import Ranking, stable_order

# pycocotools compares with min(threshold, 1 - 1e-10): identical boxes match at threshold 1 in spite of rounding.
HIGHEST_IOU = 1 - 1e-10


@dataclass(frozen=True, eq=False)
class Objects:
    """Truths of the chosen classes, ordered by image, class and row.

    Attributes:
        rows: row of the given truth.
        groups: image index times number of classes plus class index.
        classes: class index.
        boxes: their boxes.
        crowds: crowd flags.
        ignored: per area range, whether a match with the truth is not counted: crowd, or of another size.
    """

    rows: Int[np.ndarray, " t"]
    groups: Int[np.ndarray, " t"]
    classes: Int[np.ndarray, " t"]
    boxes: Boxes
    crowds: Bool[np.ndarray, " t"]
    ignored: Bool[np.ndarray, "areas t"]


@dataclass(frozen=True, eq=False)
class MatchCandidates:
    """Detections that overlap some truth enough, in the order of matching, and their pairs.

    Attributes:
        positions: position in the ranking, for each candidate.
        classes: class index of each candidate.
        by_position: indices that sort the candidates by position.
        firsts: index of the candidate's best pair; its others follow, best IoU first.
        sizes: number of pairs of the candidate.
        round_starts: where each round begins among the candidates; inside a round, most pairs first.
        pairs: the pairs, by candidate; ``detections`` are positions, ``truths`` rows of the objects.
    """

    positions: Int[np.ndarray, " c"]
    classes: Int[np.ndarray, " c"]
    by_position: Int[np.ndarray, " c"]
    firsts: Int[np.ndarray, " c"]
    sizes: Int[np.ndarray, " c"]
    round_starts: Int[np.ndarray, " r"]
    pairs: Pairs


def find_candidates(
    ranking: Ranking, found: Float[np.ndarray, "n 4"], objects: Objects, protocol: Protocol
) -> MatchCandidates:
    """List the pairs that reach the lowest threshold and put their detections into rounds.

    Args:
        ranking: the detections' order.
        found: xywh boxes of the detections, in the order given to the ranking.
        objects: the truths.
        protocol: thresholds and the largest number of detections per image and class.
    """
    first = np.flatnonzero(np.diff(objects.groups, prepend=-1))
    slot = np.searchsorted(ranking.group_ids, objects.groups[first])
    shared = np.append(ranking.group_ids, -1)[slot] == objects.groups[first]
    slot, truth_sizes = slot[shared], np.diff(first, append=len(objects.groups))[shared]
    runs = ranking.group_starts[slot]
    sizes = np.minimum(ranking.group_starts[slot + 1] - runs, protocol.max_detections[-1])
    # New numbers: only detections that share image and class with a truth, group by group, best first.
    positions = ranking.grouped[rows_of_runs(runs, sizes)]
    truths = rows_of_runs(first[shared], truth_sizes)
    pairs = list_pairs(
        Boxes.from_xywh(np.take(found, ranking.detections[positions], axis=0)),
        np.repeat(np.cumsum(sizes) - sizes, truth_sizes),
        np.repeat(sizes, truth_sizes),
        objects.boxes[truths],
        objects.crowds[truths],
        min(protocol.iou_thresholds[0], HIGHEST_IOU),
    )
    ordered = _by_preference(pairs)
    return _in_rounds(
        Pairs(ordered.detections, truths[ordered.truths], ordered.ious),
        positions,
        np.repeat(np.arange(len(slot)), sizes),
        objects.classes,
    )


def _by_preference(pairs: Pairs) -> Pairs:
    """Sort pairs by detection, best IoU first; of equal IoUs the later truth first, as in pycocotools."""
    count = len(pairs.ious)
    bits = count.bit_length()
    key = np.sort((pairs.detections << bits) | np.arange(count - 1, -1, -1))
    order = count - 1 - (key & ((1 << bits) - 1))
    detections = key >> bits
    first = np.flatnonzero(np.diff(detections, prepend=-1))
    sizes = np.diff(first, append=count)
    # Most detections have one truth only; the slow indirect sort is for the others.
    several = np.flatnonzero(np.repeat(sizes > 1, sizes))
    order[several] = order[several][np.lexsort((-pairs.ious[order[several]], detections[several]))]
    return Pairs(detections, pairs.truths[order], pairs.ious[order])


def _in_rounds(
    pairs: Pairs, positions: Int[np.ndarray, " d"], groups: Int[np.ndarray, " d"], classes: Int[np.ndarray, " t"]
) -> MatchCandidates:
    """Number each group's candidates, best first; candidates of the same number are one round.

    Args:
        pairs: pairs sorted by detection, an index into the next two.
        positions: position in the ranking.
        groups: group of each detection, in ascending order.
        classes: class of each truth.
    """
    first = np.flatnonzero(np.diff(pairs.detections, prepend=-1))
    sizes = np.diff(first, append=len(pairs.detections))
    detections = pairs.detections[first]
    group_first = np.flatnonzero(np.diff(groups[detections], prepend=-1))
    group_sizes = np.diff(group_first, append=len(detections))
    rounds = np.arange(len(detections)) - np.repeat(group_first, group_sizes)
    most = int(sizes.max(initial=0))
    order = stable_order(rounds * (most + 1) + most - sizes)
    count = int(rounds.max(initial=-1)) + 1
    ordered = positions[detections[order]]
    return MatchCandidates(
        ordered,
        classes[pairs.truths[first[order]]],
        np.argsort(ordered),
        first[order],
        sizes[order],
        np.searchsorted(rounds[order], np.arange(count + 1)),
        Pairs(positions[pairs.detections], pairs.truths, pairs.ious),
    )
