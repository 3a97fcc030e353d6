"""Golden networks: built by us, filled with the reference's deterministic weights."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from golden.fill import fill as golden_fill
from lucidbox.model import build
from lucidbox.weights.keys import DISTRIBUTION_KEY, from_published


@pytest.fixture
def fill():
    """golden/fill.py's function, its arrays as tensors."""

    def filled(shapes, record=()):
        """Tensors for names and shapes; batch norm statistics from a record's ``bn/`` arrays, if any."""
        names = [name for name in record if name.startswith("bn/")]
        arrays = golden_fill(shapes, {name.removeprefix("bn/"): record[name] for name in names})
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    return filled


@pytest.fixture
def published_shapes(golden_file):
    """Function from a golden name (yolo11n, yolo11n-nc3) to the published state dict's names and shapes."""

    def read(name):
        return json.loads(golden_file(f"model/{name}-shapes.json").read_text())

    return read


def build_golden(name):
    """A network for a golden name such as yolo11n-nc3; without memory until weights are assigned to it."""
    architecture, _, classes = name.partition("-nc")
    with torch.device("meta"):
        return build(architecture, int(classes or 80)).eval()


@pytest.fixture
def golden(golden_file, fill, published_shapes):
    """Function from a golden name and a variant ("" or "-cal") to (network, input, reference outputs)."""

    def make(name, variant):
        record = np.load(golden_file(f"model/{name}{variant}.npz"))
        tensors = fill(published_shapes(name), record)
        del tensors[DISTRIBUTION_KEY]
        network = build_golden(name)
        network.load_state_dict({from_published(key): tensor for key, tensor in tensors.items()}, assign=True)
        inputs = np.load(golden_file("model/inputs.npz"))
        images = torch.from_numpy(inputs["x_structured" if variant else "x_random"])
        return network, images, record

    return make


@pytest.fixture
def randomise():
    """Function that gives every weight and every batch norm statistic of a network a random value."""

    def change(network, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def uniform(tensor, low, high):
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * (high - low) + low)

        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    uniform(module.weight, 0.5, 1.5)
                    uniform(module.bias, -0.5, 0.5)
                    uniform(module.running_mean, -0.5, 0.5)
                    uniform(module.running_var, 0.2, 2.0)
        return network.eval()

    return change


@pytest.fixture
def golden_notebook(golden_file, fill):
    """Function from classes and variant ("" or "-cal") to (network, reference)."""

    def make(classes, variant):
        reference = np.load(golden_file(f"notebook/outputs-nc{classes}{variant}.npz"))
        shapes = json.loads(golden_file(f"notebook/state-shapes-nc{classes}-base16.json").read_text())
        network = build("notebook", classes, base_channels=16).eval()
        network.load_state_dict(fill(shapes, reference))
        return network, reference

    return make
