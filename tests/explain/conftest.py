"""The notebook network with the reference's weights, and a small detector with its network."""

import json

import numpy as np
import pytest
import torch

from golden.fill import fill
from lucidbox.model import build


@pytest.fixture
def golden_notebook(golden_file):
    """Function from a number of classes to (network filled as for the golden heat maps, its two images)."""

    def make(classes):
        record = np.load(golden_file(f"notebook/outputs-nc{classes}-cal.npz"))
        shapes = json.loads(golden_file(f"notebook/state-shapes-nc{classes}-base16.json").read_text())
        norms = {name.removeprefix("bn/"): record[name] for name in record if name.startswith("bn/")}
        tensors = {name: torch.from_numpy(array) for name, array in fill(shapes, norms).items()}
        network = build("notebook", classes, base_channels=16)
        network.load_state_dict(tensors)
        return network, torch.from_numpy(record["x"])

    return make


@pytest.fixture(scope="session")
def small(small_weights):
    """The small network, its detector on an engine that is the network itself, and a picture with detections."""
    from lucidbox import Detector, weights

    network = weights.network(weights.read(small_weights))
    detector = Detector.load(small_weights, engine="torch", precision="fp32", size=160)
    picture = np.random.default_rng(0).integers(0, 256, (96, 150, 3), dtype=np.uint8)
    found = detector(picture)
    assert len(found) >= 3
    return network, detector, picture, found
