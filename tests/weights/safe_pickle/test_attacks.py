"""Nothing in a weights file is ever run: every attack is refused by name, and nothing happens meanwhile."""

import contextlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import forge
import numpy as np
import pytest
from forge import called, named, text
from hypothesis import given, settings, strategies

from lucidbox.core.errors import WeightsError
from lucidbox.weights.reading import read_content
from lucidbox.weights.safe_pickle import instructions
from lucidbox.weights.safe_pickle.checkpoint import read_checkpoint
from lucidbox.weights.safe_pickle.reader import read_pickle
from lucidbox.weights.safe_pickle.storages import STORAGE_KINDS, storage

NAMES = list(forge.attacks("marker"))
SMALL = forge.saved({"model": {"weight": forge.torch.arange(6.0)}, "epoch": 3})
SNIPPETS = [attack.code for attack in forge.attacks("marker").values() if len(attack.code) < 200] + [
    *(bytes([code]) for code in (*range(128, 152), *b"QRbsuaet()")), b"h\x01",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_attack_is_refused_by_name(name, tmp_path):
    attack = forge.attacks(tmp_path / "marker")[name]
    attacked = forge.with_pickle(SMALL, lambda code: forge.spliced_late(code, attack.code))
    with pytest.raises(WeightsError) as refusal:
        read_checkpoint(attacked)
    assert attack.refusal in str(refusal.value)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", [name for name, attack in forge.attacks("marker").items() if attack.is_live])
def test_the_attacks_are_real(name, tmp_path):
    """Python's own unpickler makes the marker file, so the tests above would notice a call."""
    attack = forge.attacks(tmp_path / "marker")[name]
    protocol = (
        b"\x80\x04" if b"\x93" in attack.code else b"\x80\x02"
    )  # names of Python 2 mean what they meant in 2
    pickle.loads(protocol + attack.code + b".")
    assert (tmp_path / "marker").exists()


def test_python_sees_nothing_happen_while_attacks_are_read(tmp_path):
    """Every attack in a real checkpoint is refused by name, with no audit event at all (exec, import, open,
    subprocess, ctypes, ...) and no new module.
    """
    real = Path(__file__).parents[4] / "shared" / "weights" / "yolo11n-reference.pt"
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(real.read_bytes() if real.exists() else forge.published_checkpoint())
    program = Path(__file__).parents[1] / "audit_probe.py"
    done = subprocess.run(
        [sys.executable, program, checkpoint, tmp_path / "marker"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report.pop("control")[1], "the hook is deaf"
    assert report.pop("nothing spliced") == ["", [], []]
    assert list(report) == NAMES
    expected = forge.attacks(tmp_path / "marker")
    for name, (message, events, modules) in report.items():
        assert expected[name].refusal in message, name
        assert (events, modules) == ([], []), name
    assert not (tmp_path / "marker").exists()


def _no_storages(_identity):
    raise AssertionError("no storage is referred to")


def test_too_many_instructions(monkeypatch):
    monkeypatch.setattr(instructions, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(WeightsError, match="more than 1000 instructions"):
        read_pickle(b"](" + b"N" * 1000 + b"e.", _no_storages)


def test_too_many_bytes(monkeypatch):
    monkeypatch.setattr(instructions, "MAX_BYTES", 100)
    with pytest.raises(WeightsError, match="has 109 bytes, more than the 100"):
        read_pickle(b"X\x66\x00\x00\x00" + b"a" * 103 + b".", _no_storages)


def test_deep_values_do_not_exhaust_the_c_stack():
    """Lists, dicts, tuples and records, each 100,000 deep, made and let go in a process of its own."""
    program = """if True:
        from lucidbox.weights.safe_pickle.reader import read_pickle
        cases = {b"]": b"a", b"}N": b"s", b"": b"\\x85", b"h\\x00": b"\\x85R"}
        for opening, closing in cases.items():
            code = b"(ctorch.nn\\nModule\\nq\\x00" + opening * 100_000 + b"N" + closing * 100_000 + b"t."
            assert len(read_pickle(code, print)) == 2
        print("whole")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("whole\n", 0), done.stderr


def test_shared_values_are_shared_not_copied():
    """A list of two lists of two lists ... has 2**60 leaves and 60 lists."""
    levels = b"]q\x00" + b"".join(
        b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60)
    )
    value = read_pickle(b"\x80\x02" + b"(" + levels + b"t.", _no_storages)
    assert len(value) == 61
    assert value[-1][0] is value[-1][1] is value[-2]


def test_inert_records_hold_what_the_pickle_says_of_them():
    code = (
        b"\x80\x02(" + called(named("pathlib", "PosixPath"), text("runs"), text("best.pt"))
        + named("types", "SimpleNamespace") + b")R}" + text("lr") + b"K\x05sb"
        + named("ultralytics.nn.tasks", "DetectionModel") + b")\x81"
        + called(named("torch", "Size"), b"(K\x01K\x02t") + b"t."
    )  # fmt: skip
    path, namespace, model, size = read_pickle(code, _no_storages)
    assert (path.name, path.arguments) == ("pathlib.PosixPath", ("runs", "best.pt"))
    assert (namespace.name, namespace.state) == ("types.SimpleNamespace", {"lr": 5})
    assert (model.name, model.arguments, model.state) == ("ultralytics.nn.tasks.DetectionModel", (), None)
    assert (size.name, size.arguments) == ("torch.Size", ((1, 2),))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back_equal(protocol):
    value = {
        "numbers": [0, 255, 65535, -1, 2**31 - 1, 2**40, -(2**70), 1.5, float("inf")],
        "texts": ["", "螺栓", "x" * 300], "bytes": b"\x00\xff" if protocol > 2 else None,
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 5: None, None: True, 1.5: False, "set": {"a", 1},
    }  # fmt: skip
    assert read_pickle(pickle.dumps(value, protocol), _no_storages) == value


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_and_paths_of_training_loops_are_inert(protocol):
    value = {"fitness": np.float64(0.5), "path": Path("runs/best.pt"), "array": np.arange(3.0)}
    found = read_pickle(pickle.dumps(value, protocol), _no_storages)
    assert found["fitness"].name.endswith("multiarray.scalar")
    assert found["path"].name.startswith("pathlib.")
    assert found["array"].name.endswith("multiarray._reconstruct")


def test_a_pickle_of_protocol_0_is_refused():
    with pytest.raises(WeightsError, match="instruction"):
        read_pickle(pickle.dumps({"a": [1, 2]}, 0), _no_storages)


def test_every_truncation_of_a_pickle_is_refused():
    code = pickle.dumps({"a": [1, 2.5, "text", (1, 2, 3, 4)], "b": {"c": None}}, 2)
    read_pickle(code, _no_storages)
    for length in range(len(code)):
        with pytest.raises(WeightsError):
            read_pickle(code[:length], _no_storages)


@settings(deadline=None)
@given(strategies.data())
def test_a_checkpoint_with_changed_bytes_is_read_or_refused(data):
    """Whatever the bytes, there is no other outcome: no crash, no foreign exception."""
    code = bytearray(forge.entries(SMALL)["archive/data.pkl"])
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(code) - 1))
        if data.draw(strategies.booleans()):
            code[at] = data.draw(strategies.integers(0, 255))
        else:
            code[at:at] = data.draw(strategies.sampled_from(SNIPPETS))
    attacked = forge.with_pickle(SMALL, lambda _: bytes(code))
    with contextlib.suppress(WeightsError):
        read_content(attacked, "changed.pt")


def test_sets_made_of_one_list_again_and_again_are_refused():
    """Each call copies the list: 500 KB could ask for terabytes. It is stopped after a few copies."""
    listed = b"](" + b"K\x01" * 1_000 + b"eq\x01"
    code = b"(" + named("builtins", "set") + b"q\x00" + listed + b"h\x00h\x01\x85R" * 11 + b"t."
    with pytest.raises(WeightsError, match="sets of more than 10000 items in all"):
        read_pickle(code, _no_storages)
    assert len(read_pickle(code.replace(b"h\x00h\x01\x85R", b"", 1), _no_storages)) == 12


@pytest.mark.parametrize(("module", "name"), [("ultralytics." + "a" * 200, "B"), ("torch.nn", "B" * 201)])
def test_long_names_are_refused(module, name):
    """Each STACK_GLOBAL would join them anew: a name of 1 MB twice a million times."""
    for code in (named(module, name), forge.stack_named(module, name)):
        with pytest.raises(WeightsError, match="more than 200 characters"):
            read_pickle(code + b".", _no_storages)


def shared_tuple(items):
    """Code that puts a tuple of many items into place 1 of the memo, and nothing else stays on the stack."""
    return b"(" + items + b"tq\x01"


MANY = 20_000
STORAGE = b"NQ"  # whatever the persistent id, there is one storage
TENSOR = named("torch._utils", "_rebuild_tensor_v2") + b"q\x00"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        # One tuple as the arguments of every call, or as the shape of every tensor: looked through each time.
        (b"(" + TENSOR + shared_tuple(b"N" * MANY) + b"h\x00h\x01R" * MANY + b"t.", "with 20000 arguments"),
        (
            b"("
            + TENSOR
            + shared_tuple(b"K\x01" * MANY)
            + called(b"h\x00", STORAGE, b"K\x00", b"h\x01", b"h\x01"),
            "a tensor has 20000 dimensions",
        ),
        # Numbers that are keys: they can be chosen so that each is compared with all before it.
        (b"}(" + b"".join(b"J" + n.to_bytes(4, "little") + b"N" for n in range(60_000)) + b"u.", "50000 numbers"),
        (b"\x8f(" + b"".join(b"J" + n.to_bytes(4, "little") for n in range(60_000)) + b"\x90.", "50000 numbers"),
        # Two equal long texts as one key, compared letter by letter each time.
        (b"}" + text("x" * 2000) + b"Ns.", "more than 1000 characters"),
        (b"}" + b"B" + (2000).to_bytes(4, "little") + b"x" * 2000 + b"Ns.", "more than 1000 characters"),
    ],
)
def test_work_that_grows_with_the_square_of_the_file_is_refused(code, message):
    with pytest.raises(WeightsError, match=message):
        read_pickle(code, lambda _: storage(STORAGE_KINDS["torch.HalfStorage"], b"\0\0", 1, False))


def test_tuples_that_hold_one_another_twice_are_never_unfolded():
    """Forty such tuples hold 2^40 values if each is looked through."""
    code = b"(N" + b"t" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(40))
    value = read_pickle(code + b".", lambda _: None)
    assert value[0] is value[1]
    with pytest.raises(WeightsError, match="is of type tuple"):
        read_pickle(b"}" + code + b"Ns.", lambda _: None)
