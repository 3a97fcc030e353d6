"""Weights that were saved in a wrapper, or with their norms folded, are read; images of other kinds are named."""

import forge
import numpy as np
import pytest
import torch

from lucidbox.core.errors import WeightsError
from lucidbox.model import build
from lucidbox.model.decoding import Detecting
from lucidbox.model.fuse import fuse
from lucidbox.weights import network
from lucidbox.weights.keys import DISTRIBUTION_KEY, to_published
from lucidbox.weights.published import module_of
from lucidbox.weights.reading import read_content
from lucidbox.weights.safe_pickle import Record

STATE = forge.published_state()
PLAIN = read_content(forge.saved(STATE), "x.pt")


def assert_same(found, expected=PLAIN):
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(np.array_equal(found.tensors[name], array) for name, array in expected.tensors.items())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model.model.", "detector.network."]
)
def test_a_wrapper_s_name_is_taken_off(prefix):
    assert_same(read_content(forge.saved({prefix + name: tensor for name, tensor in STATE.items()}), "x.pt"))


def test_a_bare_list_of_layers_and_an_average_s_counter():
    bare = {name.removeprefix("model."): tensor for name, tensor in STATE.items()}
    averaged = {"n_averaged": torch.tensor(3), **{f"module.{name}": tensor for name, tensor in STATE.items()}}
    assert_same(read_content(forge.saved(bare), "x.pt"))
    assert_same(read_content(forge.saved({"model_state_dict": averaged}), "x.pt"))


def test_our_own_names_and_the_notebook_s_may_be_wrapped():
    for architecture, options in (("yolo11n", {}), ("notebook", {"base_channels": 4})):
        state = build(architecture, 2, **options).state_dict()
        wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
        plain = read_content(forge.saved(state), "x.pt")
        assert_same(read_content(forge.saved(wrapped), "x.pt"), plain)


def test_two_networks_in_one_dict_are_not_mixed():
    both = {f"{part}.{name}": tensor for part in ("student", "ema") for name, tensor in STATE.items()}
    with pytest.raises(WeightsError, match="no network of ours"):
        read_content(forge.saved(both), "x.pt")


def test_a_pickled_wrapper_is_looked_into():
    inner = Record("ultralytics.nn.tasks.DetectionModel", (), {"stride": None, "_modules": {}})
    outer = Record("torch.nn.parallel.data_parallel.DataParallel", (), {"_modules": {"module": inner}})
    assert module_of({"model": outer}) is inner
    assert module_of({"model": Record("torch.nn.Module", (), None)}).name == "torch.nn.Module"
    endless = Record("torch.nn.Module", (), {})
    endless.state["_modules"] = {"again": endless}
    assert module_of(endless) is endless


def test_folded_norms_answer_as_whole_ones():
    torch.manual_seed(0)
    whole = build("yolo11n", 2).eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
    folded = {to_published(name): tensor for name, tensor in fuse(whole).state_dict().items()}
    folded[DISTRIBUTION_KEY] = torch.arange(16.0).view(1, 16, 1, 1)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = Detecting(whole)(images)
        found = Detecting(network(read_content(forge.saved(folded), "x.pt")))(images)
    assert torch.allclose(found.boxes, expected.boxes, atol=1e-2)
    assert torch.allclose(found.scores, expected.scores, atol=1e-5)


@pytest.mark.parametrize(("channels", "words"), [(1, "grey images"), (4, "images of 4 channels")])
def test_networks_for_other_images_are_named(channels, words):
    kernel = {"model.0.conv.weight": torch.ones(16, channels, 3, 3)}
    with pytest.raises(WeightsError, match=f"a network for {words}; lucidbox reads networks for RGB"):
        read_content(forge.saved({**STATE, **kernel}), "x.pt")
