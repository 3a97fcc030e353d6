"""The moving average, by hand."""

import math

import pytest
import torch

from lucidbox.model import build
from lucidbox.train.model_ema import ModelEMA


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("yolo11n", 2).train()


def shift(network, amount):
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor += int(amount) if tensor.dtype == torch.int64 else amount


def test_it_begins_as_a_frozen_float32_copy(network):
    half = network.to(torch.bfloat16)
    average = ModelEMA(half, 0.9, 0.0)
    for name, tensor in average.network.state_dict().items():
        assert torch.equal(tensor.bfloat16(), half.state_dict()[name].bfloat16())
        assert tensor.dtype in (torch.float32, torch.int64)
    assert not any(module.training for module in average.network.modules())
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    shift(network, 1)  # not shared
    assert not torch.equal(
        average.network.backbone.stem.bn.weight, network.backbone.stem.bn.weight.to(torch.float32)
    )


def test_two_updates_by_hand(network):
    average = ModelEMA(network, decay=0.9, ramp=2.0)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shift(network, 1)
    average.update(network)
    shift(network, 1)
    average.update(network)
    first, second = (0.9 * (1 - math.exp(-number / 2)) for number in (1, 2))
    moved = second * (1 - first) + (1 - second) * 2  # of the way that the network went: 1, then 2
    buffers = dict(network.named_buffers())
    for name, tensor in average.network.state_dict().items():
        if name in buffers:
            assert torch.equal(tensor, buffers[name]), name
        else:
            assert torch.allclose(tensor, start[name] + moved, rtol=1e-5, atol=1e-6), name
    assert average.updates == 2


def test_without_a_ramp_the_decay_is_full_at_once(network):
    average = ModelEMA(network, decay=0.75, ramp=0.0)
    before = network.head.box_branches[0].predict.bias.detach().clone()
    shift(network, 1)
    average.update(network)
    assert torch.allclose(average.network.head.box_branches[0].predict.bias, before + 0.25)


def test_decay_zero_follows_at_once_and_decay_one_never(network):
    at_once, never = ModelEMA(network, 0.0, 0.0), ModelEMA(network, 1.0, 0.0)
    before = network.backbone.stem.conv.weight.detach().clone()
    shift(network, 1)
    at_once.update(network)
    never.update(network)
    assert torch.equal(at_once.network.backbone.stem.conv.weight, network.backbone.stem.conv.weight)
    assert torch.equal(never.network.backbone.stem.conv.weight, before)


def test_what_does_not_move_stays_bit_for_bit(network):
    average = ModelEMA(network, 0.9999, 2000.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in range(5):
        average.update(network)
    for name, tensor in average.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_same_in_channels_last_and_of_bfloat16(network):
    average = ModelEMA(network.to(memory_format=torch.channels_last), 0.5, 0.0)
    weight = network.neck.down_p4.conv.weight
    before = weight.detach().clone()
    shift(network, 1)
    average.update(network)
    assert torch.allclose(average.network.neck.down_p4.conv.weight, before + 0.5)
    average.update(network.to(torch.bfloat16))
    expected = (before + 0.5 + network.neck.down_p4.conv.weight.float()) / 2
    assert torch.allclose(average.network.neck.down_p4.conv.weight, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card here")
def test_on_a_graphics_card_as_on_the_processor(network):
    twin = build("yolo11n", 2)
    twin.load_state_dict(network.state_dict())
    averages = [ModelEMA(network, 0.9, 5.0), ModelEMA(twin.cuda(), 0.9, 5.0)]
    for one, average in zip((network, twin), averages, strict=True):
        shift(one, 0.5)
        average.update(one)
    for here, there in zip(
        averages[0].network.state_dict().values(), averages[1].network.state_dict().values(), strict=True
    ):
        assert there.is_cuda
        assert torch.allclose(here.float(), there.cpu().float())
