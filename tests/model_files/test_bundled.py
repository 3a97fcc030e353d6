"""The model that comes with lucidbox, and the wheel that brings it."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from lucidbox import Detector, weights
from lucidbox.core.boxes import pairwise_iou, xywh_to_xyxy
from lucidbox.model_files import bundled

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MAIN = 0.05
"""Share of its picture from which on an object is a main one."""


@pytest.fixture(scope="module")
def detector():
    return Detector.load()


def main_objects():
    """Name of each example picture, and its large objects: class names, boxes (xyxy)."""
    document = json.loads((EXAMPLES / "instances.json").read_text())
    names = {one["id"]: one["name"] for one in document["categories"]}
    for picture in document["images"]:
        least = MAIN * picture["width"] * picture["height"]
        objects = [
            one
            for one in document["annotations"]
            if one["image_id"] == picture["id"] and not one["iscrowd"] and np.prod(one["bbox"][2:]) >= least
        ]
        boxes = xywh_to_xyxy(np.array([one["bbox"] for one in objects], np.float64))
        yield picture["file_name"], [names[one["category_id"]] for one in objects], boxes


PICTURES = list(main_objects())


def rightly_found(labels, boxes, truth_labels, truth_boxes):
    """Whether each true box is met: same class, IoU of at least 0.5."""
    overlap = pairwise_iou(np.asarray(boxes, np.float64).reshape(-1, 4), truth_boxes)
    same = np.array(labels, object)[:, None] == np.array(truth_labels, object)
    return (overlap * same >= 0.5).any(axis=0) if len(labels) else np.zeros(len(truth_labels), bool)


@pytest.mark.parametrize(("name", "labels", "boxes"), PICTURES, ids=[one[0] for one in PICTURES])
def test_main_objects_of_the_examples_are_found(name, labels, boxes, detector):
    found = detector(EXAMPLES / name)
    right = rightly_found(found.labels, found.boxes, labels, boxes)
    assert len(right)
    assert right.any(), found.labels


def test_every_example_is_annotated_and_credited():
    pictures = {path.name for path in EXAMPLES.glob("*.jpg")}
    assert pictures == {name for name, _, _ in PICTURES}
    credited = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}`" in credited for name in pictures)
    document = json.loads((EXAMPLES / "instances.json").read_text())
    assert {one["license"] for one in document["images"]} == {4}  # Creative Commons Attribution, in COCO's list


def test_what_it_says_about_itself(detector):
    info, card = detector.info, (bundled.ONNX.parent / "MODEL_CARD.md").read_text()
    assert (info.architecture, len(info.names), info.licence) == ("yolo11n", 80, "Apache-2.0")
    assert detector.limits.conf == info.conf
    assert f"| score threshold | {info.conf:g} |" in card
    assert f"| input size | {info.size} |" in card
    assert detector.weights == bundled.ONNX


@pytest.mark.extended
def test_both_files_are_one_network():
    graph, arrays = weights.read(bundled.ONNX), weights.read(bundled.SAFETENSORS)
    for fact in ("architecture", "names", "size", "conf", "licence", "provenance"):
        assert getattr(graph, fact) == getattr(arrays, fact)
    one = Detector.load(precision="fp32")(EXAMPLES / "street.jpg")
    other = Detector.load(bundled.SAFETENSORS, engine="torch")(EXAMPLES / "street.jpg")
    assert one.labels == other.labels
    assert np.allclose(
        one.boxes, other.boxes, atol=0.5
    )  # their kernels were rounded to float16 after and before fusing
    assert np.allclose(one.scores, other.scores, atol=1e-3)


def test_the_graph_is_of_the_form_that_is_exported_today():
    """Reshapes copy the batch's length: without that, OpenVINO computes the first convolution in two passes."""
    assert "batch.copied" in {constant.name for constant in onnx.load(bundled.ONNX).graph.initializer}


def test_a_copy_without_the_model_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "ONNX", tmp_path / "yolo11n.onnx")
    with pytest.raises(bundled.WeightsError, match="bundled model is missing; install lucidbox again"):
        Detector.load()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_model_and_is_small(wheel):
    assert wheel.stat().st_size <= 20e6
    with zipfile.ZipFile(wheel) as archive:
        for path in (bundled.ONNX, bundled.SAFETENSORS, bundled.ONNX.parent / "MODEL_CARD.md"):
            assert archive.read(f"lucidbox/model_files/bundled/{path.name}") == path.read_bytes()


def test_the_wheel_holds_the_package_its_licences_and_nothing_else(wheel):
    package = ROOT / "src" / "lucidbox"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = {name.partition(".dist-info/")[2] for name in archive.namelist()} - {""}
    assert names == {name for name in files if "__pycache__" not in name}
    licences = {"licenses/LICENSE", "licenses/THIRD_PARTY_NOTICES.md"}
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt"} | licences


@pytest.mark.slow
def test_the_installed_wheel_finds_main_objects_without_torch(wheel, tmp_path):
    """As a user: a new environment, the pictures, nothing else. Installing needs a package registry."""
    venv.create(tmp_path / "env", with_pip=True)
    python, program = tmp_path / "env/bin/python", tmp_path / "env/bin/lucidbox"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    installed = sum(path.stat().st_size for path in (tmp_path / "env").rglob("*") if path.is_file())
    assert installed <= 500e6
    assert subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 1
    environment = {"PATH": os.environ["PATH"], "LUCIDBOX_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [program, "predict", EXAMPLES, "--json"], env=environment, cwd=tmp_path, check=True, capture_output=True
    )
    records = {Path(one["source"]).name: one for one in map(json.loads, done.stdout.splitlines())}
    for name, labels, boxes in PICTURES:
        found = records[name]["detections"]
        right = rightly_found([one["label"] for one in found], [one["box"] for one in found], labels, boxes)
        assert right.any(), name


@pytest.mark.slow
def test_its_recipe_gives_the_same_weights_twice(shared, tmp_path):
    """Two hundred steps and some: an epoch of the training set, as the model was trained, teacher and all."""
    data = tmp_path / "data.toml"
    parts = {"train": shared("data/coco-train"), "val": shared("data/coco-val-150")}
    data.write_text(
        "".join(
            f'[{part}]\nannotations = "{folder}/instances.json"\nimages = "{folder}/images"\n'
            for part, folder in parts.items()
        )
    )
    command = [sys.executable, "-m", "lucidbox", "train", data, "--recipe", ROOT / "recipes/bundled-320.toml"]
    teacher = shared("weights/teacher/yolox_nano.onnx")
    for name in ("first", "second"):
        options = ["--epochs", "1", "--set", f"teacher={teacher}", "--out", tmp_path / name]
        subprocess.run([*command, *options], check=True, capture_output=True)
    assert (tmp_path / "first/losses.csv").read_text().count("\n") > 200
    for name in ("losses.csv", "last.safetensors"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
