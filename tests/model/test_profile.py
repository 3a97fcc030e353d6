import json

import pytest
import torch

from lucidbox.model import build, fuse, gflops, parameters

PUBLISHED_GFLOPS = {"yolo11n": 6.5, "yolo11s": 21.5, "yolo11m": 68.0, "yolo11l": 86.9, "yolo11x": 194.9}
NAMES = [*PUBLISHED_GFLOPS, "yolo11n-nc1", "yolo11n-nc3", "yolo11n-nc200"]


@pytest.mark.parametrize("name", NAMES)
def test_parameter_totals_are_the_published_ones(name, golden_file):
    expected = json.loads(golden_file("model/parameters.json").read_text())[name]
    architecture, _, classes = name.partition("-nc")
    with torch.device("meta"):
        network = build(architecture, int(classes or 80))
    count = parameters(network)
    assert count.published == expected["parameters"]
    assert count.learned == expected["parameters_without_dfl"]
    assert parameters(fuse(network)).published == expected["parameters_after_bn_fusion"]
    assert len(network.state_dict()) + 1 == expected["keys"]
    elements = sum(tensor.numel() for tensor in network.state_dict().values())
    assert elements + count.fixed == expected["all_state_elements"]
    assert list(network.strides) == expected["stride"]


@pytest.mark.parametrize(("name", "published"), PUBLISHED_GFLOPS.items())
def test_gflops_round_to_the_published_ones(name, published):
    with torch.device("meta"):
        network = build(name)
    assert round(gflops(network), 1) == published


def test_a_convolutions_operations_by_hand():
    """3 → 16 channels, 3×3, at stride 2: 2 · 27 · 16 operations for each of 32² cells."""
    stem = build("yolo11n").backbone.stem
    assert gflops(stem, size=64) == 2 * 27 * 16 * 32**2 / 1e9


def test_linear_layers_count():
    weigh = build("notebook", base_channels=16).c2psa.attention[0]
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 128, 1), weigh)
    assert gflops(layers, size=32) == (2 * 3 * 128 * 32**2 + 2 * 2 * 128 * 32) / 1e9


def test_fusing_changes_no_count_and_counting_changes_no_network():
    network = build("yolo11n", 5)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert gflops(network, 320) == gflops(fuse(network), 320)
    assert network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_the_notebooks_fixed_numbers_are_no_parameters(golden_file):
    network = build("notebook", 80, base_channels=16)
    shapes = json.loads(golden_file("notebook/state-shapes-nc80-base16.json").read_text())
    learned = [
        shape
        for name, shape in shapes.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked", "project"))
    ]
    assert parameters(network).learned == sum(torch.Size(shape).numel() for shape in learned)
