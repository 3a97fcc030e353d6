"""Whether boxes are what greedy suppression may keep: scores that tie may come in any order."""

import numpy as np

from lucidbox.core.array_types import Bool, Float
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.detections import Detections
from lucidbox.detect.nms import Limits
from lucidbox.engines.base import Prediction

_RELATIVE = 0.01
"""Share of the IoU threshold by which an IoU may miss it: rounded boxes move it."""


def may_be_kept(kept: Detections, answer: Prediction, limits: Limits, pixels: float, scores: float) -> bool:
    """Whether these boxes are a greedy suppression of an answer, whatever the order of scores that tie.

    One swap of two boxes that tie can change all that is kept after it, so not the boxes of another run are
    compared, but what defines a suppression: each kept box is an anchor's, in the order of scores; no two of a
    class overlap; each other anchor overlaps a kept box of its class that is no worse, or is worse than the last
    of as many boxes as may be kept.

    Args:
        kept: the boxes, in the order in which they came.
        answer: of one image: ``boxes`` (1 a 4), ``scores`` (1 a c).
        limits: of the suppression.
        pixels: by which a side of a box may have moved.
        scores: by which a score may have changed; scores that are no further apart tie.
    """
    boxes, best = answer.boxes[0], answer.scores[0].max(axis=1)
    if len(kept) > limits.max_det or _overlapping(kept, limits.iou, pixels):
        return False
    explained: Bool[np.ndarray, " a"] = best <= limits.conf + scores
    if len(kept) == limits.max_det:
        explained |= best <= kept.scores[-1] + scores
    free, last = best > limits.conf - scores, np.inf
    for box, score, label in zip(kept.boxes, kept.scores, kept.classes, strict=True):
        of_class = answer.scores[0][:, label] >= best - scores
        own = free & of_class & (np.abs(best - score) <= scores) & (np.abs(boxes - box).max(axis=1) <= pixels)
        if not own.any() or score > last + scores:
            return False
        anchor = int(np.argmax(own))
        free[anchor], explained[anchor], last = False, True, min(last, score)
        near = pairwise_iou(_grown(box[None], pixels), _grown(boxes, pixels))[0] > limits.iou * (1 - _RELATIVE)
        explained |= near & of_class & (best <= score + scores)
    return bool(explained.all())


def _overlapping(kept: Detections, iou: float, pixels: float) -> bool:
    """Whether two kept boxes of a class overlap by more than the limit, in spite of rounding."""
    small = _grown(kept.boxes, -pixels)
    return any(
        bool(
            (pairwise_iou(small[row : row + 1], small[:row])[0] > iou * (1 + _RELATIVE))[
                kept.classes[:row] == kept.classes[row]
            ].any()
        )
        for row in range(1, len(kept))
    )


def _grown(boxes: Float[np.ndarray, "n 4"], pixels: float) -> Float[np.ndarray, "n 4"]:
    """Boxes whose sides are all moved outwards."""
    moved: Float[np.ndarray, "n 4"] = boxes + np.array([-pixels, -pixels, pixels, pixels], boxes.dtype)
    return moved
