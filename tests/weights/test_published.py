"""Published checkpoints: real ones against torch's own reading, and made ones with every kind of defect."""

import json
import pickle
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace

import forge
import numpy as np
import pytest
import torch

from conftest import SHARED
from lucidbox.core.class_names import COCO_NAMES
from lucidbox.core.errors import WeightsError
from lucidbox.weights import network
from lucidbox.weights.keys import DISTRIBUTION_KEY, from_published
from lucidbox.weights.published import module_of, read_module, state_dict
from lucidbox.weights.reading import read_content
from lucidbox.weights.safe_pickle.globals import Record

REAL = ["yolo11n-reference.pt", "yolo11n-finetune.pt"]
made_checkpoint = cache(forge.published_checkpoint)


def torch_state(path):
    """The state dict as torch itself unpickles it, the publisher's classes being empty modules."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if module.startswith("ultralytics."):
                return type(name, (torch.nn.Module,), {})
            return super().find_class(module, name)

    reader = ModuleType("reader")
    reader.Unpickler, reader.load = Unpickler, pickle.load
    return torch.load(path, pickle_module=reader, weights_only=False)["model"].state_dict()


def real_or_made(tmp_path):
    """A made checkpoint, and the real ones where ../shared has them."""
    (tmp_path / "made.pt").write_bytes(made_checkpoint())
    return [tmp_path / "made.pt", *(path for file in REAL if (path := SHARED / "weights" / file).exists())]


def test_tensors_equal_what_torch_reads(tmp_path):
    for path in real_or_made(tmp_path):
        expected = torch_state(path)
        assert expected.pop(DISTRIBUTION_KEY).flatten().tolist() == list(range(16))
        found = forge.weights_of(path).tensors
        assert set(found) == {from_published(name) for name in expected}
        for name, tensor in expected.items():
            array = found[from_published(name)]
            assert array.dtype == tensor.numpy().dtype
            np.testing.assert_array_equal(array, tensor.numpy(), strict=True)


def test_tensors_are_named_and_ordered_as_published(golden_file, tmp_path):
    for path in real_or_made(tmp_path):
        name = "yolo11n-nc3" if path.name == "made.pt" else "yolo11n"
        shapes = json.loads(golden_file(f"model/{name}-shapes.json").read_text())
        found = state_dict(module_of(forge.checkpoint_of(path)))
        assert [(name, list(array.shape)) for name, array in found.items()] == list(shapes.items())


def test_real_facts(shared):
    weights = forge.weights_of(shared("weights/yolo11n-reference.pt"))
    assert weights.architecture == "yolo11n"
    assert weights.names == COCO_NAMES
    assert weights.licence == "AGPL-3.0 License (https://ultralytics.com/license)"
    assert weights.size == 640
    assert weights.options == {}
    assert "version 8.4.190" in weights.provenance
    assert "yolo11n-reference.pt" in weights.provenance
    assert len(weights.source_sha256) == 64


def test_the_two_real_networks_agree(shared):
    """They are the same network with norms folded and not, up to float16 rounding."""
    images = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    reference, other = (network(forge.weights_of(shared(f"weights/{file}"))) for file in REAL)
    with torch.inference_mode():
        expected, found = reference(images), other(images)
    assert expected.classes.std() > 0.5
    torch.testing.assert_close(found.classes.sigmoid(), expected.classes.sigmoid(), atol=2e-3, rtol=0.05)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=0.1, rtol=0.05)


def test_a_made_checkpoint_round_trips():
    weights = read_content(made_checkpoint(), "made.pt")
    state = forge.published_state()
    assert weights.architecture == "yolo11n"
    assert weights.names == ("nut", "螺栓", "bolt")
    assert weights.licence == "AGPL-3.0 (https://example.org)"
    for name, tensor in state.items():
        if name != DISTRIBUTION_KEY:
            np.testing.assert_array_equal(weights.tensors[from_published(name)], tensor.numpy(), strict=True)


def test_a_checkpoint_taken_while_training_is_read():
    """The running average counts; NumPy numbers, paths, a device, an optimizer's state lie beside it."""
    weights = read_content(
        forge.published_checkpoint(
            key="ema",
            attributes={"criterion_device": torch.device("cpu"), "args": SimpleNamespace(lr0=0.01)},
            best_fitness=np.float64(0.5),
            optimizer={"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
            train_args={"imgsz": 320, "save_dir": Path("runs")},
            train_results={"epoch": [1, 2]},
        ),
        "last.pt",
    )
    assert (weights.architecture, weights.size) == ("yolo11n", 320)


def module(state=None, name="ultralytics.nn.tasks.DetectionModel", **attributes):
    """A recorded module whose tensors are given by their names."""
    found = Record(name, ())
    found.state = {"_parameters": {}, "_buffers": {}, "_modules": {}, **attributes}
    for key, array in (state or {}).items():
        inner = found
        *path, leaf = key.split(".")
        for part in path:
            inner = inner.state["_modules"].setdefault(part, module(name="torch.nn.modules.container.Sequential"))
        inner.state["_parameters"][leaf] = array
    return found


ONE = np.ones(1, np.float32)


def test_the_running_average_comes_before_the_model():
    model, average = module(), module()
    assert module_of({"model": model, "ema": average}) is average
    assert module_of({"model": model, "ema": None}) is model
    assert module_of(model) is model
    assert module_of({"model": {"a": ONE}}) is None
    assert module_of([model]) is None


def test_absent_biases_and_passing_buffers_are_no_state():
    record = module({"a.weight": ONE})
    inner = record.state["_modules"]["a"].state
    inner["_parameters"]["bias"] = None
    inner["_buffers"] |= {"kept": ONE, "passing": ONE}
    inner["_non_persistent_buffers_set"] = {"passing"}
    inner["_modules"]["nothing"] = None
    assert list(state_dict(record)) == ["a.weight", "a.kept"]


def test_a_module_that_holds_itself_is_refused():
    record = module()
    record.state["_modules"]["again"] = record
    with pytest.raises(WeightsError, match="more than 32 modules inside each other"):
        state_dict(record)


def test_modules_shared_without_number_are_refused():
    record = module({"weight": ONE})
    for _ in range(30):
        outer = module()
        outer.state["_modules"] |= {"left": record, "right": record}
        record = outer
    with pytest.raises(WeightsError, match="more than 5000 modules"):
        state_dict(record)


@pytest.mark.parametrize("group", ["_parameters", "_buffers", "_modules"])
def test_names_shared_without_number_are_refused(group):
    """Five modules hold the same 5,000 names; 5,000 could, and make 25 million tensors' names."""
    shared_names = {str(number): None for number in range(5000)}
    record = module()
    for number in range(5):
        record.state["_modules"][str(number)] = module(**{group: shared_names})
    with pytest.raises(WeightsError, match="more than 20000 parameters, buffers and modules"):
        state_dict(record)
    del record.state["_modules"]["4"], record.state["_modules"]["3"]
    assert state_dict(record) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_modules": 5}, "_modules is not a dict of names"),
        ({"_modules": {1: None}}, "_modules is not a dict of names"),
        ({"_modules": {"x": ONE}}, "x is not a module but a ndarray"),
        ({"_modules": {"x" * 101: None}}, "_modules is not a dict of names"),
        ({"_buffers": {str(number): None for number in range(5001)}}, "_buffers is not a dict of names"),
        ({"_parameters": {"x": "text"}}, "x is not a tensor but a str"),
        ({"_buffers": {"x": Record("torch.nn.Parameter", ())}}, "x is not a tensor but a torch.nn.Parameter"),
        ({"_buffers": None}, "_buffers is not a dict of names"),
        ({"_non_persistent_buffers_set": 3}, "_non_persistent_buffers_set is not a set"),
    ],
)
def test_records_that_are_no_modules_are_refused(change, message):
    with pytest.raises(WeightsError, match=message):
        state_dict(module(**change))


@pytest.mark.parametrize("state", [None, {}, [1], "text", ({}, {})])
def test_records_without_a_module_s_state_are_refused(state):
    record = Record("ultralytics.nn.tasks.DetectionModel", (), state)
    with pytest.raises(WeightsError, match=r"DetectionModel\) is not a network"):
        read_module({"model": record}, record, "x.pt")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"task": "segment"}, "for the task 'segment'"),
        ({"task": ONE}, "for the task of type ndarray"),
        ({"stride": np.array([8.0, 16.0, 32.0, 64.0])}, r"of strides \[8.0, 16.0, 32.0, 64.0\]"),
        (
            {"stride": np.broadcast_to(np.float32(8), 10**9)},
            r"of strides \[8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0\]",
        ),
        ({"names": {0: "a", 2: "b"}}, "without gaps"),
        ({"names": {0: "a", 1: 5}}, "list of texts"),
        ({"names": 7}, "list of texts"),
        ({"names": ["a", "  "]}, "class 1 has an empty name"),
        ({"names": ["a" * 201]}, "more than 200 characters"),
        ({"names": ["a"] * 100_001}, "100001 class names; at most 100000"),
    ],
)
def test_networks_of_other_kinds_are_refused(attributes, message):
    record = module(**attributes)
    with pytest.raises(WeightsError, match=message):
        read_module({"model": record}, record, "x.pt")


def read_about(**about):
    return read_module(about, module(names=["a"]), "x.pt")


def test_the_training_size_is_the_picture_size_where_it_is_usable():
    assert read_about(train_args={"imgsz": 320}).size == 320
    for unusable in (100, 0, -32, 2.0, "640", None, True, 10**9, [640, 640]):
        assert read_about(train_args={"imgsz": unusable}).size == 640
    assert read_about(train_args=Record("x", ())).size == 640


def test_the_licence_is_what_the_file_states_and_nothing_else():
    assert read_about().licence == "not stated in the file"
    assert read_about(license=None, docs="AGPL-3.0").licence == "not stated in the file"
    assert read_about(license="MIT").licence == "MIT"
    assert read_about(license="AGPL-3.0\x1b[31m\nred" + "x" * 999).licence.startswith("AGPL-3.0 [31m red")
    assert len(read_about(license="x" * 999).licence) == 300
