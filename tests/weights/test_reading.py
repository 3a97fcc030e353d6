"""The form is told by the content, never by the name; every refusal names the file."""

import os
import pickle
import subprocess
import sys

import forge
import pytest
import torch
from hypothesis import given, settings, strategies

from lucidbox.core.errors import WeightsError
from lucidbox.model import build
from lucidbox.weights import from_network, read, write
from lucidbox.weights.keys import DISTRIBUTION_KEY
from lucidbox.weights.reading import read_content


def test_names_do_not_matter(tmp_path):
    state = build("notebook", 2, base_channels=4).state_dict()
    (tmp_path / "torch.onnx").write_bytes(forge.saved(state))
    weights = read(tmp_path / "torch.onnx")
    write(weights, tmp_path / "safetensors.pt")
    assert read(tmp_path / "safetensors.pt").source_sha256 == weights.source_sha256
    assert weights.architecture == "notebook"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"weights", "not a weights file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not a weights file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a weights file|did not write"),
        (b"\x80\x02}q\x00.", "a pickle"),
        (b"PK", "truncated or damaged"),
        (b"PK\x05\x06" + bytes(18), "0 entries"),
        (b"\x02" + bytes(7) + b"{", "truncated or damaged safetensors"),
        (b"weights {", "text, which begins 'weights {'"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "text, which begins 'version https://git-lfs"),
        ("é".encode() * 999, "but text, which begins 'éé"),
        (b"\x08\x07\xff", "not a weights file"),
        (pickle.dumps({"weight": [1, 2.5, "nut"]}, 0), "a pickle, or a torch file in the form of before 2020"),
        (pickle.dumps([0] * 5000, 1), "a pickle, or a torch file"),
        (b"cos\nsystem\n(S'true'\ntR.", "a pickle, or a torch file"),
        (b"A sentence. And another.", "but text, which begins 'A sentence"),
        (b"\x00" * 100, "not a weights file|did not write"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(WeightsError, match=r"x\.pt: no such weights file"):
        read(tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="a folder, not a weights file"):
        read(str(tmp_path))


def test_messages_do_not_carry_terminal_commands(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(forge.saved({"model.\x1b[2Jtensor\n": torch.ones(1)}))
    with pytest.raises(WeightsError) as refusal:
        read(path)
    assert refusal.value.args[0].isprintable()


def test_messages_are_of_bounded_length(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(
        forge.saved(
            {"model." + "x" * 100_000: torch.ones(1), DISTRIBUTION_KEY: torch.arange(16.0).view(1, 16, 1, 1)}
        )
    )
    with pytest.raises(WeightsError) as refusal:
        read(path)
    assert len(str(refusal.value)) < 1000 + len(str(path)) + 3


def test_random_bytes_are_refused():
    generator = torch.Generator().manual_seed(5)
    for start in (b"PK\x03\x04", b"\x08", b"\x00" * 8 + b"{", b"", b"\x0a"):
        for length in (1, 30, 1000):
            noise = bytes(torch.randint(0, 256, (length,), generator=generator).tolist())
            with pytest.raises(WeightsError):
                read_content(start + noise, "x")


def test_importing_and_unpickling_need_no_torch(tmp_path):
    """The package is cheap to import: the running wing looks at weights files without the making wing."""
    (tmp_path / "x.pt").write_bytes(forge.saved({"a": torch.ones(2)}))
    program = (
        "import sys; from pathlib import Path; import lucidbox.weights; "
        "from lucidbox.weights.safe_pickle.checkpoint import read_checkpoint;"
        "print(read_checkpoint(Path(sys.argv[1]).read_bytes())['a'].tolist());"
        "print(sorted({'torch', 'onnx', 'safetensors'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x.pt"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[1.0, 1.0]\n[]\n"


def test_without_torch_the_remedy_is_told(tmp_path, monkeypatch):
    (tmp_path / "x.pt").write_bytes(forge.saved({"backbone.stem.conv.weight": torch.ones(2)}))
    monkeypatch.setitem(sys.modules, "lucidbox.model", None)
    monkeypatch.setitem(sys.modules, "lucidbox.model.yolo11", None)
    with pytest.raises(WeightsError, match=r"pip install 'lucidbox\[train\]'"):
        read(tmp_path / "x.pt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_files(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"PK")
    path.chmod(0)
    with pytest.raises(WeightsError, match="Permission denied"):
        read(path)


def test_reading_does_not_change_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    write(from_network(build("notebook", 1, base_channels=4), ["a"]), path)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    read(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


def test_only_onnx_files_need_onnx_to_be_told_apart(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "x.pt").write_text("some notes")
    with pytest.raises(WeightsError, match="not a weights file but text"):
        read(tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(b"\x08\x07")
    with pytest.raises(WeightsError, match=r"reading it needs onnx; pip install 'lucidbox\[train\]'"):
        read(tmp_path / "x.pt")


def test_an_overlong_name_is_refused():
    with pytest.raises(WeightsError, match=r"x\.pt: cannot be read: File name too long"):
        read("x" * 300 + ".pt")


@settings(deadline=None)
@given(strategies.binary(max_size=60))
def test_any_file_that_ends_like_a_pickle_is_refused(content):
    with pytest.raises(WeightsError):
        read_content(content + b".", "x")
