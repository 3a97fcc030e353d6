"""Where the time of an epoch goes. Knows seconds, decides nothing."""

import time


class EpochTimer:
    """Stopwatch of one epoch's loop: what is not waiting for pictures is learning, then validating."""

    def __init__(self) -> None:
        self._began = self._mark = time.perf_counter()
        self._waiting = 0.0
        self._learning = 0.0
        self._batches = 0

    def waits(self) -> None:
        """The wait for the next batch begins."""
        self._mark = time.perf_counter()

    def arrived(self) -> None:
        """A batch is here."""
        self._waiting += time.perf_counter() - self._mark
        self._batches += 1

    def learnt(self) -> None:
        """The last batch of the epoch is learnt."""
        self._learning = self.seconds

    @property
    def seconds(self) -> float:
        """Since the epoch's beginning."""
        return time.perf_counter() - self._began

    @property
    def waiting(self) -> float:
        """Share of the learning time that went by waiting for pictures."""
        return self._waiting / max(self._learning, 1e-9)

    def pictures_per_second(self, batch: int) -> float:
        """While learning, for batches of so many pictures."""
        return self._batches * batch / max(self._learning, 1e-9)
