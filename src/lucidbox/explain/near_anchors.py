"""Why an object was not found: the anchors nearest to a place, and what became of each. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.anchor_outcome import AnchorOutcome, Kept, Reason, kept_of
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import RawPrediction

NEAREST = 5
"""Number of nearest anchors to report."""

FITTING = 0.5
"""IoU with the place from which an anchor's box may be meant for the object there."""


@dataclass(frozen=True)
class Near:
    """An anchor whose box is near the place asked about.

    Attributes:
        anchor: its index.
        score: probability of the class asked about.
        box: its box, xyxy, pixels of the image.
        iou: of its box with the place.
        best: the class of its highest score.
        best_score: that score.
        fate: what became of it, in words.
        suppressor: the box that suppressed it, xyxy, pixels of the image, or None.
    """

    anchor: int
    score: float
    box: tuple[float, ...]
    iou: float
    best: str
    best_score: float
    fate: str
    suppressor: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "anchor": self.anchor,
            "score": float(f"{self.score:.4g}"),
            "box": [round(side, 2) for side in self.box],
            "iou": round(self.iou, 4),
            "best": self.best,
            "best_score": float(f"{self.best_score:.4g}"),
            "fate": self.fate,
            "suppressor": None if self.suppressor is None else [round(side, 2) for side in self.suppressor],
        }


def near_anchors(
    raw: RawPrediction,
    names: Sequence[str],
    place: Sequence[float],
    class_id: int,
    limits: Limits,
    count: int = NEAREST,
) -> list[Near]:
    """The anchors that came nearest to finding an object, by score × IoU; first those that fit the place.

    Those that fit come first so that a sure neighbour, whose box reaches into the place, does not hide the anchors
    that saw the object.

    Args:
        raw: the network's answer for the image.
        names: class names, by class id.
        place: xyxy, pixels of the image.
        class_id: the class that should have been found there.
        limits: with which detections are made.
        count: how many.

    Raises:
        OptionError: the place is no box, or lies outside the image.
    """
    _check_place(place, raw.letterbox.original)
    boxes = raw.letterbox.restore(raw.boxes).astype(np.float64)
    overlaps = pairwise_iou(np.array([place], np.float64), boxes)[0]
    nearness = overlaps * raw.scores[:, class_id].astype(np.float64)
    kept = kept_of(raw, limits)
    nearest = []
    # Scores may be exactly 0 in bfloat16: then the better overlap is nearer.
    for anchor in np.lexsort((-overlaps, -nearness, overlaps < FITTING))[:count].tolist():
        best = int(raw.scores[anchor].argmax())
        outcome = kept.outcome(anchor, class_id)
        row = outcome.suppressor
        nearest.append(
            Near(
                anchor,
                float(raw.scores[anchor, class_id]),
                tuple(boxes[anchor].tolist()),
                float(overlaps[anchor]),
                names[best],
                float(raw.scores[anchor, best]),
                _in_words(kept, outcome, anchor, class_id, names),
                None if row is None else tuple(boxes[kept.detections.anchors[row]].tolist()),
            )
        )
    return nearest


def as_detection(near: Near, class_id: int, names: Sequence[str]) -> Detections:
    """An anchor's box as the detection of a class that it would have been; in pixels of the image."""
    box, score = np.array([near.box], np.float32), np.array([near.score], np.float32)
    return Detections(box, score, np.array([class_id]), tuple(names))


def _check_place(place: Sequence[float], size: tuple[int, int]) -> None:
    """Refuse what is no box, or outside of an image of this height and width."""
    left, top, right, bottom = place
    text = ",".join(f"{side:g}" for side in place)
    if not (np.isfinite(place).all() and left < right and top < bottom):
        raise OptionError(f"--at {text}: give left,top,right,bottom with left < right and top < bottom")
    if right <= 0 or bottom <= 0 or left >= size[1] or top >= size[0]:
        raise OptionError(f"--at {text} lies outside the picture, which is {size[1]}×{size[0]} pixels")


def _in_words(kept: Kept, outcome: AnchorOutcome, anchor: int, class_id: int, names: Sequence[str]) -> str:
    """What became of an anchor's answer, with the numbers that decided it."""
    scores, limits = kept.raw.scores[anchor], kept.limits
    if outcome.suppressor is not None:
        score = float(kept.detections.scores[outcome.suppressor])
        return f"suppressed by a box that overlaps it and scores {score:.3f}"
    words = {
        Reason.DETECTED: "detected",
        Reason.SCORE: f"score {spelled(float(scores[class_id]))} is not above {limits.conf:g}",
        Reason.CLASS: "its class is not among those asked for",
        Reason.OTHER_CLASS: f"answered as {names[int(scores.argmax())]}, whose score {scores.max():.3f} is higher",
        Reason.CANDIDATES: f"not among the {limits.candidates} candidates of highest score",
        Reason.MAX_DET: f"beyond the best {limits.max_det} boxes",
    }
    return words[outcome.reason]


def spelled(score: float) -> str:
    """A score in three decimals, or, where these would all be 0, by its power of ten."""
    return f"{score:.3f}" if score >= 0.0005 else f"{score:.0e}"
