"""Percentiles of repeated measurements; no means, since one interruption spoils a mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Percentiles of measurements, in their unit.

    Attributes:
        count: number of measurements.
        p10, p50, p90, p99: values that so many per cent of them do not exceed, interpolated.
    """

    count: int
    p10: float
    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one measurement."""
        p10, p50, p90, p99 = np.percentile(np.asarray(values, np.float64), (10, 50, 90, 99)).tolist()
        return cls(len(values), p10, p50, p90, p99)

    @property
    def width(self) -> float:
        """From the 10th to the 90th percentile, as a share of the median."""
        return (self.p90 - self.p10) / self.p50 if self.p50 else 0.0
