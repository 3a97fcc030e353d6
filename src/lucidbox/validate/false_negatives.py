"""Why an annotated object was not found: its best anchor, that anchor's score and box, and what suppressed it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.boxes import pairwise_iou, xywh_to_xyxy
from lucidbox.core.errors import OptionError
from lucidbox.detect.anchor_outcome import Reason, kept_of
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import RawPrediction
from lucidbox.evaluate.categories import map_classes
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.operating import found_objects
from lucidbox.validate.inference import LIMITS

THRESHOLD = 0.5
"""IoU from which a box counts as being on an object."""

REASONS = {
    "localisation": "no anchor's box reaches IoU 0.5 with it",
    "score": "the best anchor's score is not above the confidence threshold",
    "suppressed": "a better box of its class overlaps the best anchor's",
    "crowded out": "as many detections of the picture as are allowed, or candidates, score higher",
    "taken": "the best anchor's detection was kept, and matched another object or was out of the counted ones",
    "no class": "the model does not have its class",
    "unread": "its picture could not be read",
}


_REASONS_OF = {
    Reason.DETECTED: "taken",
    Reason.SCORE: "score",
    Reason.CLASS: "crowded out",
    Reason.OTHER_CLASS: "crowded out",
    Reason.SUPPRESSED: "suppressed",
    Reason.CANDIDATES: "crowded out",
    Reason.MAX_DET: "crowded out",
}
"""What became of the best anchor's answer, as a key of :data:`REASONS`."""


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
            0.5 with it, or, if none does, the one of highest IoU. None where nothing was asked of the network.
        iou: of the best anchor's box with it, or None.
        anchor_box: the best anchor's box, xyxy, pixels of the picture, or None.
        suppressor: the kept box that suppressed the best anchor's, xyxy, or None.
        suppressor_score: its score, or None.
    """

    image_id: int
    annotation_id: int
    label: str
    box: tuple[float, ...]
    reason: str
    score: float | None = None
    iou: float | None = None
    anchor_box: tuple[float, ...] | None = None
    suppressor: tuple[float, ...] | None = None
    suppressor_score: float | None = None


def missed_rows(matching: Matching) -> list[int]:
    """Rows of the truth that count, at all sizes, and that nothing was matched with at IoU 0.5.

    Raises:
        OptionError: the protocol does not measure IoU 0.5.
    """
    if THRESHOLD not in matching.protocol.iou_thresholds:
        raise OptionError(f"what was missed is asked at IoU {THRESHOLD}, which is not among the IoU thresholds")
    found = found_objects(matching, matching.protocol.iou_thresholds.index(THRESHOLD))
    return sorted(matching.objects.rows[~found & ~matching.objects.ignored[0]].tolist())


def untraced(matching: Matching, row: int, reason: str) -> Missed:
    """A missed truth for which there is no network's answer to look at."""
    truth = matching.truth
    return Missed(
        int(truth.image_ids[truth.images[row]]),
        int(truth.annotation_ids[row]),
        truth.category_names[truth.categories[row]],
        _rounded(xywh_to_xyxy(truth.boxes_xywh[row : row + 1])[0]),
        reason,
    )


def explain_missed(
    matching: Matching, rows: Sequence[int], raw: RawPrediction, names: Sequence[str], limits: Limits = LIMITS
) -> list[Missed]:
    """Trace the missed truths of one image through the network's answer.

    Args:
        matching: what was matched.
        rows: rows of ``matching.truth``, all of the answer's image.
        raw: the network's own answer for it.
        names: the model's class names.
        limits: with which detections were made.
    """
    truth = matching.truth
    classes = map_classes(names, truth).categories
    boxes = raw.letterbox.restore(raw.boxes).astype(np.float64)
    kept = kept_of(raw, limits)
    traced = []
    for row in rows:
        same_class = np.flatnonzero(classes == truth.categories[row])
        if not len(same_class):
            traced.append(untraced(matching, row, "no class"))
            continue
        class_id = int(same_class[0])
        overlaps = pairwise_iou(xywh_to_xyxy(truth.boxes_xywh[row : row + 1]), boxes)[0]
        anchor = _best_anchor(overlaps, raw.scores[:, class_id])
        outcome = kept.outcome(anchor, class_id) if overlaps[anchor] >= THRESHOLD else None
        suppressor = outcome.suppressor if outcome else None
        detections = kept.detections
        traced.append(
            replace(
                untraced(matching, row, _REASONS_OF[outcome.reason] if outcome else "localisation"),
                score=round(float(raw.scores[anchor, class_id]), 5),
                iou=round(float(overlaps[anchor]), 4),
                anchor_box=_rounded(boxes[anchor]),
                suppressor=None if suppressor is None else _rounded(boxes[detections.anchors[suppressor]]),
                suppressor_score=None if suppressor is None else round(float(detections.scores[suppressor]), 5),
            )
        )
    return traced


def _best_anchor(overlaps: Float[np.ndarray, " a"], scores: Float[np.ndarray, " a"]) -> int:
    """The best score among anchors on the object, or else the anchor nearest to being on it."""
    on_it = overlaps >= THRESHOLD
    return int(np.where(on_it, scores, -1).argmax()) if on_it.any() else int(overlaps.argmax())


def _rounded(box: Float[np.ndarray, " 4"]) -> tuple[float, ...]:
    return tuple(round(float(side), 2) for side in box)
