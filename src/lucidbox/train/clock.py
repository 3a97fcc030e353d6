"""Where the time of an epoch goes. Knows seconds, decides nothing."""

import time


class Clock:
    """Stopwatch of one epoch's loop: waiting for pictures, learning, validating."""

    def __init__(self) -> None:
        self._waiting = self._learning = self._validating = 0.0
        self._batches = 0
        self._mark = time.perf_counter()

    def arrived(self) -> None:
        """A batch is here."""
        self._waiting += self._lap()

    def learnt(self) -> None:
        """It is learnt."""
        self._learning += self._lap()
        self._batches += 1

    def validated(self) -> None:
        """What comes after the last batch is done."""
        self._validating += self._lap()

    def ready(self) -> None:
        """The wait for the next batch begins; what was done since is nobody's."""
        self._lap()

    @property
    def seconds(self) -> float:
        """All of it."""
        return self._waiting + self._learning + self._validating

    @property
    def waiting(self) -> float:
        """Share of the learning time that went by waiting for pictures."""
        return self._waiting / max(self._waiting + self._learning, 1e-9)

    def pictures_per_second(self, batch: int) -> float:
        """While learning, for batches of so many pictures."""
        return self._batches * batch / max(self._waiting + self._learning, 1e-9)

    def _lap(self) -> float:
        before, self._mark = self._mark, time.perf_counter()
        return self._mark - before
