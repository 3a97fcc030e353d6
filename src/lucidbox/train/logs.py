"""How a training goes, written down: a row an epoch, a row a batch.

Only the first of several processes writes. What a resumed training repeats is cut off first.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lucidbox.core.errors import OptionError
from lucidbox.train.console_table import Table

_BATCHES_AT_ONCE = 50

_PACKAGES = {"csv": (), "tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}

LOGS = tuple(_PACKAGES)
"""Names for :func:`open_logs`."""


@runtime_checkable
class Log(Protocol):
    """Takes one row of numbers an epoch."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write a row, "epoch" and its number first; all rows have the same names. Numbers need not be finite.

        Raises:
            OutputError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """No more rows will come."""
        ...


def open_logs(
    names: Sequence[str], folder: Path, recipe: Mapping[str, Any], keep_until: int | None = None
) -> tuple[Log, ...]:
    """The logs of these names, in the folder of a training.

    Args:
        names: some of :data:`LOGS`.
        folder: exists; gets ``metrics.csv``, ``tensorboard/``, ``mlflow.db``.
        recipe: the run's parameters, which MLflow shows.
        keep_until: None for a new training; for a resumed one the last epoch that is not repeated.

    Raises:
        OptionError: a name is unknown, or the package that it needs is not installed.
        OutputError: a file cannot be written, or belongs to another training.
    """
    from lucidbox.train.experiment_loggers import MlflowLog, TensorBoardLog

    makers: dict[str, Callable[[], Log]] = {
        "csv": lambda: CsvLog(folder / "metrics.csv", keep_until),
        "tensorboard": lambda: TensorBoardLog(folder / "tensorboard", keep_until),
        "mlflow": lambda: MlflowLog(folder, recipe, keep_until),
    }
    check_logs(names)
    with ExitStack() as stack:
        logs = []
        for name in dict.fromkeys(names):
            logs.append(makers[name]())
            stack.callback(logs[-1].close)
        stack.pop_all()  # all are open: they stay so
        return tuple(logs)


class CsvLog:
    """A :class:`Table` of epochs, each written at once.

    Args:
        path: of the file.
        keep_until: None for a new training, else the last epoch to keep.

    Raises:
        OutputError: as for :class:`Table`.
    """

    def __init__(self, path: Path, keep_until: int | None = None) -> None:
        self._table = Table(path, keep_until)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`Log`."""
        self._table.add(row)
        self._table.flush()

    def close(self) -> None:
        """Let the file go."""
        self._table.close()


class StepLog:
    """A :class:`Table` of batches, written some at a time: to be flushed before a checkpoint is saved.

    Args:
        path: of the file.
        keep_until: None for a new training, else the last batch to keep: the checkpoint's.

    Raises:
        OutputError: as for :class:`Table`.
    """

    def __init__(self, path: Path, keep_until: int | None = None) -> None:
        self._table = Table(path, keep_until)
        self._since = 0

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Take a row: columns step, epoch, and those of ``values``.

        Raises:
            OutputError: it cannot be written.
        """
        self._table.add({"step": step, "epoch": epoch, **values})
        self._since += 1
        if self._since >= _BATCHES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write all rows taken so far, to the disk itself.

        Raises:
            OutputError: they cannot be written.
        """
        self._table.flush()
        self._since = 0

    def close(self) -> None:
        """Write what waits, and let the file go.

        Raises:
            OutputError: it cannot be written.
        """
        self._table.close()


def check_logs(names: Sequence[str]) -> None:
    """See that :func:`open_logs` will know these names and find what they need.

    Raises:
        OptionError: a name is unknown, or the package that it needs is not installed.
    """
    for name in names:
        if name not in _PACKAGES:
            raise OptionError(f"log {name!r} is not one of {', '.join(LOGS)}")
        for package in _PACKAGES[name]:
            if find_spec(package) is None:
                raise OptionError(f"{package} is not installed; pip install 'lucidbox[{name}]'")
