import pytest
import torch
from torch import nn

from lucidbox.model import Detecting, build, fuse

NETWORKS = [("yolo11n", 3, {}), ("yolo11m", 1, {}), ("notebook", 3, {"base_channels": 4})]


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(("name", "classes", "options"), NETWORKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_fused_equals_unfused_whatever_the_statistics(name, classes, options, seed, randomise):
    torch.manual_seed(seed)
    network = randomise(build(name, classes, **options), seed).double()
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        fused, unfused = fuse(network)(images), network(images)
    assert torch.allclose(fused.boxes, unfused.boxes, rtol=1e-10, atol=1e-10)
    assert torch.allclose(fused.classes, unfused.classes, rtol=1e-10, atol=1e-10)
    assert unfused.boxes.std() > 1e-3  # two dead networks would be equal too


def test_the_original_stays_as_it_was():
    network = build("yolo11n", 2).train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    fused = fuse(network)
    assert network.training
    assert all(module.training for module in network.modules())
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    memory = {tensor.data_ptr() for tensor in network.parameters()}
    assert memory.isdisjoint(tensor.data_ptr() for tensor in fused.parameters())


@pytest.mark.parametrize(("name", "classes", "options"), NETWORKS)
def test_no_batch_norm_is_left_and_the_copy_is_in_evaluation_mode(name, classes, options):
    network = build(name, classes, **options)
    assert norms(network)
    fused = fuse(network)
    assert not norms(fused)
    assert not any(module.training for module in fused.modules())


def test_fusing_twice_changes_nothing_more(randomise):
    once = fuse(randomise(build("yolo11n", 2)))
    twice = fuse(once)
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))


def test_a_fold_by_hand():
    network = build("yolo11n", 1)
    unit = network.backbone.stem
    with torch.no_grad():
        unit.conv.weight.fill_(2)
        unit.bn.weight.fill_(3)
        unit.bn.bias.fill_(5)
        unit.bn.running_mean.fill_(7)
        unit.bn.running_var.fill_(4 - 1e-3)  # with the epsilon: a deviation of 2
    folded = fuse(network).backbone.stem.conv
    assert torch.allclose(folded.weight, torch.full_like(folded.weight, 2 * 3 / 2))
    assert torch.allclose(folded.bias, torch.full_like(folded.bias, 5 - 7 * 3 / 2))


def test_whatever_holds_a_network_can_be_fused(randomise):
    detecting = Detecting(randomise(build("yolo11n", 2)))
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(fuse(detecting)(images).boxes, detecting(images).boxes, atol=1e-2)
    assert not norms(fuse(detecting))


def test_frozen_stays_frozen():
    assert not any(tensor.requires_grad for tensor in fuse(build("yolo11n", 1).requires_grad_(False)).parameters())
    assert all(tensor.requires_grad for tensor in fuse(build("yolo11n", 1)).parameters())
