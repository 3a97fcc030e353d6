"""Checkpoints: nothing lost, nothing half-written, nothing executed."""

import resource
import subprocess
import sys

import pytest
import torch

from lucidbox.core.errors import DataError, OutputError
from lucidbox.model import build
from lucidbox.train.checkpoint import (
    Checkpoint,
    Identity,
    TrainingProgress,
    collect,
    load_checkpoint,
    restore,
    save_checkpoint,
)
from lucidbox.train.model_ema import ModelEMA
from lucidbox.train.optimizer import make_optimizer
from lucidbox.train.recipe import Recipe

IDENTITY = Identity("notebook", {"base_channels": 2}, ("a", "b"), "f00", "3 pictures", "f01", "", 2)


def trained(optimizer, steps=3):
    """A network, its average and its optimiser after some steps, a gradient waiting."""
    torch.manual_seed(0)
    network = build("notebook", 2, base_channels=2).to(memory_format=torch.channels_last)
    made, _ = make_optimizer(network, Recipe(optimizer=optimizer), steps=9)
    average = ModelEMA(network, 0.9, 2.0)
    for step in range(steps + 1):
        sum(part.square().mean() for part in network(torch.rand(2, 3, 64, 64))).backward()
        if step < steps:
            made.step()
            made.zero_grad()
            average.update(network)
    return network, average, made


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.extended)])
def test_what_is_restored_goes_on_as_if_nothing_had_been(tmp_path, optimizer):
    network, average, made = trained(optimizer)
    tensors = collect(network, average.network, made, pending=True)
    save_checkpoint(
        Checkpoint(Recipe(), IDENTITY, TrainingProgress(updates=3), tensors), tmp_path / "c.safetensors"
    )
    other, other_average, other_made = trained(optimizer, steps=0)
    other_made.zero_grad()
    restore(load_checkpoint(tmp_path / "c.safetensors").tensors, other, other_average.network, other_made)
    for net, optim in ((network, made), (other, other_made)):
        torch.manual_seed(1)
        optim.step()
        optim.zero_grad()
        sum(part.square().mean() for part in net(torch.rand(2, 3, 64, 64))).backward()
        optim.step()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    for name, tensor in average.network.state_dict().items():
        assert torch.equal(tensor, other_average.network.state_dict()[name]), name


def test_gradients_are_kept_only_where_some_wait(tmp_path):
    network, average, made = trained("sgd")
    assert not any(name.startswith("gradient") for name in collect(network, average.network, made, pending=False))


def test_everything_else_comes_back_too(tmp_path):
    recipe = Recipe(epochs=7, freeze=("backbone",), teacher="a.onnx")
    progress = TrainingProgress(11, 1, 2, 5, 0.25, 3, 1.5, (1.0, 2.0, 3.0, float("inf")))
    save_checkpoint(Checkpoint(recipe, IDENTITY, progress, {}, {"data": "x"}), tmp_path / "c")
    kept = load_checkpoint(tmp_path / "c")
    assert (kept.recipe, kept.identity, kept.progress, kept.notes) == (recipe, IDENTITY, progress, {"data": "x"})


def test_it_is_as_readable_as_other_files(tmp_path):
    (tmp_path / "plain").write_text("")
    save_checkpoint(Checkpoint(Recipe(), IDENTITY, TrainingProgress(), {}), tmp_path / "c")
    assert (tmp_path / "c").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02csystem\nexit\n", None])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "c.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"c\.safetensors"):
        load_checkpoint(path)


def test_a_truncated_one_is_refused(tmp_path):
    network, average, made = trained("sgd")
    path = tmp_path / "c"
    save_checkpoint(
        Checkpoint(Recipe(), IDENTITY, TrainingProgress(), collect(network, average.network, made, pending=True)),
        path,
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged"):
        load_checkpoint(path)


def test_weights_are_no_checkpoint(small_weights):
    with pytest.raises(DataError, match="not a checkpoint of this lucidbox's training"):
        load_checkpoint(small_weights)


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from lucidbox.core.errors import OutputError
from lucidbox.train.checkpoint import *
from lucidbox.train.recipe import Recipe
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
identity = Identity("n", {}, (), "", "", "", "")
try:
    kept = Checkpoint(Recipe(), identity, TrainingProgress(9), {"network.a": torch.zeros(1_000_000)})
    save_checkpoint(kept, Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="the limit stands for a full disk")
def test_a_full_disk_leaves_the_last_one(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(Checkpoint(Recipe(), IDENTITY, TrainingProgress(4), {}), path)
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert "c.safetensors: cannot be written" in done.stdout
    assert load_checkpoint(path).progress.batches == 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_checkpoint(Checkpoint(Recipe(), IDENTITY, TrainingProgress(), {}), tmp_path / "file" / "c")
