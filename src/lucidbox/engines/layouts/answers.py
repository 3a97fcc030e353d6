"""Answers of other people's models as boxes and scores: one function a kind of layout, in NumPy."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from lucidbox.core.array_types import Float32, Shaped
from lucidbox.core.errors import EngineError
from lucidbox.engines.base import Prediction, one_hot
from lucidbox.model_files.layouts.layout import Kind, Layout

YOLOX_STRIDES = (8, 16, 32)
"""Input pixels per cell of each level of a YOLOX, the finest first."""

LARGEST_LOG = 10.0
"""Highest logarithm of a side, in cells: no box becomes infinite."""

Outputs = Mapping[str, np.ndarray]
Sides = tuple[int, int]
"""Height, width of the network's input."""


def decode_answer(layout: Layout, outputs: Outputs, sides: Sides, classes: int) -> Prediction:
    """Boxes (xyxy, input pixels) and a probability a class, of a model's answer for a batch.

    Args:
        layout: what the answer means.
        outputs: by name.
        sides: of the network's input.
        classes: number of class names.

    Raises:
        EngineError: the answer has not the shape that the layout needs.
    """
    try:
        found = [np.asarray(outputs[name]) for name in layout.outputs]
        boxes, scores = DECODERS[layout.kind](layout, found, sides, classes)
    except (KeyError, ValueError, IndexError) as error:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
        raise EngineError(
            f"the model's answer ({shapes}) is not of the layout {layout.kind} with {classes} classes: {error}"
        ) from error
    if layout.columns is not None:
        scores = scores[..., list(layout.columns)]
    if scores.shape[2] != classes:
        raise EngineError(f"the model answers with {scores.shape[2]} classes, but {classes} are named")
    return Prediction(boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False))


def _yolo(layout: Layout, found: list[np.ndarray], sides: Sides, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows centre x, y, width, height, and a probability a class."""
    (answer,) = found
    rows = answer.transpose(0, 2, 1) if layout.transposed else answer
    corners = xyxy(rows[:, :4].transpose(0, 2, 1), sides if layout.normalised else None)
    return corners, activated(layout, rows[:, 4:].transpose(0, 2, 1))


def _objectness(
    layout: Layout, found: list[np.ndarray], sides: Sides, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same as columns, with the probability of an object before the classes."""
    (answer,) = found
    scores = activated(layout, answer[..., 4:5]) * activated(layout, answer[..., 5:])
    return xyxy(answer[..., :4], sides if layout.normalised else None), scores


def _yolox(layout: Layout, found: list[np.ndarray], sides: Sides, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the centre from its cell's corner, logarithms of sides, in cells ("YOLOX", arXiv 2107.08430)."""
    (answer,) = found
    corners, strides = _cells(*sides)
    centres = (answer[..., :2] + corners) * strides
    halves = np.exp(np.minimum(answer[..., 2:4], LARGEST_LOG)) * strides / 2
    scores = activated(layout, answer[..., 4:5]) * activated(layout, answer[..., 5:])
    return np.concatenate((centres - halves, centres + halves), axis=2), scores


def _end_to_end(
    layout: Layout, found: list[np.ndarray], sides: Sides, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Few boxes, each with one score and class; rows without an object have the score 0."""
    (answer,) = found
    boxes = answer[..., :4]
    return (boxes * _scale(sides) if layout.normalised else boxes), _dense(answer[..., 4], answer[..., 5], classes)


def _detr_logits(
    layout: Layout, found: list[np.ndarray], sides: Sides, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the input's sides, and logits."""
    boxes, logits = found
    return xyxy(boxes, sides), activated(layout, logits)


def _detr_boxes(
    layout: Layout, found: list[np.ndarray], sides: Sides, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded boxes in pixels of the sizes that were given: the input's."""
    labels, boxes, scores = found
    return boxes, _dense(scores, labels, classes)


DECODERS: dict[
    Kind, Callable[[Layout, list[np.ndarray], Sides, int], tuple[np.ndarray, np.ndarray]]
] = {
    "yolo": _yolo,
    "yolo-objectness": _objectness,
    "yolox": _yolox,
    "end-to-end": _end_to_end,
    "detr-logits": _detr_logits,
    "detr-boxes": _detr_boxes,
}  # fmt: skip
"""How the answer of each kind is decoded."""


def xyxy(boxes: Shaped[np.ndarray, "b n 4"], sides: Sides | None) -> Float32[np.ndarray, "b n 4"]:
    """Corners from centre x, y, width, height, which are shares of ``sides`` where that is given."""
    centres, halves = boxes[..., :2].astype(np.float32), boxes[..., 2:].astype(np.float32) / 2
    corners = np.concatenate((centres - halves, centres + halves), axis=2)
    if sides:
        corners *= _scale(sides)
    return corners


def activated(layout: Layout, numbers: Shaped[np.ndarray, "b n c"]) -> Shaped[np.ndarray, "b n c"]:
    """Probabilities of class numbers."""
    if layout.activation == "none":
        return numbers
    wide = numbers.astype(np.float32)
    if layout.activation == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number is infinite, and 1 / infinity is 0
            return 1 / (1 + np.exp(-wide))
    shares = np.exp(wide - wide.max(axis=-1, keepdims=True))
    softmax: Float32[np.ndarray, "b n c"] = shares / shares.sum(axis=-1, keepdims=True)
    return softmax


def _dense(scores: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Each score in its class's column.

    Raises:
        ValueError: a class has no name.
    """
    ids = labels.astype(np.int64)
    kept = scores > 0
    if kept.any() and not 0 <= ids[kept].min() <= ids[kept].max() < classes:
        raise ValueError(f"class id {ids[kept].max()} has no name; name all classes with --names FILE")
    return one_hot(scores.astype(np.float32), np.where(kept, ids, 0), classes)


def _scale(sides: Sides) -> np.ndarray:
    height, width = sides
    return np.array([width, height, width, height], np.float32)


@cache
def _cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Left top corner of every cell, in cells, and the stride of each."""
    corners, strides = [], []
    for stride in YOLOX_STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack((columns, rows), axis=-1).reshape(-1, 2))
        strides.append(np.full((corners[-1].shape[0], 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
