"""Greedy one-to-one matching of two sets of boxes. The evaluator has its own, for many thresholds at once."""

import numpy as np

from lucidbox.core.array_types import Bool, Float
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.detections import Detections

MATCH = 0.5
"""Least IoU of two boxes of one class that are the same object."""


def match_boxes(
    first: Float[np.ndarray, "n 4"],
    second: Float[np.ndarray, "m 4"],
    same_class: Bool[np.ndarray, "n m"],
    least_iou: float = MATCH,
) -> tuple[list[int], list[int]]:
    """Pairs of boxes of one class that overlap enough, each box in one pair at most.

    Args:
        first: xyxy boxes, best first: earlier rows choose before later ones.
        second: xyxy boxes; each of ``first`` takes the free one that it overlaps most.
        same_class: which boxes are of the same class.
        least_iou: IoU that a pair needs, above 0.

    Returns:
        Rows of the first in their order, and the row of the second that each is paired with.
    """
    rows: list[int] = []
    partners: list[int] = []
    if len(second) == 0:
        return rows, partners
    overlaps = pairwise_iou(first, second) * same_class
    for row, ious in enumerate(overlaps):
        partner = int(ious.argmax())
        if ious[partner] >= least_iou:
            rows.append(row)
            partners.append(partner)
            overlaps[:, partner] = 0
    return rows, partners


def match_detections(first: Detections, second: Detections) -> tuple[list[int], list[int]]:
    """Pairs of detections of one class that overlap enough; the best-scored ones of the first choose first.

    Returns:
        Rows of the first, best score first, and the row of the second that each is paired with.
    """
    order = np.argsort(-first.scores, kind="stable")
    same_class = first.classes[order][:, None] == second.classes
    rows, partners = match_boxes(first.boxes[order], second.boxes, same_class)
    return order[rows].tolist(), partners
