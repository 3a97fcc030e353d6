import numpy as np
import onnx
import pytest
from PIL import Image

from lucidbox import Detector, export, weights
from lucidbox.core.errors import WeightsError
from lucidbox.export import checking
from models import NAMES, lively_network, unchecked_shapes


def test_one_file_with_named_ports_and_metadata(small_onnx):
    model = onnx.load(small_onnx)
    assert [port.name for port in model.graph.input] == ["pixels"]
    assert [port.name for port in model.graph.output] == ["boxes", "scores"]
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert {entry.key for entry in model.metadata_props} >= {
        "architecture",
        "names",
        "licence",
        "lucidbox_version",
    }
    onnx.checker.check_model(model)


def test_there_and_back_is_the_same_network(small_weights, small_onnx):
    """Our ONNX read as weights gives the answers of the weights it was made from."""
    import torch

    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        first = weights.network(weights.read(small_weights))(images)
        second = weights.network(weights.read(small_onnx))(images)
    assert torch.allclose(first.classes, second.classes, atol=1e-4)
    assert torch.allclose(first.boxes, second.boxes, atol=1e-4)


def test_a_graph_that_differs_is_not_kept(monkeypatch, tmp_path, small_weights, small_onnx):
    monkeypatch.setitem(checking.TOLERANCES, "fp32", checking.Tolerance(-1.0, -1.0))
    monkeypatch.setattr(checking, "ROUNDINGS", -1)
    # Tracing it again would take 20 seconds.
    monkeypatch.setattr(
        "lucidbox.export.tracing._write", lambda *args: args[-1].write_bytes(small_onnx.read_bytes())
    )
    path = tmp_path / "different.onnx"
    with pytest.raises(WeightsError, match="differs from the network"):
        export.export_onnx(weights.read(small_weights), path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # tests/train/test_trainer.py converts a notebook network too
def test_the_notebooks_network_goes_through_the_door(tmp_path):
    network = lively_network("notebook", base_channels=4)
    path = tmp_path / "notebook.safetensors"
    weights.write(weights.from_network(network, NAMES), path)
    with unchecked_shapes():
        detector = Detector.load(path, precision="fp32")
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "noise.png")
    assert len(detector(tmp_path / "noise.png", conf=0.1)) > 0
