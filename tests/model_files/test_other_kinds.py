"""What is no weights file is named for what it is, and devices and pipes are never read."""

import os
import sys

import pytest

from lucidbox import weights
from lucidbox.core.errors import WeightsError
from lucidbox.model_files import file_format, look_at

READERS = [look_at, weights.read]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.engine", b"\x1c\0\0\0" + b"name: x" * 10, "a TensorRT engine"),
        ("a.pt", b"ftrt" + bytes(60), "a TensorRT engine"),
        ("a.tflite", b"\x1c\0\0\0TFL3" + bytes(60), "a TensorFlow Lite model"),
        ("weights", b"\x1c\0\0\0TFL3" + bytes(60), "a TensorFlow Lite model"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        ("a.h5", b"", "a Keras model"),
        ("a.pb", b"\x0a\x05" + bytes(60), "a TensorFlow graph"),
        ("a.mlmodel", b"\x08\x01" + bytes(60), "a Core ML model"),
        ("a.bin", bytes(100), "the numbers of an OpenVINO IR"),
        ("a.PARAM", b"7767517\n3 3\n", "an NCNN network"),
        ("a.weights", bytes(100), "Darknet weights"),
        ("a.pt", b"\x1f\x8b" + bytes(60), "a gzip archive"),
    ],
)
def test_files_of_other_tools(name, content, kind, read, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name}: {kind}.*, which lucidbox does not read"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_devices_pipes_and_sockets_are_not_opened(read, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows has no such files")
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", file_format.Path("/dev/zero")):
        with pytest.raises(WeightsError, match="not a file but a device, a pipe or a socket"):
            read(path)


@pytest.mark.parametrize("read", READERS)
def test_files_larger_than_any_model_are_not_read(read, tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        file.truncate(2**36)  # takes no room
    with pytest.raises(WeightsError, match="68719476736 bytes, more than the 2147483648 that are read"):
        read(path)


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ([], "a folder, not a weights file"),
        (["saved_model.pb"], "a TensorFlow model, which"),
        (["model.ncnn.param", "model.ncnn.bin"], "an NCNN network, which"),
        (["a.xml", "b.xml"], "several OpenVINO models; name one: a.xml"),
        (["yolo.xml", "yolo.bin"], "yolo.xml: "),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_folders_are_named_for_what_they_hold(inside, message, read, tmp_path):
    for name in inside:
        (tmp_path / name).write_text("<net></net>")
    with pytest.raises(WeightsError, match=message):
        read(tmp_path)


def test_a_folder_with_one_openvino_model_of_ours_is_that_model(tmp_path):
    entries = "".join(f"<{k} value='{v}'/>" for k, v in (("architecture", "a"), ("names", "[]"), ("size", 64)))
    (tmp_path / "yolo.xml").write_text(f"<net><rt_info><lucidbox>{entries}</lucidbox></rt_info></net>")
    (tmp_path / "yolo.bin").write_bytes(b"")
    assert look_at(tmp_path).path == tmp_path / "yolo.xml"
