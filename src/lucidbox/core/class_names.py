"""Class names: COCO's, and choosing classes by name or number."""

from collections.abc import Sequence
from difflib import get_close_matches

from lucidbox.core.errors import OptionError

COCO_NAMES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 object classes of COCO detection, in the order of the published networks' class ids."""

# COCO numbered 91 categories and annotated 80; these eleven ids were never used.
_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
COCO_IDS: tuple[int, ...] = tuple(number for number in range(1, 92) if number not in _UNUSED_IDS)
"""COCO's category id for each entry of :data:`COCO_NAMES`."""


def coco_category_ids(names: Sequence[str]) -> list[int]:
    """COCO category id of each class: the 91-id numbering for COCO's own 80 names, else the class ids."""
    return list(COCO_IDS) if tuple(names) == COCO_NAMES else list(range(len(names)))


def class_ids(wanted: Sequence[str | int], names: Sequence[str]) -> list[int]:
    """Class ids for names or numbers, in the order given.

    Raises:
        OptionError: a class is not in the model; the message lists near names.
    """
    found = []
    for item in wanted:
        text = str(item).strip()
        if text in names:
            found.append(list(names).index(text))
        elif text.isdecimal() and int(text) < len(names):
            found.append(int(text))
        elif text.isdecimal():
            raise OptionError(f"class {text} is not in the model: its ids run from 0 to {len(names) - 1}")
        else:
            near = get_close_matches(text, names, n=3, cutoff=0.5) or list(names[:5])
            raise OptionError(f"class {text!r} is not in the model; did you mean {', '.join(near)}?")
    return found
