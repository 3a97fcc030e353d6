"""Why an object was not found: the anchors nearest to a place, and what became of each. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.errors import OptionError
from lucidbox.detect.nms import Limits, select, suppress
from lucidbox.explain.scene import Scene

NEAREST = 5
"""Anchors told of."""

FITTING = 0.5
"""IoU with the place from which an anchor's box may be meant for the object there."""


@dataclass(frozen=True)
class Near:
    """An anchor whose box is near the place asked about.

    Attributes:
        anchor: its index.
        score: probability of the class asked about.
        box: its box, xyxy, pixels of the picture.
        iou: of its box with the place.
        best: the class of its highest score.
        best_score: that score.
        fate: what became of it, in words.
        suppressor: the box that suppressed it, xyxy, pixels of the picture, or None.
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
    scene: Scene, place: Sequence[float], class_id: int, limits: Limits, count: int = NEAREST
) -> list[Near]:
    """The anchors that came nearest to finding an object, by score × IoU; first those that fit the place.

    So that a sure neighbour, whose box reaches into the place, does not hide the anchors that saw the object.

    Args:
        scene: the picture.
        place: xyxy, pixels of the picture.
        class_id: the class that should have been found there.
        limits: with which detections are made.
        count: how many.

    Raises:
        OptionError: the place is no box, or lies outside the picture.
    """
    height, width = scene.frame.original
    left, top, right, bottom = place
    if not (np.isfinite(place).all() and left < right and top < bottom):
        raise OptionError(f"--at {_text(place)}: give left,top,right,bottom with left < right and top < bottom")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise OptionError(f"--at {_text(place)} lies outside the picture, which is {width}×{height} pixels")
    boxes = scene.frame.restore(scene.boxes).astype(np.float64)
    overlaps = pairwise_iou(np.array([place], np.float64), boxes)[0]
    nearness = overlaps * scene.scores[:, class_id].astype(np.float64)
    found = select(scene.scores, limits)
    kept = found[
        suppress(scene.boxes[found.anchors], found.scores, found.classes, limits.iou, None, limits.agnostic)
    ]
    ranks = {(int(a), int(c)): rank for rank, (a, c) in enumerate(zip(kept.anchors, kept.classes, strict=True))}
    nearest = []
    # Scores may be exactly 0 in bfloat16: then the better overlap is nearer.
    for anchor in np.lexsort((-overlaps, -nearness, overlaps < FITTING))[:count].tolist():
        best = int(scene.scores[anchor].argmax())
        rivals = kept.anchors if limits.agnostic else kept.anchors[kept.classes == class_id]
        fate, suppressor = _fate(scene, anchor, class_id, ranks.get((anchor, class_id)), rivals, limits)
        nearest.append(
            Near(
                anchor,
                float(scene.scores[anchor, class_id]),
                tuple(boxes[anchor].tolist()),
                float(overlaps[anchor]),
                scene.detector.names[best],
                float(scene.scores[anchor, best]),
                fate,
                None if suppressor is None else tuple(boxes[suppressor].tolist()),
            )
        )
    return nearest


def _fate(
    scene: Scene, anchor: int, class_id: int, rank: int | None, rivals: Sequence[int] | np.ndarray, limits: Limits
) -> tuple[str, int | None]:
    """What became of an anchor's box, and the anchor that suppressed it."""
    scores, names = scene.scores[anchor], scene.detector.names
    if rank is not None:
        return ("detected", None) if rank < limits.max_det else (f"beyond the best {limits.max_det} boxes", None)
    if scores[class_id] <= limits.conf:
        return f"score {spelled(float(scores[class_id]))} is not above {limits.conf:g}", None
    if limits.classes is not None and class_id not in limits.classes:
        return "its class is not among those asked for", None
    if int(scores.argmax()) != class_id:
        return f"answered as {names[int(scores.argmax())]}, whose score {scores.max():.3f} is higher", None
    over = np.flatnonzero(pairwise_iou(scene.boxes[anchor][None], scene.boxes[rivals])[0] > limits.iou)
    if len(over) == 0:
        return f"not among the {limits.candidates} candidates of highest score", None
    rival = int(np.asarray(rivals)[over[0]])
    score = float(scene.scores[rival].max() if limits.agnostic else scene.scores[rival, class_id])
    return f"suppressed by a box that overlaps it and scores {score:.3f}", rival


def spelled(score: float) -> str:
    """A score in three decimals, or, where these would all be 0, by its power of ten."""
    return f"{score:.3f}" if score >= 0.0005 else f"{score:.0e}"


def _text(place: Sequence[float] | Float[np.ndarray, " 4"]) -> str:
    return ",".join(f"{side:g}" for side in place)
