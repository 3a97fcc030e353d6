"""Why an annotated object was not found: its best anchor, that anchor's score and box, and what suppressed it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.boxes import pairwise_iou, xywh_to_xyxy
from lucidbox.evaluate.evaluation import Matching
from lucidbox.nms import Limits, select, suppress
from lucidbox.shapes import Float
from lucidbox.validation import LIMITS, Answer

THRESHOLD = 0.5
"""IoU from which a box counts as being on an object."""

REASONS = {
    "localisation": "no anchor's box reaches IoU 0.5 with it",
    "score": "the best anchor's score is not above the confidence threshold",
    "suppressed": "a better box of its class overlaps the best anchor's",
    "crowded out": "more than the allowed number of detections of the picture score higher",
    "taken": "the best anchor's detection was kept, and matched another object or was out of the counted ones",
}


@dataclass(frozen=True)
class Missed:
    """A truth that no detection was matched with at IoU 0.5.

    Attributes:
        image_id: its picture.
        annotation_id: its annotation.
        label: its class.
        box: xyxy, pixels of the picture.
        reason: a key of :data:`REASONS`.
        score: of its class at its best anchor: the one of highest score among those whose box reaches IoU
            0.5 with it, or, if none does, the one of highest IoU.
        iou: of the best anchor's box with it.
        anchor_box: the best anchor's box, xyxy, pixels of the picture.
        suppressor: the kept box that suppressed the best anchor's, xyxy, or None.
        suppressor_score: its score, or None.
    """

    image_id: int
    annotation_id: int
    label: str
    box: tuple[float, ...]
    reason: str
    score: float
    iou: float
    anchor_box: tuple[float, ...]
    suppressor: tuple[float, ...] | None = None
    suppressor_score: float | None = None


def missed_rows(matching: Matching) -> list[int]:
    """Rows of the truth that count, at all sizes, and that nothing was matched with at IoU 0.5.

    Crowds are no single objects and are left out.
    """
    thresholds = np.array(matching.protocol.iou_thresholds)
    threshold = int(np.abs(thresholds - THRESHOLD).argmin())
    pairs, found = matching.candidates.pairs, np.zeros(len(matching.objects.rows), bool)
    for outcome in matching.outcomes:
        if threshold in outcome.word.thresholds and 0 in outcome.word.areas:
            bit = np.uint64(1 << outcome.word.bit(threshold, 0))
            found[pairs.truths[(outcome.paired & bit) > 0]] = True
    lost = ~found & ~matching.objects.crowds
    return sorted(matching.objects.rows[lost].tolist())


def explain_missed(
    matching: Matching, rows: Sequence[int], answer: Answer, names: Sequence[str], limits: Limits = LIMITS
) -> list[Missed]:
    """Trace the missed truths of one picture through the network's answer.

    Args:
        matching: what was matched.
        rows: rows of ``matching.truth``, all of ``answer``'s picture.
        answer: the network's own answer for it.
        names: the model's class names; truths of classes that it does not have are left out.
        limits: with which detections were made.
    """
    truth = matching.truth
    boxes = answer.frame.restore(answer.boxes).astype(np.float64)
    found = select(answer.scores, limits)
    kept = suppress(
        answer.boxes[found.anchors],
        found.scores,
        found.classes,
        limits.iou,
        max_det=None,
        agnostic=limits.agnostic,
    )
    ranks = {(int(found.anchors[row]), int(found.classes[row])): rank for rank, row in enumerate(kept)}
    traced = []
    for row in rows:
        label = truth.category_names[truth.categories[row]]
        if label not in names:
            continue
        box = xywh_to_xyxy(truth.boxes_xywh[row : row + 1])[0]
        index = list(names).index(label)
        overlaps = pairwise_iou(box[None], boxes)[0]
        anchor = _best_anchor(overlaps, answer.scores[:, index])
        score = float(answer.scores[anchor, index])
        reason, suppressor = "taken", None
        if overlaps[anchor] < THRESHOLD:
            reason = "localisation"
        elif score <= limits.conf:
            reason = "score"
        elif (rank := ranks.get((anchor, index))) is None:
            reason = "suppressed"
            suppressor = _suppressor(answer, anchor, index, found.anchors[kept], found.classes[kept], limits)
        elif rank >= limits.max_det:
            reason = "crowded out"
        traced.append(
            Missed(
                answer.image_id,
                int(truth.annotation_ids[row]),
                label,
                _rounded(box),
                reason,
                round(score, 5),
                round(float(overlaps[anchor]), 4),
                _rounded(boxes[anchor]),
                None if suppressor is None else _rounded(boxes[suppressor]),
                None if suppressor is None else round(float(answer.scores[suppressor, index]), 5),
            )
        )
    return traced


def _best_anchor(overlaps: Float[np.ndarray, " a"], scores: Float[np.ndarray, " a"]) -> int:
    """The best score among anchors on the object, or else the anchor nearest to being on it."""
    on_it = overlaps >= THRESHOLD
    return int(np.where(on_it, scores, -1).argmax()) if on_it.any() else int(overlaps.argmax())


def _suppressor(
    answer: Answer,
    anchor: int,
    index: int,
    kept_anchors: Sequence[int] | np.ndarray,
    kept_classes: Sequence[int] | np.ndarray,
    limits: Limits,
) -> int | None:
    """The first kept anchor of the class whose box overlaps this anchor's by more than the threshold."""
    rivals = np.asarray(kept_anchors)[np.asarray(kept_classes) == index]
    if len(rivals) == 0:
        return None
    overlaps = pairwise_iou(answer.boxes[anchor][None], answer.boxes[rivals])[0]
    over = np.flatnonzero(overlaps > limits.iou)
    return int(rivals[over[0]]) if len(over) else None


def _rounded(box: Float[np.ndarray, " 4"]) -> tuple[float, ...]:
    return tuple(round(float(side), 2) for side in box)
