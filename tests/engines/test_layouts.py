"""Models of other tools give the same detections as ours: one network, dressed in every layout."""

import dataclasses

import cv2
import numpy as np
import pytest

from conftest import EXAMPLES, shared_path
from dressing import dress
from lucidbox import Detector, bundled
from lucidbox.images.reading import read_image
from lucidbox.model_files.layouts.layout import Placement

SIDES = (256, 320)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
NAMES = {"names": repr(dict(enumerate(Detector.load().names))), "task": "detect"}


@pytest.fixture(scope="module")
def images():
    """Two real pictures of other shapes than the network's input."""
    paths = sorted((EXAMPLES / "images").glob("*.jpg") or EXAMPLES.glob("*.jpg"))[:2]
    return [cv2.resize(read_image(path), None, fx=0.5, fy=0.5) for path in paths]


@pytest.fixture(scope="module")
def undressed():
    """Our own detector with another placement of images."""
    detectors = {}

    def made(sides, placement):
        if sides not in detectors:
            detectors[sides] = Detector.load(
                precision="fp32", size=sides or 320, square=sides is not None, conf=0.1
            )
        predictor = dataclasses.replace(detectors[sides].predictor, placement=placement)
        return lambda image: predictor([image])[0]

    return made


CASES = {
    "yolo": ("yolo", {"sides": SIDES}, Placement()),
    "yolo, any size": ("yolo", {"metadata": {**NAMES, "imgsz": "[320, 320]"}}, Placement()),
    "yolo, anchors first": ("yolo", {"sides": SIDES, "transposed": True, "metadata": NAMES}, Placement()),
    "yolo, half precision": ("yolo", {"sides": SIDES, "number_type": "float16"}, Placement()),
    "yolo, bytes": ("yolo", {"sides": SIDES, "number_type": "uint8", "channels_first": False}, Placement()),
    "objectness": ("yolo-objectness", {"sides": SIDES}, Placement()),
    "yolox": ("yolox", {"sides": SIDES, "bgr": True, "scale": 1.0}, Placement("top-left", "down")),
    "end-to-end": ("end-to-end", {"sides": SIDES, "metadata": NAMES}, Placement()),
    "detr-logits": ("detr-logits", {"sides": SIDES, **IMAGENET}, Placement("stretch")),
    "detr-logits, softmax": (
        "detr-logits",
        {
            "sides": SIDES, **IMAGENET, "activation": "softmax", "names": ("pred_boxes", "logits"), "metadata": NAMES,
        },
        Placement("stretch"),
    ),
    "detr-boxes": ("detr-boxes", {"sides": SIDES}, Placement("stretch")),
}  # fmt: skip


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("case", CASES)
def test_dressed_as_undressed(case, engine, images, undressed, tmp_path):
    kind, dressed_as, placement = CASES[case]
    path = dress(bundled.ONNX, tmp_path / "dressed.onnx", kind, **dressed_as)
    detector = Detector.load(path, engine=engine, conf=0.1)
    assert detector.info.layout.kind == kind
    # float16 holds a coordinate up to 512 in steps of 0.25, and a probability in steps of 0.0005.
    half = dressed_as.get("number_type") == "float16"
    boxes, scores = (0.5, 2e-3) if half else (0.02, 1e-4)
    for image in images:
        ours, theirs = undressed(dressed_as.get("sides"), placement)(image), detector(image)
        assert len(ours) == len(theirs) > 0
        np.testing.assert_array_equal(theirs.classes, ours.classes)
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=boxes)
        np.testing.assert_allclose(theirs.scores, ours.scores, atol=scores)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("yolo11n-raw", "weights/foreign/yolo11n-raw.onnx"),
        ("yolo11n-nms", "weights/foreign/yolo11n-nms.onnx"),
        ("yolox_nano", "weights/teacher/yolox_nano.onnx"),
    ],
)
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_real_files_give_what_their_own_tools_give(name, weights, engine):
    import json

    wanted = json.loads(shared_path(f"golden/foreign/{name}.json").read_text())
    folder = shared_path("data/coco-val-150/images")
    detector = Detector.load(shared_path(weights), engine=engine)
    for file, truth in wanted.items():
        found = detector(folder / file)
        assert len(found) == len(truth["detections"])
        for entry in truth["detections"]:
            near = np.abs(found.boxes - np.array(entry["xyxy"])).max(axis=1)
            row = int(np.where(found.classes == entry["class"], near, np.inf).argmin())
            assert near[row] < 0.01
            assert abs(found.scores[row] - entry["score"]) < 1e-4
