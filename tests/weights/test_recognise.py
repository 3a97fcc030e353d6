"""Tensors are recognised by names and shapes; what is missing, left over, misshapen or not finite is named."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies

from lucidbox.core.errors import WeightsError
from lucidbox.model import build
from lucidbox.weights.contents import WeightsSource
from lucidbox.weights.keys import DISTRIBUTION_KEY, to_published
from lucidbox.weights.recognise import NetworkKind, expected, recognise


@cache
def shapes(name, classes, base=None, width=None):
    options = {"base_channels": base, "class_width": width}
    return expected(NetworkKind(name, classes, tuple((key, value) for key, value in options.items() if value)))


def arrays(name, classes, base=None, width=None):
    """One number, seen through each tensor's shape, so that the largest networks cost nothing."""
    found = {
        key: np.broadcast_to(np.float16(1) if form.is_floating else np.int64(0), form.shape)
        for key, form in shapes(name, classes, base, width).items()
    }
    return found | {key: np.arange(16.0) for key in found if key.endswith("dfl.project")}


def published(name="yolo11n", classes=3, width=None):
    found = {to_published(key): array for key, array in arrays(name, classes, width=width).items()}
    return found | {DISTRIBUTION_KEY: np.arange(16.0).reshape(1, 16, 1, 1)}


def source(tensors, names=None):
    return WeightsSource(tensors, names, "MIT", "made here")


@pytest.mark.parametrize(("size", "classes"), [*product("n", (1, 3, 80, 200)), *product("smlx", (80,))])
def test_every_published_size_and_class_count(size, classes):
    weights = recognise(source(published(f"yolo11{size}", classes)), "abc")
    assert (weights.architecture, len(weights.names), weights.options) == (f"yolo11{size}", classes, {})
    assert (weights.licence, weights.provenance, weights.source_sha256) == ("MIT", "made here", "abc")
    assert list(weights.tensors) == list(shapes(f"yolo11{size}", classes))


@pytest.mark.parametrize(
    ("size", "classes"),
    [*product("n", (1, 2, 3, 80, 200)), ("s", 80), ("m", 2), ("l", 200), ("x", 3)],
)
def test_fine_tuned_networks_have_the_class_branch_of_what_they_began_with(size, classes):
    published_width = max({"n": 64, "s": 128, "x": 384}.get(size, 256), min(classes, 100))
    for width in {64, 80, 100, 200, published_width}:
        weights = recognise(source(published(f"yolo11{size}", classes, width)), "")
        assert (weights.architecture, len(weights.names)) == (f"yolo11{size}", classes)
        assert weights.options == ({} if width == published_width else {"class_width": width})
        assert weights.tensors["head.class_branches.0.predict.weight"].shape == (classes, width, 1, 1)


def test_branches_of_two_widths_are_refused():
    tensors = published(width=80) | {"model.23.cv3.1.0.1.conv.weight": np.ones((64, 128, 1, 1))}
    with pytest.raises(WeightsError, match=r"cv3.1.0.1.conv.weight has shape .* needs \[80, 128, 1, 1\]"):
        recognise(source(tensors), "")


@pytest.mark.parametrize(("classes", "base"), [(80, 16), (5, 16), (1, 8), (7, 64)])
def test_notebook_networks(classes, base):
    weights = recognise(source(arrays("notebook", classes, base)), "")
    assert (weights.architecture, len(weights.names)) == ("notebook", classes)
    assert weights.options == {"base_channels": base}


def test_own_names_are_recognised_too():
    assert recognise(source(arrays("yolo11m", 4)), "").architecture == "yolo11m"


def test_order_does_not_matter():
    reverse = dict(reversed(published().items()))
    assert list(recognise(source(reverse), "").tensors) == list(shapes("yolo11n", 3))


def test_classes_without_names_get_placeholders():
    assert recognise(source(published()), "").names == ("class_0", "class_1", "class_2")


@settings(deadline=None, max_examples=20)
@given(strategies.data())
def test_any_missing_tensor_is_named(data):
    tensors = published()
    name = data.draw(strategies.sampled_from([DISTRIBUTION_KEY, *tensors]))
    del tensors[name]
    with pytest.raises(WeightsError) as refusal:
        recognise(source(tensors), "")
    own = "backbone.stem.conv.weight" if name == "model.0.conv.weight" else "head.class_branches.0.predict.weight"
    assert name in str(refusal.value) or own in str(refusal.value)


@settings(deadline=None, max_examples=20)
@given(strategies.data())
def test_any_misshapen_tensor_is_named(data):
    tensors = published()
    name = data.draw(strategies.sampled_from([DISTRIBUTION_KEY, *tensors]))
    tensors[name] = np.ones((*tensors[name].shape, 1), tensors[name].dtype)
    with pytest.raises(WeightsError, match=rf"tensor {name} has shape \[.*needs \["):
        recognise(source(tensors), "")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_that_are_not_finite_are_refused(number, dtype):
    tensors = published()
    broken = np.ones(tensors["model.9.cv1.conv.weight"].shape, dtype)
    broken[3, 2] = number
    tensors["model.9.cv1.conv.weight"] = broken
    with pytest.raises(WeightsError, match=r"model.9.cv1.conv.weight holds NaN or infinite"):
        recognise(source(tensors), "")


def test_negative_variances_are_refused():
    tensors = published()
    tensors["model.9.cv1.bn.running_var"] = -np.ones_like(tensors["model.9.cv1.bn.running_var"])
    with pytest.raises(WeightsError, match=r"model.9.cv1.bn.running_var holds a negative variance"):
        recognise(source(tensors), "")


def test_extra_tensors_are_named():
    with pytest.raises(WeightsError, match=r"model.23.cv4.0.weight: no tensor of a published"):
        recognise(source(published() | {"model.23.cv4.0.weight": np.ones(1)}), "")
    # A tensor of a deeper size: m and n have no second repeat, l has.
    deeper = {"model.4.m.1.cv1.conv.weight": np.ones(1)}
    with pytest.raises(WeightsError, match=r"do not belong to a yolo11n of 3 classes: backbone.mix_p3.repeats.1"):
        recognise(source(published() | deeper), "")
    with pytest.raises(WeightsError, match="do not belong to a notebook of 2 classes: optimizer"):
        recognise(source(arrays("notebook", 2, 8) | {"optimizer": np.ones(1)}), "")


def test_many_missing_tensors_are_counted():
    tensors = {name: array for name, array in published().items() if not name.startswith("model.10.")}
    with pytest.raises(WeightsError, match=r"are missing: model\.10\.cv1\.conv\.weight, .* and 39 more$"):
        recognise(source(tensors), "")


def test_numbers_of_the_wrong_kind_are_refused():
    tensors = published()
    tensors["model.0.bn.bias"] = np.ones(16, np.int8)
    with pytest.raises(WeightsError, match=r"model.0.bn.bias is of type int8; it should hold floating-point"):
        recognise(source(tensors), "")
    tensors = published()
    tensors["model.0.bn.num_batches_tracked"] = np.array(1.5)
    with pytest.raises(WeightsError, match="num_batches_tracked is of type float64; it should hold whole"):
        recognise(source(tensors), "")


def test_other_fixed_numbers_are_refused():
    with pytest.raises(WeightsError, match="numbers 0 to 15"):
        recognise(source(published() | {DISTRIBUTION_KEY: np.ones((1, 16, 1, 1))}), "")
    with pytest.raises(WeightsError, match=r"head_p4\.dfl\.project must be"):
        recognise(source(arrays("notebook", 2, 8) | {"head_p4.dfl.project": np.ones(16)}), "")


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_wrong_number_of_names_is_refused(count):
    names = tuple("abcd"[:count])
    with pytest.raises(WeightsError, match=f"{count} class names for 3 classes"):
        recognise(source(published(), names), "")


def test_tensors_of_other_networks_are_refused():
    with pytest.raises(WeightsError, match="no network of ours: it lacks the tensor"):
        recognise(source({"fc.weight": np.ones((10, 10))}), "")
    with pytest.raises(WeightsError, match="no network of ours"):
        recognise(source({}), "")
    wide = published() | {"model.0.conv.weight": np.ones((20, 3, 3, 3))}
    with pytest.raises(WeightsError, match="first convolution has 20 channels; YOLO11 has them as follows: n 16"):
        recognise(source(wide), "")


def test_a_tensor_without_numbers_cannot_claim_a_huge_network():
    with pytest.raises(WeightsError, match="which no network has"):
        recognise(source(arrays("notebook", 2, 8) | {"backbone.stem.conv.weight": np.ones((10**9, 0, 3, 3))}), "")
    with pytest.raises(WeightsError, match="which no network has"):
        recognise(source(published() | {"model.23.cv3.0.2.weight": np.ones(())}), "")


def test_expected_is_the_state_of_the_network():
    state = build("yolo11n", 2).state_dict()
    forms = shapes("yolo11n", 2)
    assert [(name, form.shape, form.is_floating) for name, form in forms.items()] == [
        (name, tuple(tensor.shape), tensor.is_floating_point()) for name, tensor in state.items()
    ]
    assert torch.get_default_device() == torch.device("cpu")


def test_small_files_cannot_claim_millions_of_classes():
    """A byte repeated is an array of any length in a compressed file; each class would get a placeholder name."""
    head = {"head.class_branches.0.predict.weight": np.broadcast_to(np.uint8(0), 10**8)}
    with pytest.raises(WeightsError, match="100000000 classes; at most 100000"):
        recognise(source(arrays("yolo11n", 2) | head), "")


def test_small_files_cannot_claim_branches_without_end():
    endless = {"head.class_branches.0.first.pointwise.conv.weight": np.broadcast_to(np.uint8(0), 10**8)}
    with pytest.raises(WeightsError, match="class_width 100000000; at most 4096"):
        recognise(source(arrays("yolo11n", 2) | endless), "")


def test_fixed_numbers_without_end_are_refused_before_they_are_listed():
    endless = {"head_p4.dfl.project": np.broadcast_to(np.uint8(0), 10**10)}
    with pytest.raises(WeightsError, match=r"head_p4\.dfl\.project has shape \[10000000000\]"):
        recognise(source(arrays("notebook", 2, 8) | endless), "")
