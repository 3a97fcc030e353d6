"""Logs for other programs to show: TensorBoard and MLflow. Both are optional, and imported when first used."""

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
        folder: of its event files.
        keep_until: None for a new training; else TensorBoard is told to forget the epochs after this one.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, keep_until: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        forget = None if keep_until is None else keep_until + 1
        try:
            self._writer: Any = SummaryWriter(str(folder), purge_step=forget)
        except OSError as error:
            raise output_error(folder, error) from error

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`Log`."""
        try:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
            self._writer.flush()
        except OSError as error:
            raise output_error(self._folder, error) from error

    def close(self) -> None:
        """Let the files go."""
        self._writer.close()


class MlflowLog:
    """A run of MLflow: the recipe as its parameters, and a metric for each column.

    It goes where ``MLFLOW_TRACKING_URI`` says if the user has set that, else into ``mlflow.db`` (SQLite) in the
    training's folder, and nowhere over a network. MLflow's own telemetry is switched off. What a resumed training
    repeats stays in the run beside what it was before: MLflow cannot forget single numbers.

    Args:
        folder: of the training; ``mlflow-run.txt`` there holds the run's id.
        recipe: the run's parameters.
        keep_until: None for a new training, else the run in ``mlflow-run.txt`` is continued, if it is found.

    Raises:
        OutputError: MLflow cannot write there.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], keep_until: int | None = None) -> None:
        # Read when mlflow is imported: it reports its use from then on.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        import mlflow

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # tells of tables being made
        self._place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._broken = mlflow.MlflowException
        known = folder / "mlflow-run.txt"
        try:
            self._client: Any = mlflow.MlflowClient(tracking_uri=self._place)
            self._run = (keep_until is not None and self._resumed(known)) or self._new(folder, recipe)
        except self._broken as error:
            raise self._refusal(error) from error
        atomic_write(known, f"{self._run}\n")

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`Log`."""
        try:
            for name, value in row.items():
                if name != "epoch":
                    self._client.log_metric(self._run, name, float(value), step=int(row["epoch"]))
        except self._broken as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Mark the run as ended."""
        try:
            self._client.set_terminated(self._run)
        except self._broken as error:
            raise self._refusal(error) from error

    def _resumed(self, known: Path) -> str:
        if not known.exists():
            return ""
        run = known.read_text(encoding="utf-8").strip()
        try:
            self._client.update_run(run, status="RUNNING")
        except self._broken:  # the user sent it to another place, or deleted it there
            return ""
        return run

    def _new(self, folder: Path, recipe: Mapping[str, Any]) -> str:
        experiment = self._client.get_experiment_by_name("lucidbox")
        number = experiment.experiment_id if experiment else self._client.create_experiment("lucidbox")
        run = self._client.create_run(number, run_name=folder.resolve().name).info.run_id
        for key, value in recipe.items():
            self._client.log_param(run, key, value)
        return str(run)

    def _refusal(self, error: Exception) -> OutputError:
        reason = str(error).partition("\n")[0]
        return OutputError(f"{self._place}: MLflow: {reason}; choose another place in MLFLOW_TRACKING_URI")
