"""Tensors come out of checkpoints as torch would give them, and never from outside their storage."""

import forge
import numpy as np
import pytest
import torch
from forge import called, named, text, tuple_of

from lucidbox.core.errors import WeightsError
from lucidbox.weights.safe_pickle.checkpoint import Storages, read_checkpoint
from lucidbox.weights.safe_pickle.storages import STORAGE_KINDS, Storage, bfloat16_to_float32, tensor

TYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_equal_bit_for_bit(dtype):
    values = torch.tensor([[0, 1, 2], [3, 100, 127]]).to(getattr(torch, dtype))
    found = read_checkpoint(forge.saved([values]))[0]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, values.numpy())


def test_every_bfloat16_becomes_its_float32():
    bits = np.arange(2**16, dtype=np.uint16)
    expected = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(bfloat16_to_float32(bits), expected)
    stored = torch.linspace(-3, 3, 50).bfloat16()
    np.testing.assert_array_equal(read_checkpoint(forge.saved([stored]))[0], stored.float().numpy())


def test_special_numbers_survive():
    values = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    found = read_checkpoint(forge.saved([values]))[0]
    assert found.tobytes() == values.numpy().tobytes()


def test_views_shapes_and_shared_storages():
    base = torch.arange(24.0).reshape(2, 3, 4)
    views = [
        base,
        base.transpose(0, 2),
        base[1],
        base[:, 1],
        base[..., ::2],
        base[1, 2, 3],
        base[:0],
        base.flatten()[5:],
    ]
    for view, found in zip(views, read_checkpoint(forge.saved(views)), strict=True):
        assert found.shape == tuple(view.shape)
        np.testing.assert_array_equal(found, view.numpy())


def test_parameters_and_state_dicts():
    layer = torch.nn.Linear(2, 3)
    found = read_checkpoint(forge.saved({"state": layer.state_dict(), "bare": layer.weight}))
    assert list(found["state"]) == ["weight", "bias"]
    np.testing.assert_array_equal(found["state"]["bias"], layer.bias.detach().numpy())
    np.testing.assert_array_equal(found["bare"], layer.weight.detach().numpy())


def test_arrays_cannot_be_written():
    assert not read_checkpoint(forge.saved([torch.ones(3)]))[0].flags.writeable


def test_big_endian_files():
    swapped = {
        name: np.frombuffer(data, "<f4").astype(">f4").tobytes() if "/data/" in name
        else data.replace(b"little", b"big") if name.endswith("byteorder") else data
        for name, data in forge.entries(forge.saved([torch.arange(5.0)])).items()
    }  # fmt: skip
    np.testing.assert_array_equal(read_checkpoint(forge.zipped(swapped))[0], np.arange(5.0))


def test_an_unknown_byte_order_is_refused():
    contents = forge.entries(forge.saved([1])) | {"archive/byteorder": b"middle"}
    with pytest.raises(WeightsError, match="byte order is b'middle'"):
        read_checkpoint(forge.zipped(contents))


STORAGE = Storage(np.arange(10.0))


@pytest.mark.parametrize(
    "arguments",
    [
        (STORAGE, 0, (11,), (1,)),
        (STORAGE, 1, (10,), (1,)),
        (STORAGE, 10, (1,), (1,)),
        (STORAGE, 11, (0,), (1,)),
        (STORAGE, 0, (2, 5), (6, 1)),
        (STORAGE, 0, (3,), (5,)),
        (STORAGE, 0, (10**6, 10**6), (0, 0)),
        (STORAGE, 0, (11,), (0,)),
        (STORAGE, 0, (2**39, 2**39, 2**39), (1, 1, 1)),
        (STORAGE, 2**39, (), ()),
        (STORAGE, 0, (2**39, 2**39, 0), (1, 1, 1)),
    ],
)
def test_tensors_outside_their_storage_are_refused(arguments):
    with pytest.raises(WeightsError, match="reaches outside its storage of 10"):
        tensor(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (STORAGE, 0, (1,)),
        (np.arange(10.0), 0, (1,), (1,)),
        (None, 0, (1,), (1,)),
        (STORAGE, -1, (1,), (1,)),
        (STORAGE, 0, (-1,), (1,)),
        (STORAGE, 0, (1,), (-1,)),
        (STORAGE, 0.0, (1,), (1,)),
        (STORAGE, True, (1,), (1,)),
        (STORAGE, 0, [1], (1,)),
        (STORAGE, 0, (1,), 1),
        (STORAGE, 0, (1, 1), (1,)),
        (STORAGE, 0, (1,) * 9, (1,) * 9),
        (STORAGE, 0, (2**80,), (1,)),
        (STORAGE, 0, ("1",), (1,)),
    ],
)
def test_arguments_that_are_no_tensor_are_refused(arguments):
    with pytest.raises(WeightsError, match="tensor"):
        tensor(arguments)


def test_a_tensor_in_a_persistent_id_is_refused():
    """Arrays compare element by element, so a careless comparison would fail in its own way."""
    code = forge.saved({"a": torch.arange(6.0), "b": 2})
    with_tensor = forge.with_pickle(code, lambda pickle: pickle[:-2] + text("x") + b"(" + b"h\x00" * 5 + b"tQu.")
    with pytest.raises(WeightsError, match="not a storage"):
        read_checkpoint(with_tensor)
    for word in (np.ones(3), None, 5):
        with pytest.raises(WeightsError, match="not a storage"):
            Storages({}, False).find((word, STORAGE_KINDS["torch.FloatStorage"], "0", "cpu", 1))


def test_a_storage_is_of_one_type():
    """Under each further type its bytes could be copied once more; torch refuses to save such tensors."""
    kinds = STORAGE_KINDS
    storages = Storages({"data/0": bytes(8), "data/1": b""}, False)
    found = storages.find(("storage", kinds["torch.BFloat16Storage"], "0", "cpu", 4))
    assert storages.find(("storage", kinds["torch.BFloat16Storage"], "0", "cpu", 4)) is found
    for kind, count in (("BoolStorage", 8), ("HalfStorage", 4)):
        with pytest.raises(WeightsError, match="the storage '0' in two ways"):
            storages.find(("storage", kinds[f"torch.{kind}"], "0", "cpu", count))
    empty = [storages.find(("storage", kinds[f"torch.{kind}Storage"], "1", "cpu", 0)) for kind in ("Int", "Half")]
    assert [made.elements.dtype.name for made in empty] == ["int32", "float16"]


def test_a_storage_of_another_length_is_refused():
    with pytest.raises(WeightsError, match="of 3 elements should have 6 bytes and has 8"):
        Storages({"data/0": bytes(8)}, False).find(("storage", STORAGE_KINDS["torch.HalfStorage"], "0", "cpu", 3))


@pytest.mark.parametrize("arguments", [(), (b"N",), (text("x"), b"\x88")])
def test_parameters_of_something_else_are_refused(arguments):
    attack = called(named("torch._utils", "_rebuild_parameter"), *arguments)
    with pytest.raises(WeightsError, match="parameter"):
        read_checkpoint(
            forge.with_pickle(forge.saved({"a": 1, "b": 2}), lambda code: forge.spliced_late(code, attack))
        )


@pytest.mark.parametrize("kind", ["ComplexFloatStorage", "UntypedStorage", "QInt8Storage", "cuda.HalfStorage"])
def test_storages_of_other_kinds_are_refused_by_name(kind):
    attack = tuple_of(text("storage"), named("torch", kind), text("0"), text("cpu"), b"K\x01") + b"Q"
    with pytest.raises(WeightsError, match=rf"'torch.{kind}'"):
        read_checkpoint(
            forge.with_pickle(forge.saved({"a": 1, "b": 2}), lambda code: forge.spliced_late(code, attack))
        )


def test_types_that_weights_do_not_have_are_refused():
    with pytest.raises(WeightsError, match=r"Complex|_rebuild"):
        read_checkpoint(forge.saved([torch.ones(2, dtype=torch.complex64)]))
    with pytest.raises(WeightsError, match="_rebuild"):
        read_checkpoint(forge.saved([torch.ones(2, dtype=torch.uint16)]))
