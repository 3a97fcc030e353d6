"""How long an epoch takes, and how much of that is spent waiting for images."""

import time


class EpochTimer:
    """Stopwatch of one epoch: training, which includes waiting for batches, then validation."""

    def __init__(self) -> None:
        self._began = self._mark = time.perf_counter()
        self._waiting = 0.0
        self._training = 0.0
        self._batches = 0

    def waits(self) -> None:
        """Call when the wait for the next batch begins."""
        self._mark = time.perf_counter()

    def arrived(self) -> None:
        """Call when a batch has arrived."""
        self._waiting += time.perf_counter() - self._mark
        self._batches += 1

    def learnt(self) -> None:
        """Call when the last batch of the epoch is finished."""
        self._training = self.seconds

    @property
    def seconds(self) -> float:
        """Time since the epoch's beginning."""
        return time.perf_counter() - self._began

    @property
    def waiting(self) -> float:
        """Share of the training time spent waiting for images."""
        return self._waiting / max(self._training, 1e-9)

    def pictures_per_second(self, batch: int) -> float:
        """Images per second while training, for batches of this size."""
        return self._batches * batch / max(self._training, 1e-9)
