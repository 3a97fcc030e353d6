"""Box geometry in NumPy.

Box formats: xyxy is left, top, right, bottom; xywh is left, top, width, height (COCO's format); cxcywh is centre,
width, height (YOLO's format). Boxes are xyxy unless a name says otherwise. Boxes of any of these formats are
normalised by dividing them by an image's (width, height, width, height).
"""

import numpy as np

from lucidbox.core.array_types import Float, Int, Num


def areas(boxes: Num[np.ndarray, "n 4"]) -> Num[np.ndarray, " n"]:
    """Areas of xyxy boxes, in square pixels; negative sides count as they are."""
    sizes: Num[np.ndarray, " n"] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return sizes


def xyxy_to_xywh(boxes: Num[np.ndarray, "n 4"]) -> Num[np.ndarray, "n 4"]:
    """Boxes from xyxy to xywh."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xywh_to_xyxy(boxes: Num[np.ndarray, "n 4"]) -> Num[np.ndarray, "n 4"]:
    """Boxes from xywh to xyxy."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xywh_to_cxcywh(boxes: Num[np.ndarray, "n 4"]) -> Num[np.ndarray, "n 4"]:
    """Boxes from xywh to cxcywh."""
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def cxcywh_to_xywh(boxes: Num[np.ndarray, "n 4"]) -> Num[np.ndarray, "n 4"]:
    """Boxes from cxcywh to xywh."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def pairwise_iou(first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every pair of xyxy boxes; 0 where the union is empty."""
    # Two planes, x then y, instead of an "n m 2" array: half the memory traffic.
    width = np.minimum(first[:, None, 2], second[:, 2])
    width -= np.maximum(first[:, None, 0], second[:, 0])
    np.maximum(width, 0, out=width)
    height = np.minimum(first[:, None, 3], second[:, 3])
    height -= np.maximum(first[:, None, 1], second[:, 1])
    np.maximum(height, 0, out=height)
    overlap = np.multiply(width, height, out=width)
    union = np.add(areas(first)[:, None], areas(second), out=height)
    union -= overlap
    ratios: Float[np.ndarray, "n m"] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratios


def touching_pairs(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """The pairs of xyxy boxes that overlap or touch, found without looking at all: rows and columns, by row."""
    order = np.argsort(second[:, 0])
    left, top, right, bottom = second[order].T.copy()
    widest = float((right - left).max(initial=0))
    low, high = np.searchsorted(left, first[:, 0] - widest), np.searchsorted(left, first[:, 2], side="right")
    counts = np.maximum(high - low, 0)
    rows = np.repeat(np.arange(len(first)), counts)
    places = np.arange(len(rows)) + np.repeat(low - (np.cumsum(counts) - counts), counts)
    near = (top[places] <= first[:, 3].repeat(counts)) & (bottom[places] >= first[:, 1].repeat(counts))
    rows, places = rows[near], places[near]
    near = right[places] >= first[rows, 0]
    return rows[near], order[places[near]]


def overlapping_pairs(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """The pairs of xyxy boxes that overlap, found without looking at all: rows, columns and IoU, by row."""
    rows, columns = touching_pairs(first, second)
    a, b = first[rows].T, second[columns].T
    overlap = (np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])) * (np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]))
    union = areas(first)[rows] + areas(second)[columns] - overlap
    real = (overlap > 0) & (union > 0)
    return rows[real], columns[real], overlap[real] / union[real]
