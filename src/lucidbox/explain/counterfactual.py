"""What would have to be different for a missed object to be found: what hidden, or looked at how much larger.

No torch here; the detector itself is asked about changed pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.boxes import pairwise_iou
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.explain.curves import SHARES, ranks_of
from lucidbox.explain.fills import USUAL, fill_of
from lucidbox.explain.near_anchors import FITTING
from lucidbox.explain.targets import to_image, to_input

ENLARGED = (2.0, 3.0)
"""How many times larger the surroundings of the place are looked at."""

_AROUND = 3.0
"""Sides of the surroundings, at the least enlargement, over the place's."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """What was tried, and whether the object is found then.

    Attributes:
        limit: score above which it would be found.
        score: as the picture is.
        best: the highest score with part of the picture hidden.
        hidden: share of the picture that is hidden for it: the least that is enough, if ``best`` is.
        picture: the picture with that part hidden.
        enlarged: score by how many times larger its surroundings are looked at.
    """

    limit: float
    score: float
    best: float
    hidden: float
    picture: UInt8[np.ndarray, "h w 3"]
    enlarged: dict[float, float]

    def sentences(self) -> list[str]:
        """In plain words, with figures."""
        if self.best > self.limit:
            how = f"it is found ({self.best:.2f}) with {self.hidden:.0%} of the picture blurred"
            hiding = f"{how}: what stays in sight is drawn"
        else:
            hiding = f"hiding does not help: at best its score is {self.best:.2f}, with {self.hidden:.0%} blurred"
        lines = [hiding]
        for times, score in self.enlarged.items():
            found = "it is found; --tiles looks at pictures so" if score > self.limit else "it is not found"
            lines.append(f"{times:g} times as large, {found} ({score:.2f})")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "limit": self.limit,
            "score": float(f"{self.score:.4g}"),
            "best": float(f"{self.best:.4g}"),
            "hidden": round(self.hidden, 4),
            "enlarged": {f"{times:g}": float(f"{score:.4g}") for times, score in self.enlarged.items()},
        }


def counterfactual(
    predictor: Predictor,
    raw: RawPrediction,
    heat: Float[np.ndarray, "h w"],
    place: Sequence[float],
    class_id: int,
) -> Counterfactual:
    """Hide what comes last in a map, share by share; then look at the place larger.

    Args:
        predictor: the detector's.
        raw: its answer for the picture.
        heat: a map that orders the whole input, of what was missed.
        place: where it should have been found, xyxy, pixels of the picture.
        class_id: as what.
    """
    limit = predictor.limits.conf
    hide = fill_of(USUAL.show, raw.pixels)
    ranks = ranks_of(to_input(heat, raw), ordered=True)
    shares = SHARES[1:-1][::-1]
    scores = []
    for share in shares:
        (boxes,), (found,) = predictor.engine(hide(ranks >= share)[None])
        scores.append(_score_at(raw.letterbox.restore(boxes), found[:, class_id], place))
    enough = [index for index, score in enumerate(scores) if score > limit]
    chosen = enough[0] if enough else int(np.argmax(scores))
    seen = to_image((ranks < shares[chosen]).astype(np.float32), raw.letterbox) > 0.5
    return Counterfactual(
        limit=limit,
        score=_score_at(raw.letterbox.restore(raw.boxes), raw.scores[:, class_id], place),
        best=scores[chosen],
        hidden=1 - float(seen.mean()),
        picture=fill_of(USUAL.show, raw.image)(~seen),
        enlarged={times: _enlarged(predictor, raw, place, class_id, times) for times in ENLARGED},
    )


def _enlarged(
    predictor: Predictor, raw: RawPrediction, place: Sequence[float], class_id: int, times: float
) -> float:
    """The score at a place in a part of the picture that the network sees ``times`` as large."""
    height, width = raw.image.shape[:2]
    sides = []
    for low, high, length in ((place[1], place[3], height), (place[0], place[2], width)):
        # Never less than what lies around the object; the enlargement then is a little less.
        side = min(length, max(length / times, (high - low) * _AROUND / times, high - low))
        start = min(max((low + high - side) / 2, 0), length - side)
        sides.append((int(start), int(np.ceil(start + side))))
    (top, bottom), (left, right) = sides
    (part,) = predictor.infer([np.ascontiguousarray(raw.image[top:bottom, left:right])])
    moved = [place[0] - left, place[1] - top, place[2] - left, place[3] - top]
    return _score_at(part.letterbox.restore(part.boxes), part.scores[:, class_id], moved)


def _score_at(boxes: Float[np.ndarray, "a 4"], scores: Float[np.ndarray, " a"], place: Sequence[float]) -> float:
    """The highest score of a box that fits a place; all in pixels of one image."""
    fits = pairwise_iou(np.array([place], np.float64), boxes.astype(np.float64))[0] >= FITTING
    return float(scores[fits].max(initial=0))
