"""Whether images have the sizes that their annotations state, and what AP boxes of the stated sizes would have."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from lucidbox.core.array_types import Bool, Float
from lucidbox.core.columns import lookup
from lucidbox.core.text import printable
from lucidbox.evaluate.summary import Summary, evaluate

_Boxes = Float[np.ndarray, "n 4"]
_Sizes = Float[np.ndarray, "n 2"]


def size_doubts(summary: Summary, opened: Mapping[int, tuple[int, int]]) -> tuple[str, ...]:
    """A sentence if opened images differ from what is stated, with the AP of boxes moved to the stated sizes.

    Args:
        summary: of the detections in the opened images.
        opened: width and height of each image that was opened, by its id.
    """
    truth, found = summary.matching.truth, summary.matching.predictions
    rows = lookup(np.array(list(opened), np.int64), truth.image_ids)
    sizes = np.zeros((len(truth.image_ids) + 1, 2))
    sizes[rows] = list(opened.values())
    stated = np.concatenate([truth.sizes, np.zeros((1, 2))])
    other = (sizes != stated).any(axis=1) & sizes.all(axis=1) & stated.all(axis=1)
    if not other.any():
        return ()
    images = lookup(found.image_ids, truth.image_ids)
    named = {}
    for cause, moved in _MOVES.items():
        boxes = np.where(
            other[images, None], moved(found.boxes_xywh, sizes[images], stated[images]), found.boxes_xywh
        )
        named[cause] = float(evaluate(truth, replace(found, boxes_xywh=boxes), summary.protocol).stats[0])
        if not _turned(sizes[other], stated[other]).any():
            break
    cause = max(named, key=lambda one: named[one])
    first = int(np.flatnonzero(other)[0])
    name = printable(truth.file_names[first]) if truth.file_names else f"image {truth.image_ids[first]}"
    (width, height), (wide, high) = sizes[first].astype(int).tolist(), stated[first].astype(int).tolist()
    return (
        f"{truth.source}: {other.sum()} of {len(opened)} images have another size than stated (the first: {name}"
        f" has {width}×{height} pixels, stated are {wide}×{high}); with boxes {cause} AP would be"
        f" {named[cause]:.3f} and not {summary.stats[0]:.3f}",
    )


def _turned(sizes: _Sizes, stated: _Sizes) -> Bool[np.ndarray, " n"]:
    """Which images have width and height exchanged: by an orientation in EXIF that annotations do not follow."""
    turned: Bool[np.ndarray, " n"] = (sizes == stated[:, ::-1]).all(axis=1)
    return turned


def _scaled(boxes: _Boxes, sizes: _Sizes, stated: _Sizes) -> _Boxes:
    scaled: _Boxes = boxes * np.tile(stated / np.maximum(sizes, 1), 2)
    return scaled


def _turned_left(boxes: _Boxes, sizes: _Sizes, stated: _Sizes) -> _Boxes:
    left, top, width, height = boxes.T
    return np.stack([top, stated[:, 1] - left - width, height, width], axis=1)


def _turned_right(boxes: _Boxes, sizes: _Sizes, stated: _Sizes) -> _Boxes:
    left, top, width, height = boxes.T
    return np.stack([stated[:, 0] - top - height, left, height, width], axis=1)


_MOVES: dict[str, Callable[[_Boxes, _Sizes, _Sizes], _Boxes]] = {
    "scaled to the stated size": _scaled,
    "turned to the left, as the image is stored": _turned_left,
    "turned to the right, as the image is stored": _turned_right,
}
