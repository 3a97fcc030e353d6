"""Statistics of batch norms, measured anew."""

import copy

import pytest
import torch

from lucidbox.model import build
from lucidbox.train.norms import learning_norms, measure_statistics
from lucidbox.train.optimizer import set_training_mode


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("notebook", 3, base_channels=2)


@pytest.fixture
def inputs():
    return list(torch.rand(3, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))


def measured(network, inputs):
    twin = copy.deepcopy(network).eval()
    measure_statistics(twin, learning_norms(network, twin), inputs)
    return twin


@torch.no_grad()
def test_in_evaluation_mode_a_batch_gets_the_answers_of_training_mode(network):
    images = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    twin, untouched = measured(network, [images]), copy.deepcopy(network).eval()
    assert not any(module.training for module in twin.modules())
    expected = network.train()(images).classes
    # Not bit for bit: the statistics' variance is that of a sample, n / (n - 1) of what training mode divides by.
    assert (twin(images).classes - expected).std() < 0.2 * expected.std()
    assert (untouched(images).classes - expected).std() > 0.5 * expected.std()


def test_statistics_are_the_plain_mean_of_the_batches(network, inputs):
    with torch.no_grad():
        maps = [network.backbone.stem.conv(images) for images in inputs]
    norm = measured(network, inputs).backbone.stem.bn
    means, variances = (torch.stack(rows).mean(0) for rows in zip(*map(of_channels, maps), strict=True))
    assert torch.allclose(norm.running_mean, means, atol=1e-6)
    assert torch.allclose(norm.running_var, variances, atol=1e-6)
    assert norm.num_batches_tracked == 3


def of_channels(maps):
    return maps.mean((0, 2, 3)), maps.var((0, 2, 3))


def test_what_was_before_does_not_matter_and_weights_stay(network, inputs):
    once = measured(network, inputs)
    network.load_state_dict(once.state_dict())
    for norm in learning_norms(network, network):
        norm.running_mean.fill_(7)
        norm.running_var.fill_(7)
    again = measured(network, inputs)
    for name, tensor in once.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    momenta = [module.momentum for module in again.modules() if hasattr(module, "momentum")]
    assert momenta == [0.1] * len(momenta)


def test_frozen_norms_keep_their_statistics(network, inputs):
    set_training_mode(network, ["backbone"])
    twin = measured(network, inputs)
    before, after = network.state_dict(), twin.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {name for name in before if "running" in name or "tracked" in name}
    assert changed == {name for name in statistics if not name.startswith("backbone")}


def test_with_all_norms_frozen_nothing_is_measured(network):
    set_training_mode(network, [], norms=True)
    assert learning_norms(network, copy.deepcopy(network)) == []
