"""The logs of a training: one row of numbers for each epoch, in CSV, TensorBoard or MLflow.

Only the first of several processes writes. In a resumed training the rows that it repeats are removed first.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lucidbox.core.errors import OptionError
from lucidbox.train.csv_table import CsvTable

_PACKAGES = {"csv": (), "tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}

LOGS = tuple(_PACKAGES)
"""Names for :func:`open_logs`."""


@runtime_checkable
class Log(Protocol):
    """Takes one row of numbers for each epoch."""

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row, "epoch" and its number first; all rows have the same names. Numbers need not be finite.

        Raises:
            OutputError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """Finish the log."""
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
        "csv": lambda: CsvTable(folder / "metrics.csv", keep_until),
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


def check_logs(names: Sequence[str]) -> None:
    """Check that these logs can be opened here.

    Raises:
        OptionError: a name is unknown, or the package that it needs is not installed.
    """
    for name in names:
        if name not in _PACKAGES:
            raise OptionError(f"log {name!r} is not one of {', '.join(LOGS)}")
        for package in _PACKAGES[name]:
            if find_spec(package) is None:
                raise OptionError(f"{package} is not installed; pip install 'lucidbox[{name}]'")
