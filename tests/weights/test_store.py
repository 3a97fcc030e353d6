"""Our safetensors: read back bit for bit, the same bytes every time, refused when changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from lucidbox.core.errors import OutputError, WeightsError
from lucidbox.model import build
from lucidbox.weights import Weights, from_network, network, read, write
from lucidbox.weights.reading import read_content
from lucidbox.weights.store import to_bytes


def made(architecture="notebook", classes=2, **options):
    torch.manual_seed(1)
    options = options or ({"base_channels": 4} if architecture == "notebook" else {})
    names = [f"类 {number}" for number in range(classes)]
    return from_network(
        build(architecture, classes, **options), names, licence="Apache-2.0", provenance="made in a test", size=320
    )


def assert_same(found, expected):
    for field in ("architecture", "names", "licence", "provenance", "source_sha256", "size", "options"):
        assert getattr(found, field) == getattr(expected, field), field
    assert list(found.tensors) == list(expected.tensors)
    for name, array in expected.tensors.items():
        assert found.tensors[name].dtype == array.dtype, name
        assert found.tensors[name].shape == array.shape, name
        assert found.tensors[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("architecture", ["notebook", "yolo11n"])
def test_round_trip_is_bit_identical(architecture, dtype, tmp_path):
    weights = made(architecture)
    tensors = {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in weights.tensors.items()}
    weights = replace(weights, tensors=tensors, source_sha256="f" * 64)
    path = tmp_path / "folder" / "any name.bin"
    write(weights, path)
    found = read(path)
    assert_same(found, weights)
    first = path.read_bytes()
    write(found, path)
    assert path.read_bytes() == first


def test_arrays_of_any_memory_layout_are_written():
    weights = made()
    name = "backbone.stem.conv.weight"
    turned = np.asfortranarray(weights.tensors[name])
    assert not turned.flags.c_contiguous
    assert to_bytes(replace(weights, tensors=weights.tensors | {name: turned})) == to_bytes(weights)


def metadata_of(content):
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]


def test_metadata_are_readable_by_anyone():
    metadata = metadata_of(to_bytes(made()))
    assert metadata["format"] == "lucidbox"
    assert metadata["architecture"] == "notebook"
    assert json.loads(metadata["options"]) == {"base_channels": 4}
    assert json.loads(metadata["names"]) == ["类 0", "类 1"]
    assert (metadata["size"], metadata["stride"], metadata["licence"]) == ("320", "32", "Apache-2.0")
    assert set(metadata) >= {"provenance", "source_sha256", "lucidbox_version", "format_version"}


def changed(content, **changes):
    """The same file with other metadata; None leaves an entry out."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = {k: v for k, v in (header["__metadata__"] | changes).items() if v is not None}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": "2"}, "format version 2; this lucidbox reads 1"),
        ({"format_version": None}, "format version None"),
        ({"architecture": "yolo99"}, "'yolo99' is unknown"),
        ({"architecture": "yolo11n"}, "yolo11n has no option base_channels"),
        ({"architecture": None}, "lack 'architecture'"),
        ({"names": '["a"]'}, "needs \\[1, "),
        ({"names": '["a", ""]'}, "class 1 has an empty name"),
        ({"names": "[1, 2]"}, "list of texts"),
        ({"names": "not json"}, "malformed"),
        ({"names": "[" * 100_000}, "malformed"),
        ({"names": "[]"}, "0 classes"),
        ({"options": '{"base_channels": 5}'}, "has shape"),
        ({"options": '{"base_channels": 1e9}'}, "malformed"),
        ({"options": '{"base_channels": 100000}'}, "malformed"),
        ({"options": '{"base_channels": -1}'}, "at least 2"),
        ({"options": "[]"}, "malformed"),
        ({"size": "100"}, "size 100 and stride 32"),
        ({"size": "x"}, "malformed"),
        ({"stride": "64"}, "stride 64"),
        ({"licence": None}, "lack 'licence'"),
    ],
)
def test_changed_metadata_are_refused(changes, message):
    with pytest.raises(WeightsError, match=message):
        read_content(changed(to_bytes(made()), **changes), "x")


def test_terminal_commands_in_metadata_are_not_kept():
    weights = read_content(
        changed(to_bytes(made()), licence="a\x1b[2J\nb", names='["\\u001b]0;x", "\\ud800y"]'), "x"
    )
    assert weights.licence == "a [2J b"
    assert weights.names == ("]0;x", "y")


def test_truncations_are_refused():
    content = to_bytes(made())
    for length in [*range(9, 600, 7), *range(600, len(content), 9973), len(content) - 1]:
        with pytest.raises(WeightsError, match="truncated or damaged safetensors"):
            read_content(content[:length], "x")


def test_unsound_tensors_are_refused_when_read_and_when_written(tmp_path):
    weights = made()
    name = "c2psa.attention.0.2.bias"
    sound = weights.tensors[name]
    without = {key: array for key, array in weights.tensors.items() if key != name}
    for tensors, message in (
        (without, f"are missing: {name}"),
        (without | {name: sound[:1]}, f"{name} has shape"),
        (without | {name: np.full_like(sound, np.nan)}, f"{name} holds NaN"),
        (weights.tensors | {"more": sound}, "do not belong to a notebook of 2 classes: more"),
    ):
        broken = replace(weights, tensors=tensors)
        with pytest.raises(WeightsError, match=message):
            read_content(to_bytes(broken), "x")
        with pytest.raises(WeightsError, match=message):
            write(broken, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_safetensors_of_others_are_recognised():
    weights = made("notebook", 3, base_channels=4)
    found = read_content(save(weights.tensors, metadata={"license": "MIT"}), "theirs.safetensors")
    assert (found.architecture, found.names, found.licence) == (
        "notebook",
        ("class_0", "class_1", "class_2"),
        "MIT",
    )
    assert found.provenance == "safetensors theirs.safetensors"
    assert read_content(save(weights.tensors), "x").licence == "not stated in the file"


def test_bfloat16_is_read_as_the_equal_float32():
    state = build("notebook", 2, base_channels=4).bfloat16().state_dict()
    for name in state:
        if name.endswith("project"):
            state[name] = torch.arange(16.0)
    found = read_content(save_torch(state), "x")
    np.testing.assert_array_equal(
        found.tensors["backbone.stem.conv.weight"], state["backbone.stem.conv.weight"].float().numpy(), strict=True
    )


def test_types_that_no_network_has_are_refused():
    with pytest.raises(WeightsError, match="tensor a is of type"):
        read_content(save_torch({"a": torch.ones(2, dtype=torch.float8_e4m3fn)}), "x")
    with pytest.raises(WeightsError, match="tensor a is of type BOOL"):
        read_content(save_torch({"a": torch.ones(2, dtype=torch.bool)}), "x")


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="disk is full"):
        write(made(), tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_networks_and_weights_are_each_other_s_reverse():
    weights = made("yolo11n", 2)
    back = network(weights)
    assert not back.training
    again = from_network(back, weights.names, licence="Apache-2.0", provenance="made in a test", size=320)
    assert isinstance(again, Weights)
    assert_same(again, weights)


def test_a_shape_beyond_numpy_is_refused():
    """Without numbers in it, an array's other lengths cost a file nothing."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]}}).encode()
    with pytest.raises(WeightsError, match="tensor a has the shape"):
        read_content(len(header).to_bytes(8, "little") + header, "x.safetensors")
