import json

import pytest

from lucidbox.core.errors import WeightsError
from lucidbox.detector.loading import graph_of
from lucidbox.model_files import look_at


def test_metadata_is_read_without_any_package(small_onnx, monkeypatch):
    info = look_at(small_onnx).info
    assert info.architecture == "yolo11n"
    assert info.names == ("red", "green", "blue")
    assert info.size == 640
    assert info.licence == "CC0-1.0"


def test_metadata_equals_what_onnx_itself_reads(small_onnx):
    onnx = pytest.importorskip("onnx")
    properties = {entry.key: entry.value for entry in onnx.load(small_onnx).metadata_props}
    assert tuple(json.loads(properties["names"])) == look_at(small_onnx).info.names
    assert properties["stride"] == "32"


def test_the_second_time_nothing_is_converted(small_weights, small_onnx, monkeypatch):
    monkeypatch.setattr("lucidbox.export.export_onnx", lambda *_: pytest.fail("converted again"))
    assert graph_of(look_at(small_weights)).path == small_onnx
    assert graph_of(look_at(small_onnx)).path == small_onnx


def test_equal_content_shares_one_conversion(small_weights, small_onnx, tmp_path):
    copy = tmp_path / small_weights.name
    copy.write_bytes(small_weights.read_bytes())
    assert graph_of(look_at(copy)).path == small_onnx


def test_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nothing\.pt: no such weights file"):
        look_at(tmp_path / "nothing.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x07\x12\x04abcd", b"\xff" * 64, b"<html></html>"])
def test_what_is_no_onnx_of_ours_is_refused(content, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"model\.onnx: (damaged, or not a whole ONNX file|not a weights file|an empty file)"
    ):
        graph_of(look_at(path))


def test_every_truncation_is_refused_or_harmless(small_onnx, tmp_path):
    whole = small_onnx.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in [*range(0, 200, 7), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            graph_of(look_at(path))
