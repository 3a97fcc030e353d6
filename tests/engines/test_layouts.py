"""Models of other tools give the same detections as ours: one network, dressed in every layout."""

import dataclasses
import json
import warnings
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import EXAMPLES, shared_path
from dressing import dress
from lucidbox import Detector
from lucidbox.core.errors import EngineError, LucidboxError
from lucidbox.images.reading import read_image
from lucidbox.model_files import bundled, look_at
from lucidbox.model_files.layouts.layout import Placement

SIDES = (256, 320)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
NAMES = {"names": repr(dict(enumerate(look_at(bundled.ONNX).info.names))), "task": "detect"}


@pytest.fixture(scope="module")
def images():
    """Two real pictures of other shapes than the network's input."""
    paths = [EXAMPLES / name for name in ("kitchen.jpg", "rider.jpg")]
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
            "sides": SIDES, **IMAGENET, "activation": "softmax", "names": ("pred_boxes", "logits"),
            "metadata": NAMES,
        },
        Placement("stretch"),
    ),
    "detr-boxes": ("detr-boxes", {"sides": SIDES}, Placement("stretch")),
}  # fmt: skip


# What the engines do differently is how they are given pixels, not how answers are decoded.
RUNS = [("openvino", case) for case in CASES] + [
    ("onnxruntime", case) for case in ("yolo, half precision", "yolo, bytes", "yolox", "detr-logits", "detr-boxes")
]


@pytest.mark.parametrize(("engine", "case"), RUNS)
def test_dressed_as_undressed(engine, case, images, undressed, tmp_path):
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


REAL_FILES = ("foreign/yolo11n-raw.onnx", "foreign/yolo11n-nms.onnx", "teacher/yolox_nano.onnx")


def test_real_files_give_what_their_own_tools_give():
    folder = shared_path("data/coco-val-150/images")
    for weights, engine in product(REAL_FILES, ("openvino", "onnxruntime")):
        detector = Detector.load(shared_path(f"weights/{weights}"), engine=engine)
        wanted = json.loads(shared_path(f"golden/foreign/{Path(weights).stem}.json").read_text())
        for file, truth in wanted.items():
            found = detector(folder / file)
            assert len(found) == len(truth["detections"]), (weights, engine, file)
            for entry in truth["detections"]:
                near = np.abs(found.boxes - np.array(entry["xyxy"])).max(axis=1)
                row = int(np.where(found.classes == entry["class"], near, np.inf).argmin())
                assert near[row] < 0.01, (weights, engine, file)
                assert abs(found.scores[row] - entry["score"]) < 1e-4, (weights, engine, file)


def test_an_openvino_ir_of_another_tool_and_its_yaml(images, undressed, tmp_path):
    from lucidbox.engines.openvino import import_openvino, shared_core

    path = dress(bundled.ONNX, tmp_path / "dressed.onnx", "yolo", sides=SIDES)
    folder = tmp_path / "theirs_openvino_model"
    folder.mkdir()
    import_openvino().save_model(shared_core().read_model(path), folder / "theirs.xml", compress_to_fp16=False)
    numbered = {number: f"thing {number}" for number in range(len(Detector.load().names))}
    (folder / "metadata.yaml").write_text(f"task: detect\nstride: 32\nnames: {numbered}\n")
    detector = Detector.load(folder / "theirs.xml", conf=0.1)
    assert detector.names[79] == "thing 79"
    ours, theirs = undressed(SIDES, Placement())(images[0]), detector(images[0])
    np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=0.02)


def test_a_torchscript_of_another_tool(tmp_path):
    torch = pytest.importorskip("torch")
    import json

    class Constant(torch.nn.Module):
        """One box in the middle of the input, of the second of two classes."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            answer = torch.zeros(pixels.shape[0], 6, 84)
            answer[:, :4, 0] = 32.0
            answer[:, 5, 0] = pixels.mean()
            return answer

    path = tmp_path / "theirs.torchscript"
    stated = {"names": {"0": "a", "1": "b"}, "task": "detect", "imgsz": [64, 64]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Constant()), path, _extra_files={"config.txt": json.dumps(stated)})
    found = Detector.load(path)(np.full((64, 64, 3), 255, np.uint8))
    assert found.labels == ["b"]
    assert found.boxes.tolist() == [[16, 16, 48, 48]]
    assert found.scores[0] == pytest.approx(1.0, abs=1e-6)


def test_an_answer_of_other_classes_than_are_named_is_refused(tmp_path):
    path = dress(bundled.ONNX, tmp_path / "dressed.onnx", "end-to-end", sides=SIDES)
    detector = Detector.load(path, names=["only one"], conf=0.06)
    with pytest.raises(EngineError, match=r"class id \d+ has no name"):
        detector(EXAMPLES / "pizza.jpg")


def test_what_needs_gradients_says_what_does_not(tmp_path):
    from lucidbox.explain import explain

    path = dress(bundled.ONNX, tmp_path / "dressed.onnx", "yolo", sides=SIDES)
    detector = Detector.load(path)
    (best, *_) = detector(EXAMPLES / "street.jpg")
    with pytest.raises(LucidboxError, match="drise"):
        explain(detector, EXAMPLES / "street.jpg", best, method="odam")
