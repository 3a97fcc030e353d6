"""Logs for TensorBoard and MLflow. Both packages are optional, and imported when first used."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write, output_error

PATIENCE_SECONDS = 60
"""Seconds after which a call of MLflow that has not answered is given up."""


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
        # By default a server that is dead is asked eight times, for 200 seconds in all, at each call.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        import mlflow

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # it announces every table it makes
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or _database(folder.resolve() / "mlflow.db")
        self._failure = mlflow.MlflowException
        run_file = folder / "mlflow-run.txt"

        def begin() -> None:
            self._client: Any = mlflow.MlflowClient(tracking_uri=self._uri)
            self._run = (keep_until is not None and self._resumed(run_file)) or self._new(folder, recipe)

        self._ask(begin)
        atomic_write(run_file, f"{self._run}\n")

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row; see :class:`lucidbox.train.logs.Log`."""
        from mlflow.entities import Metric

        now, epoch = int(time.time() * 1000), int(row["epoch"])
        metrics = [Metric(name, float(value), now, epoch) for name, value in row.items() if name != "epoch"]
        self._ask(lambda: self._client.log_batch(self._run, metrics=metrics))

    def close(self) -> None:
        """Mark the run as ended."""
        self._ask(lambda: self._client.set_terminated(self._run))

    def _ask(self, call: Callable[[], object]) -> None:
        """Call MLflow, and give up after :data:`PATIENCE_SECONDS`: some of its own attempts go on for minutes.

        Raises:
            OutputError: it fails, or does not answer in time.
        """
        answer: Future[None] = Future()

        def work() -> None:
            try:
                call()
                answer.set_result(None)
            except BaseException as error:
                answer.set_exception(error)

        Thread(target=work, daemon=True).start()
        try:
            answer.result(PATIENCE_SECONDS)
        except Exception as error:  # of MLflow, of its database, or of the network
            silent = isinstance(error, TimeoutError)
            reason = f"no answer in {PATIENCE_SECONDS} s" if silent else str(error).partition("\n")[0]
            raise OutputError(
                f"{self._uri}: MLflow: {reason}; choose another place in MLFLOW_TRACKING_URI"
            ) from error

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
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name("lucidbox")
        number = experiment.experiment_id if experiment else self._client.create_experiment("lucidbox")
        run = self._client.create_run(number, run_name=folder.resolve().name).info.run_id
        params = [Param(key, str(value)) for key, value in recipe.items()]
        self._client.log_batch(run, params=params)
        return str(run)


def _database(path: Path) -> str:
    """The address of an SQLite file, in which SQLAlchemy finds it again.

    Raises:
        OutputError: it would find another file, as versions before 2.1 do where there is a question mark.
    """
    from sqlalchemy import URL, make_url

    # With its driver named, since MLflow makes the folder of a plain sqlite: address without unquoting that.
    wanted = URL.create("sqlite+pysqlite", database=str(path))
    address = wanted.render_as_string()
    if make_url(address) != wanted:
        raise OutputError(f"{path}: MLflow cannot open a file of this name; choose a folder without ? in its path")
    return address
