"""Names of networks that lucidbox does not read, as their files or their tensors tell them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

READABLE = "lucidbox reads YOLO11 checkpoints; export it to ONNX with its own tool and give that file"
"""What to do with a network of another family, in words for messages."""

_LONGEST = 60
_FAMILY = re.compile(r"yolo[-_]?(v?)(\d+)(.*)", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"model\.(\d{1,3})\.(?:dfl|cv3\.\d)\.")
_CLASSES = {"RTDETRDetectionModel": "RT-DETR", "WorldModel": "YOLO-World", "YOLOEModel": "YOLOE"}
_HEADS = {21: "YOLO12", 24: "YOLOv5u", 28: "YOLOv6"}
"""Families by the number of the last layer; others share theirs."""

OWN_CODE = {
    "models.": "YOLOv5's or YOLOv7's",
    "yolov6.": "YOLOv6's",
    "yolox.": "YOLOX's",
    "mmdet.": "MMDetection's",
}
"""Whose code the classes of a module are, by how its name begins."""


def stated_network(class_name: str, attributes: Mapping[str, Any]) -> str:
    """What a pickled network says it is, such as "a YOLOv8n (yolov8n.yaml)"; empty for a YOLO11 or for nothing.

    Args:
        class_name: its class, without the module.
        attributes: its attributes; ``yaml`` is the description that it was built from.
    """
    description = attributes.get("yaml")
    file = description.get("yaml_file") if isinstance(description, dict) else None
    if not isinstance(file, str) or not file:
        return _with_article(_CLASSES[class_name]) if class_name in _CLASSES else ""
    name = re.split(r"[/\\]", file[-_LONGEST:])[-1]
    stem = name.removesuffix(".yaml").removesuffix(".yml")
    if match := _FAMILY.match(stem):
        mark, number, rest = match.groups()
        return (
            "" if number == "11" and class_name not in _CLASSES else f"a YOLO{mark.lower()}{number}{rest} ({name})"
        )
    if stem.lower().startswith("rtdetr"):
        return f"an RT-DETR{stem[6:]} ({name})"
    return _with_article(_CLASSES[class_name]) + f" ({name})" if class_name in _CLASSES else ""


def family_of(names: Iterable[str]) -> str:
    """What network tensors of these published names are of; empty for a YOLO11 and for what is not known."""
    names = set(names)
    heads = [int(match[1]) for name in names if (match := _HEAD.match(name))]
    if any(".enc_score_head." in name for name in names):
        return "an RT-DETR"
    if any(".one2one_cv2." in name for name in names):
        return "a YOLOv10" if any(".dfl." in name for name in names) else "a YOLO26"
    head = max(heads, default=23)
    if head == 22:
        has_c2f = "model.2.cv2.conv.weight" in names and "model.2.cv3.conv.weight" not in names
        return "a YOLOv8" if has_c2f else "a YOLOv9"
    return (
        "" if head == 23 else _with_article(_HEADS.get(head, f"network of {head + 1} layers, where YOLO11 has 24"))
    )


def _with_article(name: str) -> str:
    return f"an {name}" if name.startswith("RT") else f"a {name}"
