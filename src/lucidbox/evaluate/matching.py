"""Greedy matching of detections to truths, for all thresholds and areas at once.

A *cell* is one IoU threshold in one area range. Matching in one cell never looks at another, so up to 64
cells are the bits of one unsigned integer, and "is this truth still free" for all of them is one operation.
In each picture and class the detections that have any truth to match are taken best first: the first of
every group at once, then the second of every group, and so on.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.evaluate.bitsets import Bitset
from lucidbox.evaluate.candidates import HIGHEST_IOU, MatchCandidates, Objects
from lucidbox.evaluate.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Matches:
    """The outcome for one word of cells.

    Attributes:
        word: which cells.
        true: for each candidate, the cells in which it found a truth that counts.
        ignored: the cells in which it fell on an ignored truth and is left out of the count.
        paired: for each pair, the cells in which exactly this pair was matched (counted or ignored).
    """

    word: Bitset
    true: Shaped[np.ndarray, " c"]
    ignored: Shaped[np.ndarray, " c"]
    paired: Shaped[np.ndarray, " p"]


def match(candidates: MatchCandidates, objects: Objects, protocol: Protocol, word: Bitset) -> Matches:
    """Match every candidate in every cell of a word.

    A detection takes the free truth of highest IoU among those that count; if there is none, among the
    ignored ones. Crowds stay free for ever.
    """
    pairs = candidates.pairs
    thresholds = np.minimum(protocol.iou_thresholds, HIGHEST_IOU)
    levels = np.searchsorted(thresholds, pairs.ious, side="right")
    reached = word.by_level(len(thresholds))[levels]
    ignored = word.of_areas(objects.ignored)
    counting = reached & ~ignored[pairs.truths]
    spared = reached & ignored[pairs.truths]
    # What a truth's bit takes away from later detections: for a crowd nothing.
    consumes = np.where(objects.crowds, np.uint64(0), ~np.uint64(0))
    taken_truth = np.zeros(len(objects.rows), np.uint64)
    paired = np.zeros(len(pairs.ious), np.uint64)
    true = np.zeros(len(candidates.positions), np.uint64)
    left_out = np.zeros(len(candidates.positions), np.uint64)
    for start, end in zip(candidates.round_starts[:-1], candidates.round_starts[1:], strict=True):
        firsts, sizes = candidates.firsts[start:end], candidates.sizes[start:end]
        # Sizes fall inside a round, so the candidates that have a pair in this slot are a prefix.
        slots = [firsts[: np.searchsorted(-sizes, -slot)] + slot for slot in range(int(sizes[0]))]
        done = np.zeros(end - start, np.uint64)
        for wanted, outcome in ((counting, true), (spared, left_out)):
            before = done.copy()
            for rows in slots:
                truths = pairs.truths[rows]
                got = wanted[rows] & ~taken_truth[truths] & ~done[: len(rows)]
                taken_truth[truths] |= got & consumes[truths]
                done[: len(rows)] |= got
                paired[rows] |= got
            outcome[start:end] = done & ~before
    return Matches(word, true, left_out, paired)
