import json
import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError
from lucidbox.model import Decoder, build, fuse
from lucidbox.model.blocks import ConvUnit
from lucidbox.weights.keys import DISTRIBUTION_KEY, LAYERS, to_published

SHAPED = ["yolo11n", "yolo11s", "yolo11m", "yolo11l", "yolo11x", "yolo11n-nc1", "yolo11n-nc3", "yolo11n-nc200"]
# The layers of s, l and x are those of n and m, wider or more often; their reference is in ../shared only.
COMPUTED = ["yolo11n", "yolo11m", "yolo11n-nc3"] + [
    pytest.param(name, marks=pytest.mark.slow) for name in ("yolo11s", "yolo11l", "yolo11x")
]
# Without calibrated batch norms the signal dies out on its way: a weaker test than the other.
VARIANTS = [pytest.param("", marks=pytest.mark.slow), "-cal"]


@pytest.mark.parametrize("name", SHAPED)
def test_names_shapes_and_order_are_the_published_ones(name, published_shapes):
    architecture, _, classes = name.partition("-nc")
    with torch.device("meta"):
        network = build(architecture, int(classes or 80))
    ours = [(to_published(key), list(tensor.shape)) for key, tensor in network.state_dict().items()]
    assert [*ours, (DISTRIBUTION_KEY, [1, 16, 1, 1])] == list(published_shapes(name).items())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", COMPUTED)
def test_outputs_equal_the_reference_before_and_after_fusing(name, variant, golden, golden_file):
    network, images, reference = golden(name, variant)
    rounding = json.loads(golden_file("model/rounding.json").read_text())[f"model/{name}{variant}.npz"]
    compare(network, images, reference, rounding)
    compare(fuse(network), images, reference, rounding)


def compare(network, images, reference, rounding):
    with torch.inference_mode():
        logits = network(images)
        predictions = Decoder(network.strides, network.bins)(logits, *images.shape[2:])
    x1, y1, x2, y2 = predictions.boxes.double().unbind(2)
    boxes = torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=1)
    # Ten times what the reference itself moves between fp32 and fp64: tighter than its README allows.
    close(logits.boxes, reference["box_logits"], 10 * rounding["box_logits"])
    close(logits.classes, reference["class_logits"], 10 * rounding["class_logits"])
    close(boxes, reference["boxes_xywh"], 10 * rounding["boxes_px"])
    # A sigmoid is nowhere steeper than 1/4; the rest is float32's own grain.
    close(predictions.scores.mT, reference["scores"], 2.5 * rounding["class_logits"] + 1e-7)


def close(ours, reference, tolerance):
    assert ours.shape == reference.shape
    assert np.abs(ours.numpy() - reference).max() <= tolerance


@pytest.mark.parametrize("prepare", [lambda network: network, fuse], ids=["unfused", "fused"])
@pytest.mark.parametrize(
    ("variant", "tolerance"), [pytest.param("", 1e-5, marks=pytest.mark.slow), ("-cal", 2e-3)]
)
def test_every_recorded_layer_equals_the_reference(variant, tolerance, prepare, golden):
    network, images, reference = golden("yolo11n", variant)
    network = prepare(network)
    seen = {}
    for number, name in LAYERS.items():
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, number=number: seen.__setitem__(f"layer{number}", output)
        )
    with torch.inference_mode():
        network(images)
    recorded = [name for name in reference if name.startswith("layer")]
    assert recorded == [f"layer{number}" for number in (2, 4, 6, 8, 9, 10, 16, 19, 22)]
    for name in recorded:
        close(seen[name], reference[name], tolerance)


def test_a_step_in_training_mode_equals_the_reference(golden, golden_file):
    """Batch statistics in the forward pass; momentum 0.03 and the unbiased variance in the running ones."""
    network, images, _ = golden("yolo11n", "-cal")
    reference = np.load(golden_file("train/trainstep-n.npz"))
    with torch.no_grad():
        logits = network.train()(images)
    close(logits.boxes, reference["box_logits"], 2e-3)
    close(logits.classes, reference["class_logits"], 2e-3)
    state = {to_published(key): tensor for key, tensor in network.state_dict().items()}
    after = [name.removeprefix("after/") for name in reference if name.startswith("after/")]
    assert len(after) == 15
    for key in after:
        close(state[key], reference[f"after/{key}"], 1e-4)


@cache
def tiny():
    torch.manual_seed(0)
    # A network built under inference mode, as some callers are, could never be differentiated.
    with torch.inference_mode(False):
        return build("yolo11n", 2).eval()


@settings(max_examples=12, deadline=None)
@given(rows=st.integers(1, 5), columns=st.integers(1, 5), batch=st.integers(1, 3))
def test_any_size_in_multiples_of_32_has_its_anchors(rows, columns, batch):
    with torch.inference_mode():
        logits = tiny()(torch.rand(batch, 3, 32 * rows, 32 * columns))
    anchors = rows * columns * (16 + 4 + 1)
    assert logits.boxes.shape == (batch, 64, anchors)
    assert logits.classes.shape == (batch, 2, anchors)


@pytest.mark.parametrize("classes", [1, 2, 99, 100, 101, 1203])
def test_any_number_of_classes(classes):
    with torch.inference_mode():
        logits = build("yolo11n", classes).eval()(torch.rand(1, 3, 32, 32))
    assert logits.classes.shape == (1, classes, 21)


@pytest.mark.parametrize(("height", "width"), [(100, 64), (64, 100), (640, 639), (16, 32)])
def test_other_sizes_are_refused(height, width):
    with pytest.raises(OptionError, match=f"image of {height}×{width} pixels.*multiples of 32"):
        tiny()(torch.rand(1, 3, height, width))


def test_an_image_has_the_same_logits_alone_and_in_a_batch():
    images = torch.rand(3, 3, 64, 96)
    with torch.inference_mode():
        together = tiny()(images)
        for index in range(3):
            alone = tiny()(images[index : index + 1])
            assert torch.allclose(alone.boxes[0], together.boxes[index], atol=1e-5)
            assert torch.allclose(alone.classes[0], together.classes[index], atol=1e-5)


def test_biases_of_an_untrained_head():
    branches = build("yolo11n", 80).head
    for branch in branches.box_branches:
        assert torch.equal(branch.predict.bias, torch.ones(64))
    # 640 / 8 = 80 cells a side: five objects over 80 classes and 6,400 cells.
    expected = [math.log(5 / 80 / cells**2) for cells in (80, 40, 20)]
    for branch, logit in zip(branches.class_branches, expected, strict=True):
        assert torch.allclose(branch.predict.bias, torch.full((80,), logit))


def test_batch_norms_are_the_published_ones():
    norms = [module for module in build("yolo11n").modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


@pytest.mark.parametrize("layer", [LAYERS[number] for number in (0, 2, 4, 6, 8, 9, 10, 13, 16, 19, 22)])
def test_gradients_reach_every_layer_through_hooks(layer):
    """What Grad-CAM needs: activations and gradients of a layer, by its name, unharmed by later layers."""
    network = tiny()
    kept = {}
    module = network.get_submodule(layer)
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: kept.__setitem__("activation", output)),
        module.register_full_backward_hook(lambda _module, _inputs, grads: kept.__setitem__("gradient", grads[0])),
    ]
    network(torch.rand(1, 3, 64, 64, requires_grad=True)).classes.sum().backward()
    for hook in hooks:
        hook.remove()
    assert kept["gradient"].shape == kept["activation"].shape
    assert kept["gradient"].abs().max() > 0


def test_norms_with_frozen_statistics_are_part_of_their_convolution():
    """The same numbers and gradients as one after the other."""
    torch.manual_seed(0)
    unit = ConvUnit(3, 8, 3, 2).double()
    unit.bn.running_mean.uniform_(-1, 1)
    unit.bn.running_var.uniform_(0.5, 2)
    images = torch.rand(2, 3, 12, 16, dtype=torch.float64)
    results = []
    for training in (False, True):
        unit.train(training).bn.eval()
        output = unit(images)
        results.append([output, *torch.autograd.grad((output**2).sum(), unit.parameters())])
    for alone, together in zip(*results, strict=True):
        torch.testing.assert_close(together, alone)
