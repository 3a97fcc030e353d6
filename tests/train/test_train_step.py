"""One network learning from batches."""

import math

import numpy as np
import pytest
import torch
from squares import QUICK, squares

from lucidbox.core.errors import OptionError
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.settings import plain
from lucidbox.datasets.training import open_data
from lucidbox.model import build
from lucidbox.train.loader import Batch, load_batches
from lucidbox.train.losses import Targets
from lucidbox.train.processes import Processes
from lucidbox.train.recipe import Recipe
from lucidbox.train.sampling_schedule import SamplingSchedule
from lucidbox.train.schedule import Rates
from lucidbox.train.train_step import TrainStep, least_side, resolve_precision

CPU = torch.device("cpu")
ALONE = Processes(0, 1, CPU)
RATES = Rates(learning_rate=0.01, bias_rate=0.01, momentum=0.9, accumulate=1)


def network():
    torch.manual_seed(0)
    return build("notebook", 3, base_channels=2)


def learner(processes=ALONE, **changes):
    made = TrainStep(network(), Recipe().changed(QUICK | changes), 10, processes)
    made.begin()
    return made


@pytest.fixture
def batches(tmp_path):
    """Function that gives a process's part of the batches of a small data set."""
    data = open_data(squares(tmp_path))
    augmenter = Augmenter(data.samples(64), 64, plain())
    return lambda batch=4, rank=0, processes=1: load_batches(
        augmenter, SamplingSchedule(12, batch, 4, 0, 0, rank, processes)
    )


def parameters(made):
    return {name: tensor.detach().clone() for name, tensor in made.network.named_parameters()}


def moved(made, before):
    return {name for name, tensor in made.network.named_parameters() if not torch.equal(tensor, before[name])}


def test_a_step_is_taken_when_enough_batches_have_gathered(batches):
    made, stream = learner(), batches()
    before = parameters(made)
    rates = Rates(0.01, 0.01, 0.9, accumulate=2)
    made.learn(next(stream), 0, rates)
    assert (made.pending, moved(made, before), made.average.updates) == (1, set(), 0)
    made.learn(next(stream), 1, rates)
    assert (made.pending, made.average.updates) == (0, 1)
    assert moved(made, before)
    assert all(parameter.grad is None for parameter in made.network.parameters())


def test_it_learns(batches):
    made, losses = learner(optimizer="adamw"), []
    for number, batch in enumerate(batches()):
        losses.append(sum(made.learn(batch, number, RATES).parts))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_gradients_are_clipped_together(batches):
    made, stream = learner(clip=1e-3, optimizer="sgd", weight_decay=0.0), batches()
    before = parameters(made)
    made.learn(next(stream), 0, Rates(1.0, 1.0, 0.0, 1))
    after = parameters(made)
    squares_of_moves = sum(float((after[name] - before[name]).square().sum()) for name in before)
    assert math.sqrt(squares_of_moves) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_not_learnt(batches, value):
    made = learner()
    with torch.no_grad():
        next(made.network.parameters())[0] = value
    before = parameters(made)
    losses = made.learn(next(batches()), 0, RATES)
    assert not losses.finite
    assert made.pending == 0
    assert made.average.updates == 0
    name = next(iter(before))
    assert not moved(made, before) - {name}


def test_gradients_that_are_no_numbers_are_not_learnt(batches):
    made, stream = learner(), batches()
    made.network.backbone.stem.conv.weight.register_hook(lambda gradient: gradient * math.nan)
    before = parameters(made)
    assert not made.learn(next(stream), 0, RATES).finite
    assert not moved(made, before)


def test_frozen_layers_and_norms_stay(batches):
    made = learner(freeze=["backbone"], freeze_norms=True)
    before = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    made.learn(next(batches()), 0, RATES)
    after = made.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("backbone") or "running" in name]


def test_sides_of_multi_scale_batches_are_drawn_from_their_number():
    made = learner(multi_scale=0.5, size=128)
    sides = [made._side(number) for number in range(200)]
    assert set(sides) == {64, 96, 128, 160, 192}
    again = learner(multi_scale=0.5, size=128)
    assert sides == [again._side(number) for number in range(200)]


def test_boxes_follow_a_multi_scale_batch():
    made = learner(multi_scale=0.5, size=128)
    number = next(number for number in range(99) if made._side(number) == 64)
    targets = Targets(torch.tensor([0]), torch.tensor([1]), torch.tensor([[16.0, 32.0, 96.0, 64.0]]))
    pixels = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    pixels[:, 32:64, 16:96] = 255
    images, moved_targets = made._on_device(Batch(pixels, targets, (0,)), number)
    assert images.shape == (1, 3, 64, 64)
    left, top, right, bottom = moved_targets.boxes[0].int().tolist()
    assert (left, top, right, bottom) == (8, 16, 48, 32)
    assert images[0, :, top:bottom, left:right].min() == 1
    assert images.sum() == pytest.approx(3 * 40 * 16)


def test_pixels_become_0_to_1_in_channels_last_without_copying():
    made = learner()
    pixels = torch.arange(2 * 64 * 64 * 3, dtype=torch.int64).remainder(256).to(torch.uint8).reshape(2, 64, 64, 3)
    empty = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    images, _ = made._on_device(Batch(pixels, empty, (0, 1)), 0)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, pixels.permute(0, 3, 1, 2) / 255)


def test_half_precision_is_for_cards():
    with pytest.raises(OptionError, match="fp16 trains on graphics cards only"):
        resolve_precision("fp16", CPU)
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("auto", CPU) in ("fp32", "bf16")


def test_bf16_learns_in_fp32_weights(batches):
    made = learner(precision="bf16")
    losses = made.learn(next(batches()), 0, RATES)
    exact = learner().learn(next(batches()), 0, RATES)
    assert losses.parts == pytest.approx(exact.parts, rel=0.05)
    assert {parameter.dtype for parameter in made.network.parameters()} == {torch.float32}


def test_frozen_norms_are_not_measured():
    learner(freeze_norms=True).measure_norms(pytest.fail("a batch was made") for _ in range(1))


def test_one_value_has_no_statistics():
    """A picture alone at 32 pixels is a single cell for the coarsest layers."""
    with pytest.raises(OptionError, match=r"size 32 with one picture .* use batch 2, size 64 or freeze_norms"):
        learner(batch=1, size=32)
    with pytest.raises(OptionError, match="use batch 4"):
        least_side(Recipe(batch=2, size=32), network(), Processes(0, 2, torch.device("cpu")))
    for changes in (
        {"batch": 2, "size": 32},
        {"batch": 1, "size": 32, "freeze_norms": True},
        {"batch": 1, "size": 64},
    ):
        learner(**changes)
    made = learner(batch=1, size=64, multi_scale=0.9)
    sides = {made._side(number) for number in range(40)}
    assert sides == {64, 96, 128}


def test_a_network_in_half_precision_is_trained_in_float32():
    made = TrainStep(network().half(), Recipe(), 1, ALONE)
    assert all(parameter.dtype == torch.float32 for parameter in made.network.parameters())
