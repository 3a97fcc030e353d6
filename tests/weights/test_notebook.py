"""Plain state dicts: the notebook series' and published ones, bare and under the keys that loops use."""

import json

import forge
import numpy as np
import pytest
import torch

from golden.fill import fill
from lucidbox.core.errors import WeightsError
from lucidbox.model import build
from lucidbox.weights import network
from lucidbox.weights.keys import from_published
from lucidbox.weights.notebook import read_state_dict
from lucidbox.weights.reading import read_content


def notebook_state(classes=5, base=8):
    torch.manual_seed(0)
    return build("notebook", classes, base_channels=base).state_dict()


@pytest.mark.parametrize("place", [None, "model", "model_state_dict", "state_dict"])
def test_a_notebook_checkpoint_is_read_wherever_its_state_is(place):
    state = notebook_state()
    optimizer = torch.optim.AdamW(build("notebook", 1, base_channels=2).parameters()).state_dict()
    checkpoint = state if place is None else {"epoch": 3, "loss": 0.5, place: state, "optimizer": optimizer}
    weights = read_content(forge.saved(checkpoint), "best.pt")
    assert (weights.architecture, weights.options, len(weights.names)) == ("notebook", {"base_channels": 8}, 5)
    assert weights.names[4] == "class_4"
    assert weights.licence == "not stated in the file"
    assert weights.provenance == "state dict best.pt"
    for name, tensor in state.items():
        np.testing.assert_array_equal(weights.tensors[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize("classes", [5, 80])
def test_the_golden_notebook_s_state_gives_its_outputs(classes, golden_file):
    """The reference's state, saved and read by us, gives the reference's class logits."""
    golden = np.load(golden_file(f"notebook/outputs-nc{classes}-cal.npz"))
    shapes = json.loads(golden_file(f"notebook/state-shapes-nc{classes}-base16.json").read_text())
    overrides = {name.removeprefix("bn/"): golden[name] for name in golden.files if name.startswith("bn/")}
    state = {name: torch.from_numpy(array) for name, array in fill(shapes, overrides).items()}
    for name in state:
        if name.endswith("num_batches_tracked"):
            state[name] = state[name].long()
        if name.endswith("dfl.project"):
            state[name] = torch.arange(16.0)
    weights = read_content(forge.saved({"model_state_dict": state}), "golden.pt")
    assert weights.options == {"base_channels": 16}
    with torch.inference_mode():
        levels = network(weights).levels(torch.from_numpy(golden["x"]))
    for name, level in zip(("p3", "p4", "p5"), levels, strict=True):
        np.testing.assert_allclose(level.classes.numpy(), golden[f"{name}_cls"], atol=1e-4)


def test_a_bare_published_state_dict_is_read():
    weights = read_content(forge.saved(forge.published_state(classes=2)), "state.pt")
    assert (weights.architecture, weights.names) == ("yolo11n", ("class_0", "class_1"))
    assert weights.tensors["backbone.stem.conv.weight"].dtype == np.float16
    assert from_published("model.0.conv.weight") == "backbone.stem.conv.weight"


def test_names_size_and_licence_beside_the_state_are_kept():
    found = read_state_dict(
        {"model": {"a": np.ones(1)}, "class_names": ["nut", "bolt\r"], "img_size": 320, "license": "MIT"}, "x.pt"
    )
    assert (found.names, found.size, found.licence) == (("nut", "bolt"), 320, "MIT")
    assert read_state_dict({"model": {"a": np.ones(1)}, "classes": 5}, "x.pt").names is None


@pytest.mark.parametrize(
    "checkpoint", [{}, [], None, 5, {"model": {}}, {"model": {"a": 1}}, {"weights": {"a": np.ones(1)}}, {"a": "b"}]
)
def test_checkpoints_without_a_state_are_refused(checkpoint):
    with pytest.raises(WeightsError, match="a checkpoint without a network"):
        read_state_dict(checkpoint, "x.pt")


def test_names_that_are_not_text_are_refused():
    with pytest.raises(WeightsError, match="name is not text"):
        read_state_dict({0: np.ones(1)}, "x.pt")
