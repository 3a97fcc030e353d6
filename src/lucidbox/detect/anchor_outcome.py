"""What became of an anchor's answer for a class: detected, or which step on the path to detections dropped it.

Every answer to "why was this object not found?" starts from these reasons; callers put them in their own words.
"""

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from lucidbox.core.boxes import pairwise_iou
from lucidbox.detect.nms import Candidates, Limits, select, suppress
from lucidbox.detect.predictor import RawPrediction


class Reason(Enum):
    """What became of an anchor's answer for a class."""

    DETECTED = auto()
    SCORE = auto()
    """Its score is not above the confidence threshold."""
    CLASS = auto()
    """Its class is not among those asked for."""
    OTHER_CLASS = auto()
    """Another class scores higher at the anchor."""
    SUPPRESSED = auto()
    """A better box overlaps it."""
    CANDIDATES = auto()
    """As many candidates as are allowed score higher."""
    MAX_DET = auto()
    """As many detections as are allowed score higher."""


@dataclass(frozen=True)
class AnchorOutcome:
    """What became of an anchor's answer.

    Attributes:
        reason: the first of :class:`Reason` that applies.
        suppressor: row, in :attr:`Kept.detections`, of the box that suppressed it; None for other reasons.
    """

    reason: Reason
    suppressor: int | None = None


@dataclass(frozen=True, eq=False)
class Kept:
    """What the limits make of an answer.

    Attributes:
        raw: the network's own answer.
        limits: what counts as a detection.
        candidates: what enters suppression, best first.
        detections: what is left of it, best first.
    """

    raw: RawPrediction
    limits: Limits
    candidates: Candidates
    detections: Candidates

    def outcome(self, anchor: int, class_id: int) -> AnchorOutcome:
        """What became of an anchor's answer for a class."""
        scores, limits = self.raw.scores[anchor], self.limits
        if _holds(self.detections, anchor, class_id):
            return AnchorOutcome(Reason.DETECTED)
        if scores[class_id] <= limits.conf:
            return AnchorOutcome(Reason.SCORE)
        if limits.classes is not None and class_id not in limits.classes:
            return AnchorOutcome(Reason.CLASS)
        if not limits.several_labels and int(scores.argmax()) != class_id:
            return AnchorOutcome(Reason.OTHER_CLASS)
        boxes = self.raw.boxes
        over = pairwise_iou(boxes[anchor][None], boxes[self.detections.anchors])[0] > limits.iou
        rivals = np.flatnonzero(over & (limits.agnostic | (self.detections.classes == class_id)))
        if len(rivals):
            return AnchorOutcome(Reason.SUPPRESSED, int(rivals[0]))
        return AnchorOutcome(Reason.MAX_DET if _holds(self.candidates, anchor, class_id) else Reason.CANDIDATES)


def kept_of(raw: RawPrediction, limits: Limits) -> Kept:
    """Selects and suppresses, and keeps what is needed to say what became of each anchor.

    Example:
        >>> kept_of(raw, Limits()).outcome(anchor=17, class_id=0).reason
    """
    candidates = select(raw.scores, limits)
    boxes = raw.boxes[candidates.anchors]
    rows = suppress(boxes, candidates.scores, candidates.classes, limits.iou, limits.max_det, limits.agnostic)
    return Kept(raw, limits, candidates, candidates[rows])


def _holds(candidates: Candidates, anchor: int, class_id: int) -> bool:
    return bool(((candidates.anchors == anchor) & (candidates.classes == class_id)).any())
