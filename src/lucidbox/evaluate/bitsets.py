"""Cells: one IoU threshold in one area range, each a bit of a 64-bit integer."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Shaped
from lucidbox.evaluate.protocol import Protocol


@dataclass(frozen=True)
class Bitset:
    """The cells that one 64-bit integer holds: some thresholds by some areas.

    Attributes:
        thresholds: indices of the thresholds.
        areas: indices of the area ranges.
    """

    thresholds: range
    areas: range

    def bit(self, threshold: int, area: int) -> int:
        """Place of a cell's bit."""
        return (area - self.areas.start) * len(self.thresholds) + threshold - self.thresholds.start

    def mask(self, area: int) -> int:
        """All thresholds of one area range."""
        return ((1 << len(self.thresholds)) - 1) << self.bit(self.thresholds.start, area)

    def by_level(self, count: int) -> Shaped[np.ndarray, " levels"]:
        """Cells that a pair reaches whose IoU is at or above the first ``level`` of ``count`` thresholds."""
        masks = [
            sum(1 << self.bit(one, area) for area in self.areas for one in self.thresholds if one < level)
            for level in range(count + 1)
        ]
        return np.array(masks, np.uint64)

    def of_areas(self, flags: Bool[np.ndarray, "areas n"]) -> Shaped[np.ndarray, " n"]:
        """For each column of flags per area range, the cells of the areas that are set."""
        cells = np.zeros(flags.shape[1], np.uint64)
        for area in self.areas:
            cells |= flags[area] * np.uint64(self.mask(area))
        return cells


def bitsets(protocol: Protocol) -> list[Bitset]:
    """Cut thresholds and areas into groups of at most 64 cells."""
    thresholds, areas = len(protocol.iou_thresholds), len(protocol.areas)
    wide = min(thresholds, 64)
    tall = 64 // wide
    return [
        Bitset(range(first, min(first + wide, thresholds)), range(top, min(top + tall, areas)))
        for first in range(0, thresholds, wide)
        for top in range(0, areas, tall)
    ]
