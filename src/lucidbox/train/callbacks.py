"""What a training reports while it runs, and its result."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.train.records import EpochRow
from lucidbox.train.train_step import Losses


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        folder: the folder of its files.
        epochs: number of finished epochs.
        best_ap: best AP on the validation images, from 0 to 1; -1 before the first validation.
        best_epoch: the epoch of the best AP, from 1.
        ending: "done", "patience" or "interrupted".
        seconds: duration, earlier runs of a resumed training included.
    """

    folder: Path
    epochs: int
    best_ap: float
    best_epoch: int
    ending: str
    seconds: float


class Callbacks:
    """Methods that a training calls, in the first of several processes only. Here they do nothing.

    Example:
        >>> class PrintAP(Callbacks):
        ...     def epoch(self, row):
        ...         print(row.epoch, row.ap)
    """

    def say(self, message: str) -> None:
        """A message for the user."""

    def batch(self, done: int, total: int, losses: Losses) -> None:
        """``done`` of ``total`` batches of the whole training are finished."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is finished."""

    def end(self) -> None:
        """No more batches come, for whatever reason."""


SILENT = Callbacks()
"""Callbacks that do nothing."""
