"""Sets of evaluation settings as the bits of 64-bit integers. A setting is one IoU threshold in one area range."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Shaped
from lucidbox.evaluate.protocol import Protocol


@dataclass(frozen=True)
class Bitset:
    """Which setting each bit of a 64-bit integer stands for: some thresholds by some area ranges.

    Attributes:
        thresholds: indices of the thresholds.
        areas: indices of the area ranges.
    """

    thresholds: range
    areas: range

    def bit(self, threshold: int, area: int) -> int:
        """The position of a setting's bit."""
        return (area - self.areas.start) * len(self.thresholds) + threshold - self.thresholds.start

    def mask(self, area: int) -> int:
        """The bits of all thresholds in one area range."""
        return ((1 << len(self.thresholds)) - 1) << self.bit(self.thresholds.start, area)

    def by_level(self, count: int) -> Shaped[np.ndarray, " levels"]:
        """For each level from 0 to ``count``, the settings whose threshold is one of the first ``level`` ones."""
        masks = [
            sum(1 << self.bit(index, area) for area in self.areas for index in self.thresholds if index < level)
            for level in range(count + 1)
        ]
        return np.array(masks, np.uint64)

    def of_areas(self, flags: Bool[np.ndarray, "areas n"]) -> Shaped[np.ndarray, " n"]:
        """For each column of flags per area range, the settings in the area ranges that are set."""
        settings = np.zeros(flags.shape[1], np.uint64)
        for area in self.areas:
            settings |= flags[area] * np.uint64(self.mask(area))
        return settings


def bitsets(protocol: Protocol) -> list[Bitset]:
    """Divide thresholds and area ranges into groups of at most 64 settings."""
    thresholds, areas = len(protocol.iou_thresholds), len(protocol.areas)
    wide = min(thresholds, 64)
    tall = 64 // wide
    return [
        Bitset(range(first, min(first + wide, thresholds)), range(top, min(top + tall, areas)))
        for first in range(0, thresholds, wide)
        for top in range(0, areas, tall)
    ]
