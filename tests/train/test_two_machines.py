"""docs/how-to/train-machines.md, done: two machines of this one, each with its own network, name and disk."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from squares import squares

from lucidbox.train.checkpoint import load_checkpoint
from lucidbox.train.results import CHECKPOINT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("ip") or os.geteuid() != 0,
        reason="network namespaces need Linux, root and iproute2",
    ),
]

MACHINE = 'hostname {name}; mount --bind {disk} {place}; cd {place}; exec "$@"'


def run(command):
    subprocess.run(command.split(), check=True)


class Machines:
    """Two machines, 0 and 1, which see each other at 10.77.0.1 and 10.77.0.2; their disks are in ``folder``."""

    def __init__(self, folder):
        self.folder = folder
        self.names = [f"lucidbox-{os.getpid()}-{number}" for number in (0, 1)]

    def build(self):
        for name in self.names:
            run(f"ip netns add {name}")
        run(f"ip link add wire0 netns {self.names[0]} type veth peer name wire1 netns {self.names[1]}")
        (self.folder / "place").mkdir()
        for number, name in enumerate(self.names):
            run(f"ip -n {name} addr add 10.77.0.{number + 1}/24 dev wire{number}")
            run(f"ip -n {name} link set lo up")
            run(f"ip -n {name} link set wire{number} up")
            (self.folder / f"disk{number}").mkdir()

    def start(self, number, *command):
        words = MACHINE.format(
            name=f"host-{number}", disk=self.folder / f"disk{number}", place=self.folder / "place"
        )
        inside = [
            "ip",
            "netns",
            "exec",
            self.names[number],
            "unshare",
            "--mount",
            "--uts",
            "bash",
            "-c",
            words,
            "-",
        ]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": f"wire{number}", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*inside, *map(str, command)], env=environment, stderr=subprocess.PIPE, text=True)

    def cut_power(self, number):
        """End all processes of a machine at once."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.names[number]], capture_output=True, text=True, check=True
        )
        for process in listed.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    def train(self, *arguments):
        """One training, begun on both."""
        return [
            self.start(
                number, sys.executable, "-m", "torch.distributed.run", "--nnodes", 2, "--node-rank", number,
                "--nproc-per-node", 1, "--master-addr", "10.77.0.1", "--master-port", 29500,
                "-m", "lucidbox", "train", *arguments,
            )
            for number in (0, 1)
        ]  # fmt: skip


@pytest.fixture
def machines(tmp_path):
    both = Machines(tmp_path)
    try:
        both.build()
        yield both
    finally:
        for number, name in enumerate(both.names):
            both.cut_power(number)
            run(f"ip netns del {name}")


def ended(processes):
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors


def losses(path):
    """Lines of the table without the time."""
    return path.read_text().splitlines()


def test_a_machine_that_is_lost_and_both_that_go_on(machines, tmp_path):
    data = squares(tmp_path / "data", 48)
    arguments = [
        data,
        "--size",
        64,
        "--batch",
        8,
        "--epochs",
        4,
        "--workers",
        0,
        "--set",
        "checkpoint_minutes=0.001",
    ]
    ended(machines.train(*arguments, "--out", "runs/whole"))
    first, second = machines.train(*arguments, "--out", "runs/killed")
    table = tmp_path / "disk0" / "runs" / "killed" / "losses.csv"
    while not (table.exists() and len(losses(table)) > 4):
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.1)
    machines.cut_power(1)
    second.communicate()
    errors = first.communicate(timeout=300)[1]
    assert first.returncode != 0
    assert "lucidbox: error: another process of this training is gone (" in errors
    assert "Start all of them again with --resume" in errors
    assert len(losses(table)) < len(losses(tmp_path / "disk0" / "runs" / "whole" / "losses.csv"))
    ended(machines.train("--resume", "runs/killed"))
    assert losses(table) == losses(tmp_path / "disk0" / "runs" / "whole" / "losses.csv")
    assert not (tmp_path / "disk1" / "runs").exists()


def test_told_to_stop_on_one_both_stop_and_all_is_saved(machines, tmp_path):
    data = squares(tmp_path / "data", 24)
    both = machines.train(
        data, "--size", 64, "--batch", 8, "--epochs", 50, "--workers", 0, "--out", "runs/stopped", "--set",
        "checkpoint_minutes=0",
    )  # fmt: skip
    folder = tmp_path / "disk0" / "runs" / "stopped"
    while not ((folder / "losses.csv").exists() and len(losses(folder / "losses.csv")) > 4):
        assert both[0].poll() is None, both[0].communicate()[1]
        time.sleep(0.1)
    both[1].send_signal(signal.SIGTERM)  # to torchrun, which tells its worker
    errors = [one.communicate(timeout=300)[1] for one in both]
    assert "is gone" not in errors[0], errors
    assert len(losses(folder / "losses.csv")) == load_checkpoint(folder / CHECKPOINT).progress.batches + 1


def test_machines_with_other_data_are_refused(machines, tmp_path):
    for number in (0, 1):
        squares(tmp_path / f"disk{number}" / "data", 8, seed=number)
    arguments = ["data/data.toml", "--size", 64, "--batch", 8, "--epochs", 1, "--workers", 0]
    errors = [one.communicate(timeout=300)[1] for one in machines.train(*arguments)]
    assert all("the machines of this training have different data" in one for one in errors)
