"""The tables that a training writes: a row for every batch, a row for every epoch."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lucidbox.core.errors import OutputError
from lucidbox.train.csv_table import CsvTable
from lucidbox.train.logs import open_logs
from lucidbox.train.train_step import Losses


@dataclass(frozen=True)
class EpochRow:
    """One epoch: what is logged and shown.

    Attributes:
        epoch: from 1.
        boxes, classes, distributions, teacher: mean losses.
        ap, ap50: accuracy of the averaged weights on the validation images; NaN where it was not validated.
        rate: learning rate of weights at the end.
        seconds: duration, validation included.
        pictures_per_second: speed of training.
        waiting: share of the training time spent waiting for images.
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
    """Writes ``losses.csv``, ``metrics.csv``, and further logs.

    A resumed training continues after its checkpoint: rows that were written later are removed.

    Args:
        folder: the training's folder.
        names: logs besides the CSV files.
        recipe: given to logs that show parameters.
        batches: batches of a resumed training that stay in ``losses.csv``; None for a new one.
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
        self._losses = CsvTable(folder / "losses.csv", keep_until=batches, rows_at_once=50)

    def batch(self, number: int, epoch: int, losses: Losses) -> None:
        """Record batch ``number`` of the training, from 1, in ``epoch``, from 1."""
        names = ("boxes", "classes", "distributions", "teacher")
        self._losses.add({"step": number, "epoch": epoch, **dict(zip(names, losses.parts, strict=True))})

    def epoch(self, row: EpochRow) -> list[OutputError]:
        """Record an epoch. A log besides the CSV files that fails is not used any more, and its error returned.

        Raises:
            OutputError: ``metrics.csv`` cannot be written.
        """
        csv, *others = self._logs
        csv.add(asdict(row))
        failures = []
        for log in others:
            try:
                log.add(asdict(row))
            except OutputError as error:
                failures.append(error)
                self._logs.remove(log)
        return failures

    def flush(self) -> None:
        """Write waiting rows to the disk, before a checkpoint is saved that continues after them."""
        self._losses.flush()

    def close(self) -> list[OutputError]:
        """Close all logs; the errors of those besides the CSV files are returned.

        Raises:
            OutputError: a CSV file cannot be written.
        """
        csv, *others = self._logs
        failures = []
        with ExitStack() as stack:  # all are closed, also where one fails
            stack.callback(csv.close)
            stack.callback(self._losses.close)
            for log in others:
                try:
                    log.close()
                except OutputError as error:
                    failures.append(error)
        return failures
