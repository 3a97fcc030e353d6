"""The published network on real pictures: same objects, boxes and scores as the reference implementation."""

import json
from itertools import pairwise, product

import numpy as np
import pytest

from lucidbox import Detector
from lucidbox.core.boxes import pairwise_iou
from models import unchecked_shapes

ENGINES = ["openvino", "onnxruntime", "torch"]
NAMES_OF_LIMITS = {
    "conf": "conf",
    "iou": "iou",
    "max_det": "max_det",
    "classes": "classes",
    "agnostic_nms": "agnostic",
}


def compare(found, expected):
    """Largest differences of boxes (px) and scores, and how many of either side have no partner."""
    boxes = np.array([entry["xyxy"] for entry in expected], np.float32).reshape(-1, 4)
    scores = np.array([entry["score"] for entry in expected], np.float32)
    classes = np.array([entry["class"] for entry in expected], np.int64)
    overlap = pairwise_iou(boxes, found.boxes) * (classes[:, None] == found.classes)
    partners, ours = [], set(range(len(found)))
    for row in range(len(boxes)):
        best = int(overlap[row].argmax()) if len(found) else -1
        if best in ours and overlap[row, best] > 0.95:
            partners.append((row, best))
            ours.remove(best)
    rows, columns = np.array(partners, np.intp).reshape(-1, 2).T
    return (
        np.abs(boxes[rows] - found.boxes[columns]).max(initial=0),
        np.abs(scores[rows] - found.scores[columns]).max(initial=0),
        len(boxes) - len(rows) + len(ours),
        # Order must agree wherever scores are further apart than rounding.
        all(a < b for (r, a), (s, b) in pairwise(partners) if scores[r] - scores[s] > 2e-3),
    )


def test_the_twenty_four_pictures(reference_onnx, golden_file, shared):
    images = shared("data/coco-val-150/images")
    for engine in ENGINES:
        detector = Detector.load(reference_onnx, engine=engine, precision="fp32")
        for name, record in json.loads(golden_file("predict/yolo11n.json").read_text()).items():
            box, score, single, ordered = compare(detector(images / name), record["detections"])
            assert (single, ordered) == (0, True), (engine, name)
            assert box < 0.1, (engine, name)
            assert score < 1e-3, (engine, name)


@pytest.mark.thorough
def test_weights_fine_tuned_to_three_classes(shared):
    """The known implementation left the class branch as wide as in the weights of 80 classes it began with."""
    path = shared("weights/foreign/yolo11n-3-classes.pt")
    images = shared("data/coco-val-150/images")
    for engine in ("openvino", "torch"):
        with unchecked_shapes():
            detector = Detector.load(path, engine=engine, precision="fp32", conf=0.001, iou=0.7)
        for name, record in json.loads(shared("golden/foreign/yolo11n-3-classes.json").read_text()).items():
            box, score, single, ordered = compare(detector(images / name), record["detections"])
            assert (single, ordered) == (0, True), (engine, name)
            assert box < 0.1, (engine, name)
            assert score < 1e-3, (engine, name)


def test_the_variants(reference_onnx, golden_file, shared):
    variants = json.loads(golden_file("predict/yolo11n-variants.json").read_text())
    images = shared("data/coco-val-150/images")
    assert len(variants) == 8
    for engine, (variant, record) in product(ENGINES, variants.items()):
        given = record["arguments"]
        limits = {NAMES_OF_LIMITS[key]: value for key, value in given.items() if key in NAMES_OF_LIMITS}
        detector = Detector.load(
            reference_onnx,
            engine=engine,
            precision="fp32",
            size=given.get("imgsz", 640),
            # Pictures of several sizes in one batch of the reference are all padded to a square.
            square=given.get("rect") is False or variant == "batch_of_3_different_sizes",
        )
        singles = total = 0
        for name, picture in record["images"].items():
            box, score, single, ordered = compare(detector(images / name, **limits), picture["detections"])
            assert box < 0.1, (engine, variant, name)
            assert score < 1e-3, (engine, variant, name)
            assert ordered, (engine, variant, name)
            singles, total = singles + single, total + len(picture["detections"])
        assert singles <= (total // 100 if variant == "conf_0_001" else 0), (engine, variant)


@pytest.mark.slow
def test_validation_detections_equal_the_reference(reference_onnx, golden_file, shared):
    """All 150 pictures at validation settings: as many detections, and the same ones."""
    from lucidbox import Limits
    from lucidbox.detect.letterbox import batch_shape, fit_validation
    from lucidbox.images.reading import read_image

    detector = Detector.load(reference_onnx, precision="fp32")
    limits = Limits(conf=0.001, iou=0.7, several_labels=True)
    expected = {}
    for entry in json.loads(golden_file("val/predictions-batch1.json").read_text()):
        expected.setdefault(entry["image_id"], []).append(entry)
    total = 0
    for image_id, entries in expected.items():
        image = read_image(shared("data/coco-val-150/images") / f"{image_id:012d}.jpg")
        size = image.shape[:2]
        frame = fit_validation(size, 640, batch_shape([size], 640))
        found = detector.predictor([image], [frame], limits)[0]
        total += len(found)
        for ours, theirs in zip(found.to_coco(image_id)[:5], entries[:5], strict=True):
            assert abs(ours["score"] - theirs["score"]) < 1e-3
    assert abs(total - 25563) <= 0.005 * 25563
