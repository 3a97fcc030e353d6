"""Class names: COCO's, and choosing classes by name or number."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

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


Classes = str | int | np.integer | Iterable[Any]
"""Classes as users choose them: ids, names, or one text of these with commas between."""


def class_ids(wanted: Classes, names: Sequence[str], ids: Sequence[int] | None = None) -> list[int]:
    """Indices of the classes that are wanted, in the order given.

    A whole number is an id. A text is a name, and stands for every class of that name; a text of digits that is
    no name is an id. One text may hold several with commas between; a name that has commas itself is found.

    Args:
        wanted: ids, names, or one text of these.
        names: of all classes.
        ids: of all classes; their indices if None.

    Raises:
        OptionError: a class is not in the model; the message lists near names.
    """
    numbers = list(range(len(names))) if ids is None else list(ids)
    if isinstance(wanted, str):
        wanted = [wanted] if wanted in names else _parts(wanted, names)
    elif isinstance(wanted, (int, np.integer)):
        wanted = [wanted]
    return [index for item in wanted for index in _indices(item, names, numbers)]


def _parts(text: str, names: Sequence[str]) -> list[str]:
    """The text's parts between commas; as many as possible together where that is a name."""
    parts, found = text.split(","), []
    start = 0
    while start < len(parts):
        ends = range(len(parts), start + 1, -1)
        end = next((end for end in ends if ",".join(parts[start:end]).strip() in names), start + 1)
        found.append(",".join(parts[start:end]).strip())
        start = end
    return found


def _indices(item: Any, names: Sequence[str], ids: list[int]) -> list[int]:
    """Indices of one class, or of all that have this name."""
    text = str(item).strip()
    if isinstance(item, str) and (named := [index for index, name in enumerate(names) if name in (item, text)]):
        return named
    if text.isdecimal() or isinstance(item, (int, np.integer)):
        if int(text) in ids:
            return [ids.index(int(text))]
        there = f"its ids run from {min(ids)} to {max(ids)}" if ids else "it has none"
        raise OptionError(f"class {text} is not in the model: {there}")
    if not isinstance(item, str):
        raise OptionError(f"class {item!r} is neither a name nor a whole number")
    near = get_close_matches(text, names, n=3, cutoff=0.5) or list(names[:5])
    raise OptionError(f"class {text!r} is not in the model; did you mean {', '.join(near)}?")
