"""Pairs of models that were made to differ in one stage: that stage is named."""

import cv2
import numpy as np
import pytest

from conftest import EXAMPLES
from dressing import dress
from lucidbox import Detector
from lucidbox.core.errors import EngineError
from lucidbox.detect.letterbox import fit
from lucidbox.detect.nms import Limits
from lucidbox.engines.base import Prediction
from lucidbox.images.reading import read_image
from lucidbox.model_files import bundled, look_at
from lucidbox.model_files.layouts.layout import Placement
from lucidbox.validate.answers_apart import box_words, class_order, placement_words
from lucidbox.validate.first_difference import first_difference
from lucidbox.validate.pairs import again_with, shared_limits

SIDES = (256, 320)
NAMES = look_at(bundled.ONNX).info.names
METADATA = {"names": repr(dict(enumerate(NAMES))), "task": "detect"}
ORDER = [*range(1, len(NAMES)), 0]


@pytest.fixture(scope="module")
def images():
    """Real pictures, among them some with many boxes."""
    return [cv2.resize(read_image(path), None, fx=0.5, fy=0.5) for path in sorted(EXAMPLES.glob("*.jpg"))]


@pytest.fixture(scope="module")
def first():
    """Our own model, of the size that the dressed ones are fixed to."""
    return Detector.load(engine="openvino", precision="fp32", size=SIDES, square=True)


def described(path, **changes):
    """A description beside a dressed model, with one entry changed."""
    from lucidbox.model_files.layouts.sidecar import sidecar_of, sidecar_text

    info = look_at(path).info
    text = sidecar_text(info.layout, info.names, (), path)
    for name, value in changes.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
        text = text.replace(line, f"{name} = {value}")
    sidecar_of(path).write_text(text)


PAIRS = {
    "resize rule": ("yolo", {}, {"anchor": '"stretch"'}, {}, "placement", "stretches"),
    "padding": ("yolo", {}, {"padding": 0}, {}, "placement", "padding is grey 114 and 0"),
    "channel order": ("yolo", {}, {"bgr": "true"}, {}, "pixels", "channels in the other order"),
    "scale": ("yolo", {}, {"scale": 0.002}, {}, "pixels", "from 0 to 1 if divided by 255"),
    "precision": ("yolo", {}, {}, {"precision": "bf16"}, "precision", "fp32 and bf16"),
    "decode": ("yolo", {"moved": 4.0}, {}, {}, "boxes", "all sides are moved by 4, 4, 4, 4"),
    "class order": ("yolo", {"order": ORDER}, {}, {}, "classes", "class 0 (person) of the first is class 79"),
    "suppression threshold": ("end-to-end", {"iou": 0.3}, {}, {}, "suppression", "at an overlap of 0.3, not 0.7"),
    "class offset": ("end-to-end", {"class_offset": 1.0}, {}, {}, "suppression", "classes apart by 1 pixels"),
    "across classes": ("end-to-end", {"class_offset": 0.0}, {}, {}, "suppression", "across classes"),
    "class ids": ("end-to-end", {"order": ORDER}, {}, {}, "classes", "0 (person) is 79 (toothbrush)"),
    "rounding": ("yolo", {"whole_pixels": True}, {}, {}, "boxes", "the second's are rounded to whole pixels"),
    "rounding of sides": ("yolo", {}, {"rounding": '"down"'}, {}, "placement", "rounded differently"),
}


ONE_A_STAGE = ("resize rule", "channel order", "precision", "decode", "class order", "suppression threshold")
CASES = [pytest.param(case, marks=() if case in ONE_A_STAGE else pytest.mark.extended) for case in PAIRS]


@pytest.mark.thorough  # compiles two models a case
@pytest.mark.parametrize("case", CASES)
def test_the_stage_is_named(case, first, images, tmp_path):
    kind, dressed, changes, settings, stage, words = PAIRS[case]
    path = dress(bundled.ONNX, tmp_path / "b.onnx", kind, sides=SIDES, metadata=METADATA, **dressed)
    if changes:
        described(path, **changes)
    try:
        second = Detector.load(path, engine="openvino", **{"precision": "fp32", **settings})
    except EngineError as error:  # a processor without bfloat16
        pytest.skip(str(error))
    limits = shared_limits((first, second), Limits(conf=0.06))
    found = first_difference((first, second), images, limits, again_with(second, path))
    assert (found.stage, words in found.words) == (stage, True), found


def test_equal_models_agree_at_every_stage(first, images, tmp_path):
    path = dress(bundled.ONNX, tmp_path / "b.onnx", "yolo", sides=SIDES, metadata=METADATA)
    pair = (first, Detector.load(path, precision="fp32"))
    found = first_difference(pair, images[:2], shared_limits(pair, Limits()), None)
    assert (found.stage, found.checked[-1]) == ("none", "suppression")


def test_places_are_compared_from_the_outside_in():
    image, size = (100, 150), (320, 320)
    centred = fit(image, size, square=True)
    assert placement_words(centred, centred) == ""
    assert "320×320" in placement_words(centred, fit(image, (640, 640), square=True))
    corner = fit(image, size, square=True, placement=Placement("top-left"))
    assert "left and top" in placement_words(centred, corner)


def test_columns_in_another_order_are_found_and_ties_stay():
    generator = np.random.default_rng(0)
    scores = generator.random((1, 50, 4)).astype(np.float32)
    scores[..., 3] = 0
    boxes = np.zeros((1, 50, 4), np.float32)
    first, second = Prediction(boxes, scores), Prediction(boxes, scores[..., [1, 0, 2, 3]])
    assert class_order([first], [second]) == [1, 0, 2, 3]
    assert class_order([first], [first]) is None
    assert class_order([first], [Prediction(boxes, scores + 0.1)]) is None


def test_boxes_that_differ_are_described():
    generator = np.random.default_rng(0)
    corners = np.sort(generator.uniform(0, 300, (1, 50, 4)).astype(np.float32), axis=2)
    scores = np.ones((1, 50, 1), np.float32)
    first = [Prediction(corners, scores)]
    assert "scaled by 2" in box_words(first, [Prediction(corners * 2, scores)])
    low, high = corners[..., :2], corners[..., 2:]
    centred = np.concatenate(((low + high) / 2, high - low), axis=2)
    assert "centres and sides" in box_words(first, [Prediction(centred, scores)])
    noise = generator.normal(0, 5, corners.shape).astype(np.float32)
    assert "decoded differently" in box_words(first, [Prediction(corners + noise, scores)])
