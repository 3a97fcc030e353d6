"""What decides which boxes are found is part of a job's hash: tiles, layout, and files beside the model."""

import shutil

import pytest

from dressing import dress
from lucidbox import Detector
from lucidbox.batch.job import Settings, model_files
from lucidbox.model_files.bundled import ONNX
from lucidbox.model_files.layouts.sidecar import sidecar_of, sidecar_text

pytest.importorskip("pyarrow")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def detector():
    return Detector.load(size=64)


def test_tiles_are_part_of_the_hash(detector):
    plain, same, other = (Settings.of(detector, 100, tiles).hash for tiles in (None, None, 64))
    assert plain == same != other
    assert other != Settings.of(detector, 100, 96).hash


def test_the_description_beside_another_tools_model_is_part_of_it(tmp_path):
    theirs = tmp_path / "theirs.onnx"
    dress(ONNX, theirs, "yolo", sides=(64, 96))
    plain = Detector.load(theirs)
    assert model_files(plain) == (theirs,)
    info = plain.info
    sidecar_of(theirs).write_text(sidecar_text(info.layout, info.names, info.reasons, theirs))
    described = Detector.load(theirs)
    assert model_files(described) == (theirs, sidecar_of(theirs))
    assert Settings.of(plain, 100).layout == Settings.of(described, 100).layout
    assert Settings.of(Detector.load(theirs), 100).hash == Settings.of(described, 100).hash


def test_a_toml_file_beside_our_own_model_is_not(tmp_path):
    ours = tmp_path / "ours.onnx"
    shutil.copy(ONNX, ours)
    ours.with_suffix(".toml").write_text("epochs = 3\n")
    assert model_files(Detector.load(ours)) == (ours,)
