"""What a training tells, while it runs and at its end."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.train.records import EpochRow
from lucidbox.train.train_step import Losses


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        folder: of its files.
        epochs: done.
        best_ap: best AP on the validation pictures, from 0 to 1; -1 before the first validation.
        best_epoch: whose that was, from 1.
        ending: "done", "patience" or "interrupted".
        seconds: of all sittings.
    """

    folder: Path
    epochs: int
    best_ap: float
    best_epoch: int
    ending: str
    seconds: float


class Callbacks:
    """Told how a training goes, in the first of several processes; this one does nothing."""

    def say(self, message: str) -> None:
        """Something for the user to know."""

    def batch(self, done: int, total: int, losses: Losses) -> None:
        """``done`` of ``total`` batches of the whole training are learnt."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is done."""

    def end(self) -> None:
        """No more batches come, for whatever reason."""


SILENT = Callbacks()
"""One that does nothing."""
