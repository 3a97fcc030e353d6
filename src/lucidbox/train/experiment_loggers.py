"""Logs for TensorBoard and MLflow. Both packages are optional, and imported when first used."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write, output_error


class TensorBoardLog:
    """Curves for TensorBoard, one for each column.

    Args:
        folder: the folder of its event files.
        keep_until: None for a new training; else TensorBoard ignores what is there of epochs after this one.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, keep_until: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        purge_step = None if keep_until is None else keep_until + 1
        try:
            self._writer: Any = SummaryWriter(str(folder), purge_step=purge_step)
        except OSError as error:
            raise output_error(folder, error) from error

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`lucidbox.train.logs.Log`."""
        try:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
            self._writer.flush()
        except OSError as error:
            raise output_error(self._folder, error) from error

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


class MlflowLog:
    """A run of MLflow: the recipe as its parameters, and a metric for each column.

    It is written to ``MLFLOW_TRACKING_URI`` if the user has set that, else to ``mlflow.db`` (SQLite) in the
    training's folder, and nowhere over a network. MLflow's own telemetry is switched off. Rows that a resumed
    training repeats are in the run twice: MLflow cannot delete single numbers.

    Args:
        folder: the training's folder; ``mlflow-run.txt`` there holds the run's id.
        recipe: the run's parameters.
        keep_until: None for a new training, else the run in ``mlflow-run.txt`` is continued, if it is found.

    Raises:
        OutputError: MLflow cannot write there.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], keep_until: int | None = None) -> None:
        # Read when mlflow is imported: it reports its use from then on.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        import mlflow

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces every table it makes
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._failure = mlflow.MlflowException
        run_file = folder / "mlflow-run.txt"
        try:
            self._client: Any = mlflow.MlflowClient(tracking_uri=self._uri)
            self._run = (keep_until is not None and self._resumed(run_file)) or self._new(folder, recipe)
        except self._failure as error:
            raise self._output_error(error) from error
        atomic_write(run_file, f"{self._run}\n")

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`lucidbox.train.logs.Log`."""
        try:
            for name, value in row.items():
                if name != "epoch":
                    self._client.log_metric(self._run, name, float(value), step=int(row["epoch"]))
        except self._failure as error:
            raise self._output_error(error) from error

    def close(self) -> None:
        """Mark the run as ended."""
        try:
            self._client.set_terminated(self._run)
        except self._failure as error:
            raise self._output_error(error) from error

    def _resumed(self, run_file: Path) -> str:
        if not run_file.exists():
            return ""
        run = run_file.read_text(encoding="utf-8").strip()
        try:
            self._client.update_run(run, status="RUNNING")
        except self._failure:  # the user has changed the URI or deleted the run
            return ""
        return run

    def _new(self, folder: Path, recipe: Mapping[str, Any]) -> str:
        experiment = self._client.get_experiment_by_name("lucidbox")
        number = experiment.experiment_id if experiment else self._client.create_experiment("lucidbox")
        run = self._client.create_run(number, run_name=folder.resolve().name).info.run_id
        for key, value in recipe.items():
            self._client.log_param(run, key, value)
        return str(run)

    def _output_error(self, error: Exception) -> OutputError:
        reason = str(error).partition("\n")[0]
        return OutputError(f"{self._uri}: MLflow: {reason}; choose another place in MLFLOW_TRACKING_URI")
