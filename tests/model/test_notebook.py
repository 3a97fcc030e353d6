import json

import numpy as np
import pytest
import torch

from lucidbox.model import Decoder, build, fuse
from lucidbox.model.decoding import expected_distances

CLASSES = [80, 5]


@pytest.mark.parametrize("classes", CLASSES)
def test_names_shapes_and_order_are_the_notebooks(classes, golden_file):
    shapes = json.loads(golden_file(f"notebook/state-shapes-nc{classes}-base16.json").read_text())
    network = build("notebook", classes, base_channels=16)
    assert [(key, list(tensor.shape)) for key, tensor in network.state_dict().items()] == list(shapes.items())


@pytest.mark.parametrize("prepare", [lambda network: network, fuse], ids=["unfused", "fused"])
# Without calibrated batch norms the signal dies out on its way.
@pytest.mark.parametrize("variant", [pytest.param("", marks=pytest.mark.slow), "-cal"])
@pytest.mark.parametrize("classes", CLASSES)
def test_outputs_of_every_level_equal_the_notebook(classes, variant, prepare, golden_notebook):
    network, reference = golden_notebook(classes, variant)
    with torch.inference_mode():
        levels = prepare(network).levels(torch.from_numpy(reference["x"]))
    for name, level in zip(("p3", "p4", "p5"), levels, strict=True):
        distances = expected_distances(level.boxes.flatten(2), network.bins).reshape(
            reference[f"{name}_box"].shape
        )
        for ours, kind in ((level.classes, "cls"), (level.boxes, "raw"), (distances, "box")):
            assert np.abs(ours.numpy() - reference[f"{name}_{kind}"]).max() <= 1e-4


@pytest.mark.parametrize("classes", CLASSES)
def test_decoded_boxes_equal_the_notebook(classes, golden_notebook, golden_file):
    """At its lowest threshold the notebook keeps every anchor here, in order: its best class, clamped boxes."""
    network, reference = golden_notebook(classes, "-cal")
    decoded = np.load(golden_file(f"notebook/decode-nc{classes}.npz"))
    images = torch.from_numpy(reference["x"])
    with torch.inference_mode():
        boxes, scores = Decoder(network.strides, network.bins)(network(images), *images.shape[2:])
    best = scores.max(dim=2)
    for image in range(2):
        key = f"size640/conf0.25/image{image}"
        assert np.abs(boxes[image].clamp(0, 640).numpy() - decoded[f"{key}/boxes"]).max() <= 1e-3
        assert np.abs(best.values[image].numpy() - decoded[f"{key}/scores"]).max() <= 1e-5
        assert np.array_equal(best.indices[image].numpy(), decoded[f"{key}/class_ids"])


def test_logits_are_the_levels_in_a_row():
    network = build("notebook", 2, base_channels=4).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        logits, (p3, p4, p5) = network(images), network.levels(images)
    assert torch.equal(logits.boxes[:, :, 8 * 12 + 6 + 2], p4.boxes[:, :, 1, 2])
    assert torch.equal(logits.classes[:, :, 3], p3.classes[:, :, 0, 3])
    assert torch.equal(logits.classes[:, :, -1], p5.classes[:, :, 1, 2])


def test_batch_norms_are_torchs_default():
    norms = [
        module
        for module in build("notebook", base_channels=2).modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}
