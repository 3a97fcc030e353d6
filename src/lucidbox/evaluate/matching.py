"""The evaluator's greedy matching of detections to truths, under all thresholds and area ranges at once.

Up to 64 settings (one IoU threshold in one area range, see :mod:`lucidbox.evaluate.bitsets`) are the bits of one
integer, so "is this truth still free" is one operation for all of them. That makes it another algorithm than
:func:`lucidbox.core.matching.match_boxes`, which matches two sets of boxes under one threshold.
In each image and class the detections that overlap any truth are taken best first: the first of every group at
once, then the second of every group, and so on.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.evaluate.bitsets import Bitset
from lucidbox.evaluate.candidates import HIGHEST_IOU, MatchCandidates, Objects
from lucidbox.evaluate.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Matches:
    """The matches under the settings of one bitset.

    Attributes:
        bitset: which bit is which setting.
        true: for each candidate, the settings in which it found a truth that counts.
        ignored: for each candidate, the settings in which it matched an ignored truth and is not counted.
        paired: for each pair, the settings in which exactly this pair was matched (counted or ignored).
    """

    bitset: Bitset
    true: Shaped[np.ndarray, " c"]
    ignored: Shaped[np.ndarray, " c"]
    paired: Shaped[np.ndarray, " p"]


def match(candidates: MatchCandidates, objects: Objects, protocol: Protocol, bitset: Bitset) -> Matches:
    """Match every candidate under every setting of a bitset.

    A detection takes the free truth of highest IoU among those that count; if there is none, among the
    ignored ones. Crowds stay free.
    """
    pairs = candidates.pairs
    thresholds = np.minimum(protocol.iou_thresholds, HIGHEST_IOU)
    levels = np.searchsorted(thresholds, pairs.ious, side="right")
    reached = bitset.by_level(len(thresholds))[levels]
    ignored_truths = bitset.of_areas(objects.ignored)
    counting = reached & ~ignored_truths[pairs.truths]
    ignoring = reached & ignored_truths[pairs.truths]
    # The bits that a match makes unavailable to later detections: for a crowd none.
    consumes = np.where(objects.crowds, np.uint64(0), ~np.uint64(0))
    taken = np.zeros(len(objects.rows), np.uint64)
    paired = np.zeros(len(pairs.ious), np.uint64)
    true = np.zeros(len(candidates.positions), np.uint64)
    ignored = np.zeros(len(candidates.positions), np.uint64)
    for start, end in zip(candidates.round_starts[:-1], candidates.round_starts[1:], strict=True):
        firsts, sizes = candidates.firsts[start:end], candidates.sizes[start:end]
        # Sizes fall inside a round, so the candidates that have a pair in this slot are a prefix.
        slots = [firsts[: np.searchsorted(-sizes, -slot)] + slot for slot in range(int(sizes[0]))]
        done = np.zeros(end - start, np.uint64)
        for wanted, result in ((counting, true), (ignoring, ignored)):
            before = done.copy()
            for rows in slots:
                truths = pairs.truths[rows]
                matched = wanted[rows] & ~taken[truths] & ~done[: len(rows)]
                taken[truths] |= matched & consumes[truths]
                done[: len(rows)] |= matched
                paired[rows] |= matched
            result[start:end] = done & ~before
    return Matches(bitset, true, ignored, paired)
