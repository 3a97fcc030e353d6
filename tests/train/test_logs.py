"""Tables that survive crashes and are cut for a resumed training; logs for other programs."""

import errno
import math
import struct
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError, OutputError
from lucidbox.train.csv_table import CsvTable
from lucidbox.train.logs import open_logs


def row(epoch, **values):
    return {"epoch": epoch, "boxes": 1.5 / epoch, "ap": math.nan} | values


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.csv"


def test_rows_are_there_at_once_columns_from_the_first(path):
    log = CsvTable(path)
    log.add(row(1))
    assert path.read_text() == "epoch,boxes,ap\n1,1.5,nan\n"
    log.add(row(2, ap=math.inf))
    assert path.read_text() == "epoch,boxes,ap\n1,1.5,nan\n2,0.75,inf\n"
    log.close()


@pytest.mark.parametrize("other", [{"epoch": 2, "ap": 1.0, "boxes": 1.0}, {"epoch": 2, "boxes": 1.0}])
def test_other_columns_are_refused_and_the_file_stays(path, other):
    log = CsvTable(path)
    log.add(row(1))
    with pytest.raises(OutputError, match="has the columns epoch, boxes, ap, not"):
        log.add(other)
    log.add(row(2))
    log.close()
    assert path.read_text().count("\n") == 3


def test_a_new_training_writes_over_nothing(path):
    path.write_text("mine")
    with pytest.raises(OutputError, match="in the way"):
        CsvTable(path)
    assert path.read_text() == "mine"


def test_a_resumed_training_repeats_what_came_after_its_checkpoint(path):
    log = CsvTable(path)
    for epoch in range(1, 6):
        log.add(row(epoch))
    log.close()
    whole = path.read_text()
    log = CsvTable(path, keep_until=3)
    assert path.read_text() == "".join(whole.splitlines(keepends=True)[:4])
    log.add(row(4))
    log.add(row(5))
    log.close()
    assert path.read_text() == whole
    log = CsvTable(path, keep_until=3)
    with pytest.raises(OutputError, match="has the columns"):
        log.add({"epoch": 4, "other": 1.0})
    log.close()


@pytest.mark.parametrize(
    "broken", ["", "4,0.3", "4", "epo", "\n", "4,0.375,nan,1\n", "x,0.375,nan\n", "\0\0\0\0\n"]
)
def test_what_a_crash_left_half_written_is_cut_off(path, broken):
    whole = "epoch,boxes,ap\n1,1.5,nan\n2,0.75,nan\n"
    path.write_text(whole + broken + ("5,1.0,1.0\n" if broken.endswith("\n") else ""))
    log = CsvTable(path, keep_until=9)
    assert path.read_text() == whole
    log.add(row(3))
    log.close()
    assert path.read_text() == whole + "3,0.5,nan\n"


@pytest.mark.parametrize("content", [None, "", "epoch,bo"])
def test_resumed_without_a_whole_header_it_begins_anew(path, content):
    if content is not None:
        path.write_text(content)
    log = CsvTable(path, keep_until=0)
    log.add(row(1))
    log.close()
    assert path.read_text() == "epoch,boxes,ap\n1,1.5,nan\n"


@settings(max_examples=20, deadline=None)  # each waits for the disk
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_numbers_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    table = CsvTable(path, rows_at_once=50)
    for step, value in enumerate(values):
        table.add({"step": step, "double": value, "third": np.float64(1 / 3)})
    table.close()
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    for (step, (number, double, third)), value in zip(enumerate(lines), values, strict=True):
        assert math.isnan(value) or struct.pack("d", float(double)) == struct.pack("d", value)
        assert (int(number), float(third)) == (step, 1 / 3)


def test_a_disk_that_fills_up_leaves_whole_lines(path, monkeypatch):
    table = CsvTable(path, rows_at_once=50)
    table.add({"step": 1, "loss": 0.5})
    table.flush()
    whole = path.read_bytes()
    real = table._stream

    class Filling:
        """Takes five bytes, then no more."""

        written = 0

        def write(self, content):
            if self.written:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.written = real.write(content[:5])
            return self.written

        def __getattr__(self, name):
            return getattr(real, name)

    monkeypatch.setattr(table, "_stream", Filling())
    table.add({"step": 2, "loss": 0.25})
    with pytest.raises(OutputError, match=r"metrics\.csv: cannot be written: the disk is full"):
        table.flush()
    assert path.read_bytes() == whole
    monkeypatch.setattr(table, "_stream", real)
    table.close()  # there is room again: the row had waited
    assert path.read_bytes() == whole + b"2,0.25\n"


def test_batches_are_written_some_at_a_time_and_when_asked(path):
    log = CsvTable(path, rows_at_once=50)
    log.add({"step": 1, "epoch": 1, "boxes": 0.1, "rate": 0.01})
    assert path.read_text() == ""
    log.flush()
    assert path.read_text() == "step,epoch,boxes,rate\n1,1,0.1,0.01\n"
    for step in range(2, 102):
        log.add({"step": step, "epoch": 1, "boxes": 0.1, "rate": 0.01})
    assert path.read_text().count("\n") == 102
    log.add({"step": 102, "epoch": 2, "boxes": 0.2, "rate": 0.01})
    log.close()
    assert path.read_text().endswith("\n102,2,0.2,0.01\n")
    CsvTable(path, keep_until=50).close()
    assert path.read_text().endswith("\n50,1,0.1,0.01\n")


def test_a_killed_process_leaves_what_was_flushed_and_whole_lines(path):
    script = f"""
import os, signal
from pathlib import Path
from lucidbox.train.csv_table import CsvTable
log = CsvTable(Path({str(path)!r}), rows_at_once=50)
for step in range(1, 135):
    log.add({{"step": step, "epoch": 1, "boxes": 1 / step}})
    if step == 120:
        log.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    lines = path.read_text().splitlines()
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, 121))
    assert float(lines[3].split(",")[2]) == 1 / 3


def test_logs_are_chosen_by_name(tmp_path):
    logs = open_logs(["csv", "csv"], tmp_path, {})
    assert [type(log) for log in logs] == [CsvTable]
    logs[0].add(row(1))
    logs[0].close()
    assert (tmp_path / "metrics.csv").exists()
    assert open_logs([], tmp_path, {}) == ()
    with pytest.raises(OptionError, match="log 'wandb' is not one of csv, tensorboard, mlflow"):
        open_logs(["csv", "wandb"], tmp_path, {})


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_before_anything_is_written(tmp_path, monkeypatch, name):
    monkeypatch.setattr("lucidbox.train.logs.find_spec", lambda package: None)
    with pytest.raises(OptionError, match=rf"{name} is not installed; pip install 'lucidbox\[{name}\]'"):
        open_logs(["csv", name], tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_logs_that_are_open_are_closed_when_a_later_one_cannot_be(tmp_path, monkeypatch):
    closed = []
    close = CsvTable.close
    monkeypatch.setattr(CsvTable, "close", lambda log: closed.append(close(log)))

    def refuse(*arguments):
        raise OutputError("no place")

    monkeypatch.setattr("lucidbox.train.experiment_loggers.TensorBoardLog", refuse)
    monkeypatch.setattr("lucidbox.train.logs.find_spec", lambda package: True)
    with pytest.raises(OutputError, match="no place"):
        open_logs(["csv", "tensorboard"], tmp_path, {})
    assert len(closed) == 1


def test_tensorboard_reads_what_was_written_and_forgets_what_is_repeated(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = open_logs(["tensorboard"], tmp_path, {})
    for epoch in (1, 2, 3):
        log.add(row(epoch))
    log.close()
    (log,) = open_logs(["tensorboard"], tmp_path, {}, keep_until=1)
    log.add(row(2, boxes=7.0))
    log.close()
    read = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(read.Tags()["scalars"]) == {"boxes", "ap"}
    assert [(event.step, event.value) for event in read.Scalars("boxes")] == [(1, 1.5), (2, 7.0)]
    assert math.isnan(read.Scalars("ap")[0].value)


@pytest.mark.slow  # MLflow takes seconds to import, and to make its tables
def test_mlflow_gets_recipe_and_metrics_in_one_run_without_any_network(tmp_path):
    for package in ("mlflow", "sqlalchemy", "alembic"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    # In a process of its own: MLflow sends nothing in tests, and its import warns.
    script = f"""
import socket
def refuse(*arguments):
    print("network:", arguments, flush=True)
    raise OSError("no network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from pathlib import Path
from lucidbox.train.logs import open_logs
from lucidbox.train.recipe import Recipe
folder = Path({str(tmp_path)!r})
recipe = Recipe(freeze=("backbone",)).to_dict()
(log,) = open_logs(["mlflow"], folder, recipe)
log.add({{"epoch": 1, "boxes": 1.5, "ap": float("nan")}})
log.close()
(log,) = open_logs(["mlflow"], folder, recipe, keep_until=1)
log.add({{"epoch": 2, "boxes": 0.75, "ap": 0.5}})
log.close()
run = log._client.get_run((folder / "mlflow-run.txt").read_text().strip())
print(run.data.params["freeze"], run.data.params["teacher"] == "", run.data.params["batch"], run.info.status)
history = log._client.get_metric_history(run.info.run_id, "boxes")
print([(one.step, one.value) for one in history], run.data.metrics["ap"])
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['backbone'] True 16 FINISHED\n[(1, 1.5), (2, 0.75)] 0.5\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mlflow-run.txt", "mlflow.db"]


@pytest.mark.slow  # as above
def test_mlflow_finds_odd_folders_and_gives_up_silent_servers(tmp_path):
    for package in ("mlflow", "sqlalchemy", "alembic"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    script = """
import os, socket, sys
from pathlib import Path
from lucidbox.core.errors import OutputError
from lucidbox.train import experiment_loggers
folder = Path(sys.argv[1])
folder.mkdir()
experiment_loggers.MlflowLog(folder, {"epochs": 3}).close()
silent = socket.create_server(("127.0.0.1", 0))  # takes calls and never answers
os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
experiment_loggers.PATIENCE_SECONDS = 1
try:
    experiment_loggers.MlflowLog(folder, {})
except OutputError as error:
    print(error)
"""
    folder = tmp_path / "50%20?a=b#c"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": MLflow: no answer in 1 s; choose another place in MLFLOW_TRACKING_URI\n")
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow-run.txt", "mlflow.db"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
