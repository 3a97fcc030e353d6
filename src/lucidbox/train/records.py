"""What is written down as a training goes: every batch, every epoch."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lucidbox.core.errors import OutputError
from lucidbox.train.logs import StepLog, open_logs
from lucidbox.train.train_step import Losses


@dataclass(frozen=True)
class EpochRow:
    """One epoch: what is logged and shown.

    Attributes:
        epoch: from 1.
        boxes, classes, distributions, teacher: mean losses.
        ap, ap50: of the average's weights on the validation pictures; NaN where it was not validated.
        rate: learning rate of weights at the end.
        seconds: it took, validation included.
        pictures_per_second: while learning.
        waiting: share of that time spent waiting for pictures.
    """

    epoch: int
    boxes: float
    classes: float
    distributions: float
    teacher: float
    ap: float
    ap50: float
    rate: float
    seconds: float
    pictures_per_second: float
    waiting: float


class Records:
    """``losses.csv``, ``metrics.csv``, and the logs asked for besides.

    A resumed training goes on after its checkpoint: what was written later, before it was killed, is cut off.

    Args:
        folder: of the training.
        names: logs besides the CSV files.
        recipe: to be logged, where a log takes such.
        batches: of a resumed training, done so far: they stay in ``losses.csv``; None for a new one.
        epochs: likewise, in ``metrics.csv``.

    Raises:
        OptionError: a log is unknown, or its package is not installed.
        OutputError: a file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        recipe: Mapping[str, Any],
        batches: int | None,
        epochs: int | None,
    ) -> None:
        self._logs = list(open_logs(("csv", *names), folder, recipe, keep_until=epochs))
        self._losses = StepLog(folder / "losses.csv", keep_until=batches)

    def batch(self, number: int, epoch: int, losses: Losses) -> None:
        """Batch ``number`` of the training, from 1, in ``epoch``, from 1."""
        names = ("boxes", "classes", "distributions", "teacher")
        self._losses.write(number, epoch, dict(zip(names, losses.parts, strict=True)))

    def epoch(self, row: EpochRow) -> list[OutputError]:
        """An epoch. A log for another program that fails is given up, and its error returned.

        Raises:
            OutputError: ``metrics.csv`` cannot be written.
        """
        csv, *others = self._logs
        csv.epoch(asdict(row))
        failures = []
        for log in others:
            try:
                log.epoch(asdict(row))
            except OutputError as error:
                failures.append(error)
                self._logs.remove(log)
        return failures

    def flush(self) -> None:
        """Make sure that what a checkpoint will go on from is on disk."""
        self._losses.flush()

    def close(self) -> None:
        """End all logs."""
        with ExitStack() as stack:  # all are closed, also where one fails
            for log in self._logs:
                stack.callback(log.close)
            stack.callback(self._losses.close)
