"""Weights → network → weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lucidbox.core.errors import WeightsError
from lucidbox.model import build, fuse
from lucidbox.weights import describe, from_network, halved, network, renamed


def made(classes=2):
    torch.manual_seed(2)
    return from_network(build("notebook", classes, base_channels=4), [f"c{n}" for n in range(classes)])


def test_the_network_computes_what_the_original_does():
    torch.manual_seed(3)
    original = build("yolo11n", 3).eval()
    images = torch.rand(1, 3, 64, 96)
    found = network(from_network(original, ["a", "b", "c"]))
    with torch.inference_mode():
        for expected, output in zip(original(images), found(images), strict=True):
            torch.testing.assert_close(output, expected, atol=0, rtol=0)


def test_the_network_is_float32_and_can_be_trained_without_changing_the_weights():
    weights = made()
    half = {k: a.astype(np.float16) if a.dtype.kind == "f" else a for k, a in weights.tensors.items()}
    found = network(replace(weights, tensors=half))
    assert {tensor.dtype for tensor in found.state_dict().values()} == {torch.float32, torch.int64}
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in found.parameters())
    before = {name: array.copy() for name, array in half.items()}
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(1)
    assert all(np.array_equal(half[name], before[name]) for name in half)


def test_bfloat16_networks_give_float32_tensors():
    weights = from_network(build("yolo11n", 1).bfloat16(), ["a"])
    assert {str(array.dtype) for array in weights.tensors.values()} == {"float32", "int64"}


def test_tensors_are_copies():
    original = build("notebook", 1, base_channels=4)
    weights = from_network(original, ["a"])
    before = weights.tensors["backbone.stem.conv.weight"].copy()
    with torch.no_grad():
        original.backbone.stem.conv.weight.zero_()
    np.testing.assert_array_equal(weights.tensors["backbone.stem.conv.weight"], before)


def test_fused_networks_and_wrong_names_are_refused():
    with pytest.raises(WeightsError, match=r"are missing: backbone.stem.bn.weight"):
        from_network(fuse(build("notebook", 1, base_channels=4)), ["a"])
    with pytest.raises(WeightsError, match="2 class names for 1 classes"):
        from_network(build("notebook", 1, base_channels=4), ["a", "b"])
    with pytest.raises(WeightsError, match="class 0 has an empty name"):
        from_network(build("notebook", 1, base_channels=4), [""])


def test_nan_in_a_network_is_refused():
    broken = build("notebook", 1, base_channels=4)
    with torch.no_grad():
        broken.fpn.lateral_p4.bn.bias[0] = float("nan")
    with pytest.raises(WeightsError, match=r"fpn.lateral_p4.bn.bias holds NaN"):
        from_network(broken, ["a"])


def test_names_can_be_replaced_by_as_many():
    assert renamed(made(), ["x", "y"]).names == ("x", "y")
    for wrong in ([], ["x"], ["x", "y", "z"]):
        with pytest.raises(WeightsError, match=rf"{len(wrong)} class names for 2 classes"):
            renamed(made(), wrong)


def test_half_kernels_are_near_and_what_is_not_a_kernel_is_equal():
    whole = made()
    half = halved(whole)
    for name, array in whole.tensors.items():
        if array.ndim > 1:
            assert half.tensors[name].dtype == np.float16
            assert np.allclose(half.tensors[name], array, rtol=1e-3, atol=1e-7)
        else:
            assert half.tensors[name] is array
    first = next(name for name, array in whole.tensors.items() if array.ndim > 1)
    with pytest.raises(WeightsError, match=rf"tensor {first} has numbers too large for float16"):
        halved(replace(whole, tensors=whole.tensors | {first: whole.tensors[first] + 70_000}))


@pytest.mark.parametrize(
    ("size", "parameters", "gflops"),
    [("n", 2_624_080, 6.5), ("s", 9_458_752, 21.5), ("m", 20_114_688, 68.0)],
)
def test_published_sizes_are_described_as_published(size, parameters, gflops):
    found = describe(from_network(build(f"yolo11{size}"), [f"c{n}" for n in range(80)]))
    assert (found.parameters, found.fixed_parameters, round(found.gflops, 1)) == (parameters, 16, gflops)
    assert (found.classes, found.strides, found.size) == (80, (8, 16, 32), 640)
    assert sum(found.types.values()) == found.tensors == 498 if size != "m" else 648
