"""Class branches of any width: they belong to the weights, whatever the number of classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lucidbox import Detector
from lucidbox.core.errors import WeightsError
from lucidbox.detector.loading import graph_of
from lucidbox.model import build
from lucidbox.model_files import look_at
from lucidbox.train.start import start_from
from lucidbox.weights import describe, from_network, network, read, write
from models import NAMES, lively_network, unchecked_shapes

PUBLISHED = {1: 64, 2: 64, 3: 64, 80: 80, 200: 100}
"""Width of a yolo11n's class branches by its number of classes, built anew."""


def names_of(classes):
    return [f"thing {number}" for number in range(classes)]


@pytest.mark.parametrize(
    ("classes", "width"),
    [(1, 64), (2, 200), (3, 100), (80, 80), (80, 64), (200, 100)],
)
def test_written_read_and_trained_from_they_stay_as_wide(classes, width, tmp_path):
    made = build("yolo11n", classes, class_width=width).eval()
    write(from_network(made, names_of(classes)), tmp_path / "x.safetensors")
    weights = read(tmp_path / "x.safetensors")
    assert (
        weights.options
        == describe(weights).options
        == ({} if width == PUBLISHED[classes] else {"class_width": width})
    )
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected, found = made(images), network(weights)(images)
    assert torch.equal(expected.classes, found.classes)
    assert torch.equal(expected.boxes, found.boxes)
    for names in (names_of(classes), names_of(5)):
        branch = start_from(tmp_path / "x.safetensors", names, seed=0).network.head.class_branches[0]
        assert (branch.predict.in_channels, branch.predict.out_channels) == (width, len(names))


@pytest.mark.extended
def test_exported_and_read_back(tmp_path):
    """Exported, run without torch, and read from the export: the same answers, and the width is stated."""
    path = tmp_path / "wide.safetensors"
    write(from_network(lively_network(class_width=80), NAMES, size=96), path)
    picture = np.random.default_rng(3).integers(0, 256, (96, 96, 3), np.uint8)
    with unchecked_shapes():
        found = [
            Detector.load(path, engine=engine, precision="fp32", conf=0.01)(picture)
            for engine in ("auto", "torch")
        ]
    assert len(found[0]) == len(found[1]) > 0
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=1e-3)
    np.testing.assert_allclose(found[0].boxes, found[1].boxes, atol=0.1)
    assert read(graph_of(look_at(path)).path).options == {"class_width": 80}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_width": 0}, "class_width 0; it must be at least 1"),
        ({"class_width": 81}, r"has shape \[80, .* needs \[81, "),
        ({}, r"has shape \[80, .* needs \[64, "),
    ],
)
def test_a_width_that_the_tensors_contradict_is_refused(options, message, tmp_path):
    weights = from_network(build("yolo11n", 3, class_width=80), NAMES)
    with pytest.raises(WeightsError, match=message):
        write(replace(weights, options=options), tmp_path / "x.safetensors")
