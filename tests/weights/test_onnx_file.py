"""Our ONNX read back: made here in miniature as the exporter makes it, and by the exporter itself."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from lucidbox.core.errors import WeightsError
from lucidbox.model import build, fuse
from lucidbox.weights import from_network, network, read, to_metadata, write
from lucidbox.weights.reading import read_content


def trained(architecture, **options):
    """Weights whose norms do something."""
    torch.manual_seed(4)
    made = build(architecture, 2, **options)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return from_network(made, ["nut", "bolt"], licence="MIT", provenance="here", size=320)


def graph_of(weights, prefix="detecting.network."):
    """An ONNX model with the constants and metadata of an export, and no nodes."""
    state = {name: tensor.numpy() for name, tensor in fuse(network(weights)).state_dict().items()}
    state["backbone.stem.conv.weight"] = state["backbone.stem.conv.weight"] / np.float32(255)
    constants = [numpy_helper.from_array(array, prefix + name) for name, array in state.items()]
    # The decoder's own numbers lie beside the network's.
    constants.append(numpy_helper.from_array(np.arange(16, dtype=np.float32), "val_1"))
    model = helper.make_model(helper.make_graph([], "main", [], [], constants))
    helper.set_model_props(model, to_metadata(weights))
    return model


@pytest.mark.parametrize("prefix", ["detecting.network.", ""])
@pytest.mark.parametrize(
    ("architecture", "options"),
    [("yolo11n", {}), ("yolo11n", {"class_width": 80}), ("notebook", {"base_channels": 8})],
)
def test_the_network_is_the_same_one(architecture, options, prefix):
    weights = trained(architecture, **options)
    found = read_content(graph_of(weights, prefix).SerializeToString(), "x.onnx")
    for field in ("architecture", "names", "licence", "provenance", "size", "options"):
        assert getattr(found, field) == getattr(weights, field)
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        for expected, output in zip(network(weights)(images), network(found)(images), strict=True):
            torch.testing.assert_close(output, expected, atol=2e-4, rtol=1e-4)


def test_reading_what_was_read_gives_the_same_kernels():
    """The norm given back folds to the very bias and the very kernel, so nothing drifts from file to file."""
    once = read_content(graph_of(trained("yolo11n")).SerializeToString(), "x")
    twice = read_content(graph_of(once).SerializeToString(), "x")
    for name, array in once.tensors.items():
        limit = 1e-6 if name == "backbone.stem.conv.weight" else 0  # divided by 255 and multiplied again
        np.testing.assert_allclose(twice.tensors[name], array, rtol=limit, err_msg=name)


@pytest.mark.slow
def test_the_exporter_s_file_is_read(tmp_path):
    """In a process of its own: the exporter cannot trace functions whose shapes are being checked."""
    weights = trained("notebook", base_channels=4)
    write(weights, tmp_path / "x.safetensors")
    command = ["-m", "lucidbox", "weights", "convert", tmp_path / "x.safetensors", tmp_path / "x.onnx"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    found = read(tmp_path / "x.onnx")
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        for expected, output in zip(network(weights)(images), network(found)(images), strict=True):
            torch.testing.assert_close(output, expected, atol=2e-4, rtol=1e-4)


def altered(change):
    model = graph_of(trained("notebook", base_channels=4))
    change(model)
    return model.SerializeToString()


def constant(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name.endswith(name))


def remove(model, name):
    model.graph.initializer.remove(constant(model, name))


def poison(model):
    tensor = constant(model, "fpn.lateral_p4.conv.weight")
    array = numpy_helper.to_array(tensor).copy()
    array[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (poison, "fpn.lateral_p4.conv.weight holds NaN"),
        (lambda m: remove(m, "fpn.lateral_p4.conv.weight"), "missing: fpn.lateral_p4.conv.weight"),
        (lambda m: remove(m, "fpn.lateral_p4.conv.bias"), "missing: fpn.lateral_p4.bn.weight"),
        (lambda m: m.graph.ClearField("initializer"), "missing: backbone.stem.conv.weight"),
        (lambda m: m.ClearField("metadata_props"), "that lucidbox did not write"),
        (lambda m: helper.set_model_props(m, {"lucidbox_version": "1"}), "lack 'size'"),
        (lambda m: setattr(constant(m, "lateral_p4.conv.weight"), "raw_data", b"123"), "is damaged"),
        (lambda m: setattr(constant(m, "lateral_p4.conv.weight"), "data_type", 77), "is damaged"),
        (
            lambda m: setattr(constant(m, "lateral_p4.conv.weight"), "data_location", onnx.TensorProto.EXTERNAL),
            "lie in another file",
        ),
    ],
)  # fmt: skip
def test_defects_are_named(change, message):
    with pytest.raises(WeightsError, match=message):
        read_content(altered(change), "x.onnx")


def test_texts_that_are_not_utf_8_are_refused():
    content = graph_of(trained("notebook", base_channels=4)).SerializeToString()
    for text in (b"detecting.network.fpn.lateral_p4.conv.bias", b"notebook"):
        with pytest.raises(WeightsError, match="a text in it is not UTF-8"):
            read_content(content.replace(text, b"\xff" + text[1:]), "x.onnx")


def test_a_number_that_grows_infinite_is_named():
    model = graph_of(trained("notebook", base_channels=4))
    stem = constant(model, "backbone.stem.conv.weight")
    stem.CopyFrom(numpy_helper.from_array(np.full((4, 3, 3, 3), 1e38, np.float32), stem.name))
    with pytest.raises(WeightsError, match=r"backbone\.stem\.conv\.weight holds NaN or infinite"):
        read_content(model.SerializeToString(), "x.onnx")


def test_a_network_of_another_size_than_stated_is_refused():
    weights = trained("notebook", base_channels=4)
    model = graph_of(weights)
    helper.set_model_props(model, to_metadata(replace(weights, options={"base_channels": 8})))
    with pytest.raises(WeightsError, match="has shape"):
        read_content(model.SerializeToString(), "x.onnx")


def test_truncations_are_refused():
    content = graph_of(trained("notebook", base_channels=4)).SerializeToString()
    for length in [1, 2, 10, len(content) // 2, len(content) - 1]:
        with pytest.raises(WeightsError):
            read_content(content[:length], "x.onnx")
