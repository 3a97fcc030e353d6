"""Networks that lucidbox does not read are named."""

import forge
import pytest
import torch

from lucidbox.core.errors import WeightsError
from lucidbox.weights.families import family_of, stated_network
from lucidbox.weights.reading import read_content


@pytest.mark.parametrize(
    ("class_name", "file", "name"),
    [
        ("DetectionModel", "yolov8n.yaml", "a YOLOv8n (yolov8n.yaml)"),
        ("DetectionModel", "/cfg/models/yolov5nu.yaml", "a YOLOv5nu (yolov5nu.yaml)"),
        ("DetectionModel", "C:\\cfg\\yolo12s.yaml", "a YOLO12s (yolo12s.yaml)"),
        ("DetectionModel", "yolo26x.yaml", "a YOLO26x (yolo26x.yaml)"),
        ("YOLOv10DetectionModel", "yolov10n.yaml", "a YOLOv10n (yolov10n.yaml)"),
        ("WorldModel", "yolov8s-worldv2.yaml", "a YOLOv8s-worldv2 (yolov8s-worldv2.yaml)"),
        ("RTDETRDetectionModel", "rtdetr-l.yaml", "an RT-DETR-l (rtdetr-l.yaml)"),
        ("RTDETRDetectionModel", None, "an RT-DETR"),
        ("WorldModel", None, "a YOLO-World"),
        ("DetectionModel", "yolo11n.yaml", ""),
        ("DetectionModel", "yolo11m-mine.yaml", ""),
        ("DetectionModel", "mine.yaml", ""),
        ("DetectionModel", 3, ""),
    ],
)
def test_what_a_file_says_of_its_network(class_name, file, name):
    assert stated_network(class_name, {"yaml": {"yaml_file": file}}) == name


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["model.22.dfl.conv.weight", "model.2.cv2.conv.weight"], "a YOLOv8"),
        (["model.22.dfl.conv.weight", "model.2.cv2.0.cv1.conv.weight"], "a YOLOv9"),
        (["model.24.dfl.conv.weight"], "a YOLOv5u"),
        (["model.28.cv3.0.0.conv.weight"], "a YOLOv6"),
        (["model.21.dfl.conv.weight"], "a YOLO12"),
        (["model.23.dfl.conv.weight", "model.23.one2one_cv2.0.0.conv.weight"], "a YOLOv10"),
        (["model.23.cv3.0.0.0.conv.weight", "model.23.one2one_cv2.0.0.conv.weight"], "a YOLO26"),
        (["model.28.enc_score_head.weight"], "an RT-DETR"),
        (["model.42.dfl.conv.weight"], "a network of 43 layers, where YOLO11 has 24"),
        (["model.23.dfl.conv.weight"], ""),
        (["stem.weight"], ""),
    ],
)
def test_what_tensors_are_of(names, name):
    assert family_of(names) == name


def test_a_network_of_another_family_is_refused_by_its_name():
    state = forge.published_state()
    moved = {name.replace("model.23.", "model.22."): tensor for name, tensor in state.items()}
    stated = {"yaml": {"yaml_file": "yolov9c.yaml"}}
    for content, name in (
        (forge.saved(moved), "a YOLOv8"),
        (forge.published_checkpoint(moved, attributes=stated), r"a YOLOv9c \(yolov9c.yaml\)"),
        (
            forge.published_checkpoint(moved, attributes={**stated, "stride": torch.tensor([8.0, 16, 32, 64])}),
            r"a YOLOv9c \(yolov9c.yaml\)",
        ),
    ):
        with pytest.raises(WeightsError, match=f"^{name}; lucidbox reads YOLO11 checkpoints"):
            read_content(content, "x.pt")


def test_a_yolo11_that_is_damaged_is_told_what_is_wrong_with_it():
    state = forge.published_state()
    del state["model.0.bn.bias"]
    with pytest.raises(WeightsError, match=r"missing: model\.0\.bn\.bias"):
        read_content(forge.published_checkpoint(state, attributes={"yaml": {"yaml_file": "yolo11n.yaml"}}), "x")


@pytest.mark.parametrize("name", ["models.yolo.Model", "yolov6.models.yolo.Model"])
def test_checkpoints_of_other_code_are_named(name):
    module, _, class_name = name.rpartition(".")
    pickle = forge.called(forge.named(module, class_name)) + b"."
    content = forge.with_pickle(forge.saved({}), lambda _: pickle)
    with pytest.raises(WeightsError, match=rf"own code \({name}\), in which nothing was run"):
        read_content(content, "x.pt")
