"""What a graph is, from its names, shapes and metadata alone."""

import pytest

from lucidbox.core.class_names import COCO_IDS, COCO_NAMES
from lucidbox.core.errors import WeightsError
from lucidbox.model_files.layouts.metadata import Stated, stated_by
from lucidbox.model_files.layouts.recognise import recognise_layout
from lucidbox.model_files.layouts.signature import Port, Signature


def graph(outputs, *, side=640, inputs=(), last="Concat", operators=(), image="images", kind="float32"):
    """A signature: an image input of this side, and outputs by name."""
    ports = tuple(Port(name, "float32", shape) for name, shape in outputs.items())
    return Signature(
        (Port(image, kind, (1, 3, side, side)), *inputs),
        ports,
        operators=frozenset(operators),
        last_operators=dict.fromkeys(outputs, last),
    )


NO = Stated()
GREY = Signature((Port("x", "float32", (1, 1, 640, 640)),), (Port("y", "float32", (1, 84, 8400)),))
SIZES = (Port("orig_target_sizes", "int64", (1, 2)),)

RECOGNISED = {
    "YOLOv8, 9, 11, 12": (graph({"output0": (1, 84, 8400)}), "yolo"),
    "the same at another size": (graph({"output0": (1, 84, 2100)}, side=320), "yolo"),
    "the same with any size": (graph({"output0": (None, 84, None)}, side=None), "yolo"),
    "YOLOv5, v7": (graph({"output0": (1, 25200, 85)}), "yolo-objectness"),
    "YOLOv6": (graph({"outputs": (1, 8400, 85)}), "yolo-objectness"),
    "YOLOX": (graph({"output": (1, 3549, 85)}, side=416, last="Transpose"), "yolox"),
    "YOLOX with decoding inside": (
        graph({"output": (1, 8400, 85)}, last="Transpose", operators=["Exp"]),
        "yolo-objectness",
    ),
    "suppression inside": (graph({"output0": (1, 300, 6)}), "end-to-end"),
    "RF-DETR": (graph({"dets": (1, 300, 4), "labels": (1, 300, 91)}, side=560, image="input"), "detr-logits"),
    "DETR of Hugging Face": (graph({"logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, side=800), "detr-logits"),
    "RT-DETR, D-FINE": (
        graph({"labels": (1, 300), "boxes": (1, 300, 4), "scores": (1, 300)}, inputs=SIZES),
        "detr-boxes",
    ),
}


@pytest.mark.parametrize("case", RECOGNISED)
def test_each_kind_is_recognised_by_its_shapes(case):
    signature, kind = RECOGNISED[case]
    found = recognise_layout(signature, NO)
    assert (found.layout.kind, found.names) == (kind, COCO_NAMES)
    # The file names no classes: that COCO's are assumed is said.
    assert any("assumed" in note or "COCO" in note for note in found.notes)
    assert found.reasons


def test_pixels_and_placement_are_those_of_each_kinds_own_tool():
    yolox = recognise_layout(*RECOGNISED["YOLOX"][:1], NO).layout
    assert (yolox.pixels.bgr, yolox.pixels.scale, yolox.placement.anchor, yolox.placement.rounding) == (
        True, 1.0, "top-left", "down",
    )  # fmt: skip
    rf_detr = recognise_layout(*RECOGNISED["RF-DETR"][:1], NO).layout
    assert (rf_detr.placement.anchor, rf_detr.pixels.mean, rf_detr.activation) == (
        "stretch", (0.485, 0.456, 0.406), "sigmoid",
    )  # fmt: skip
    assert rf_detr.columns == COCO_IDS
    detr = recognise_layout(*RECOGNISED["DETR of Hugging Face"][:1], NO).layout
    assert (detr.activation, detr.columns) == ("softmax", COCO_IDS)
    rt_detr = recognise_layout(*RECOGNISED["RT-DETR, D-FINE"][:1], NO).layout
    assert (rt_detr.sizes_input, rt_detr.placement.anchor) == ("orig_target_sizes", "stretch")


def test_names_decide_between_objectness_and_none():
    signature = graph({"output0": (1, 8400, 9)})
    with pytest.raises(WeightsError, match=r"could be .*yolo-objectness \(4 classes\).*yolo \(5 classes\)"):
        recognise_layout(signature, NO)
    assert recognise_layout(signature, NO, names=tuple("abcd")).layout.kind == "yolo-objectness"
    five = recognise_layout(signature, NO, names=tuple("abcde")).layout
    assert (five.kind, five.transposed) == ("yolo", True)
    assert recognise_layout(signature, NO, kind="yolo").names == tuple(f"class {number}" for number in range(5))


def test_metadata_name_classes_and_decide():
    stated = stated_by({"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "imgsz": "[640, 640]"})
    assert (stated.names, stated.size) == (("cat", "dog"), (640, 640))
    found = recognise_layout(graph({"output0": (1, 6, 8400)}), stated)
    assert (found.layout.kind, found.names, found.notes) == ("yolo", ("cat", "dog"), ())
    # Two classes and few boxes: xyxy, score, class.
    assert recognise_layout(graph({"output0": (1, 300, 6)}), stated).layout.kind == "end-to-end"
    three = stated_by({"names": str(["a"] * 3)})
    assert recognise_layout(graph({"output0": (None, None, 6)}, side=None), three).layout.kind == "end-to-end"


def test_a_background_column_is_one_more_than_names():
    outputs = {"dets": (1, 300, 4), "labels": (1, 300, 4)}
    found = recognise_layout(graph(outputs), NO, names=("a", "b", "c"))
    assert (found.layout.columns, found.layout.outputs) == ((0, 1, 2), ("dets", "labels"))
    assert "background" in found.notes[0]


def test_boxes_of_a_segmentation_model_are_used_and_that_is_said():
    signature = graph({"output0": (1, 116, 8400), "output1": (1, 32, 160, 160)})
    found = recognise_layout(signature, Stated(task="segment"))
    assert (found.layout.kind, found.layout.columns) == ("yolo", tuple(range(80)))
    assert "segmentation" in found.notes[0]


@pytest.mark.parametrize(
    ("signature", "stated", "words"),
    [
        (graph({"output0": (1, 56, 8400)}), Stated(task="pose"), "a model for pose"),
        (graph({"output0": (1, 20, 8400)}), Stated(task="obb"), "a model for oriented boxes"),
        (graph({"output0": (1, 1000)}, side=224), NO, "a model for classification"),
        (graph({"output0": (1, 84, 8400)}), Stated(task="classify"), "a model for classification"),
        (graph({f"level{n}": (1, 255, 80 >> n, 80 >> n) for n in range(3)}), NO, "raw levels of a head"),
        (graph({"output0": (1, 84, 77)}), NO, "no layout of a detector"),
        (graph({"output0": (1, 84, 8400)}, inputs=(Port("other", "float32", (1, 3, 8, 8)),)), NO, "one input"),
        (graph({"output0": (1, 84, 8400)}, kind="int32"), NO, "its input takes int32"),
        (GREY, NO, "3 channels"),
    ],
)  # fmt: skip
def test_what_is_no_detector_is_named(signature, stated, words):
    with pytest.raises(WeightsError, match=words):
        recognise_layout(signature, stated)


def test_a_wrong_number_of_names_is_refused():
    with pytest.raises(WeightsError, match="it has 80 classes, but 2 names are given"):
        recognise_layout(graph({"output0": (1, 84, 8400)}), NO, names=("a", "b"))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "{0: 'a', 2: 'b'}", "{0: 1}", "__import__('os')", "3", "[]", "{'a': 'b'}"]
)
def test_names_that_make_no_sense_are_as_if_absent(text):
    assert stated_by({"names": text, "imgsz": text}).names is None
