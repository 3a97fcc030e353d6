"""The scripts of docs/how-to/clusters.md, run as Slurm and Kubernetes run them: by a shell, with variables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import EXAMPLES
from lucidbox import Detections

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "clusters.md").read_text()


def script(language):
    """The page's only block in this language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return block


def run(words, folder, **variables):
    """The exit code of a script in which ``lucidbox`` is this package."""
    (folder / "lucidbox").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m lucidbox "$@" --size 64 --shard-size 1\n'
    )
    (folder / "lucidbox").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **variables}
    return subprocess.run(words, env=environment, check=False).returncode


@pytest.mark.extended
def test_a_slurm_array(tmp_path):
    (tmp_path / "job.sh").write_text(script("bash"))
    (tmp_path / "list.txt").write_text(f"{EXAMPLES}/street.jpg\n{EXAMPLES}/none.jpg\n{EXAMPLES}/pizza.jpg\n")
    shared = {"INPUT": f"{tmp_path}/list.txt", "OUT": f"{tmp_path}/found"}
    for task in "01":
        slurm = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        assert run(["bash", str(tmp_path / "job.sh")], tmp_path, **shared, **slurm) == 0
    assert [bool(row.error) for row in Detections.from_parquet(f"{tmp_path}/found")] == [False, True, False]
    wrong = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "2"}
    assert run(["bash", str(tmp_path / "job.sh")], tmp_path, **shared, **wrong) == 2


@pytest.mark.extended
def test_a_kubernetes_job(tmp_path):
    job = yaml.safe_load(script("yaml"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    assert job["completionMode"] == "Indexed"
    assert int(given["WORKERS"]) == job["completions"]
    given |= {"INPUT": str(EXAMPLES), "OUT": f"{tmp_path}/found", "WORKERS": "2"}
    for index in "01":
        code = run([*container["command"], *container["args"]], tmp_path, **given, JOB_COMPLETION_INDEX=index)
        assert code == 0
    assert len(list(Detections.from_parquet(f"{tmp_path}/found"))) == 4
