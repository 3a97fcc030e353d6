"""Whether a heat map can be trusted: is it on the object, does the score follow it, what else does it know.

No torch here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.detections import Detections
from lucidbox.detect.predictor import RawPrediction
from lucidbox.explain.targets import to_image, to_input

KNOWS = 0.005
"""How much better than blind maps a map must do to say more than where the box is: less is chance."""


@dataclass(frozen=True)
class Faithfulness:
    """Figures of one map: where the heat is, what the detector makes of it, and what it knows beyond the place.

    Attributes:
        inside: share of the heat that lies inside the box, 0 to 1; 0 for a map without heat.
        area: share of the picture that the box takes up: what ``inside`` would be for heat spread evenly.
        pointing: whether the hottest pixel lies in the box (the pointing game, arXiv 1608.00507).
        deletion: area under the score while the hottest pixels are hidden first; low is good (RISE, arXiv
            1806.07421). The score is what is left of the detection: IoU × probability, over its own at first.
        insertion: area under the score while a blurred picture gets its hottest pixels back first; high is good.
        beyond_place: how much more it gains, insertion minus deletion, than the better of two maps that know the
            box and nothing else, with fills that no method may search with
            (:func:`~lucidbox.explain.curves.beyond_place`).
        randomised: rank correlation with the map of a network with shuffled weights; None where there is none.
            Maps of one detection are alike by their place alone, so this does not decide anything.
    """

    inside: float
    area: float
    pointing: bool
    deletion: float
    insertion: float
    beyond_place: float
    randomised: float | None = None

    @property
    def gained(self) -> float:
        """Insertion minus deletion: the one number by which maps of one detection are compared."""
        return self.insertion - self.deletion

    @property
    def suspicious(self) -> bool:
        """Whether the map says no more than where the box is."""
        return self.beyond_place <= KNOWS

    def sentences(self) -> list[str]:
        """The figures in plain words; the last is the verdict."""
        lines = [
            f"{self.inside:.0%} of the heat is in the box ({self.area:.0%} of the picture)",
            f"its hottest point is {'in' if self.pointing else 'outside'} the box",
            f"hiding hot pixels first leaves {self.deletion:.0%} of the score on average (low is good)",
            f"showing hot pixels first gives {self.insertion:.0%} of it back on average (high is good)",
        ]
        beyond = f"{100 * self.beyond_place:+.1f} points"
        if self.beyond_place > KNOWS:
            verdict = (
                f"it says more than where the box is: a map that only knows that does worse ({beyond} for this)"
            )
        elif self.beyond_place > -KNOWS:
            verdict = f"it says where the box is, and no more: a map that only knows that does as well ({beyond})"
        else:
            verdict = f"a map that only knows where the box is does better ({beyond} for this)"
        return [*lines, verdict]


def figures(
    raw: RawPrediction,
    detection: Detections,
    heat: Float[np.ndarray, "h w"],
    areas: tuple[float, float],
    beyond: float,
    control: Float[np.ndarray, "h2 w2"] | None = None,
) -> Faithfulness:
    """All figures of one map.

    Args:
        raw: the network's answer for the image.
        detection: the one box that is explained, in the picture's own pixels.
        heat: its map of the network's input, at any resolution.
        areas: under its deletion and insertion curves.
        beyond: what it gains beyond the better blind map.
        control: the map of a network with shuffled weights, or None.
    """
    own, box = to_image(heat, raw.letterbox), detection.boxes[0].tolist()
    return Faithfulness(
        inside=share_inside(own, box),
        area=(box[2] - box[0]) * (box[3] - box[1]) / own.size,
        pointing=points_inside(own, box),
        deletion=areas[0],
        insertion=areas[1],
        beyond_place=beyond,
        randomised=None if control is None else likeness(to_input(heat, raw), to_input(control, raw)),
    )


def share_inside(heat: Float[np.ndarray, "h w"], box: Sequence[float]) -> float:
    """Share of the heat inside a box (xyxy, same pixels); pixels cut by its border count in part."""
    total = float(heat.sum(dtype=np.float64))
    rows, columns = _cover(box[1], box[3], heat.shape[0]), _cover(box[0], box[2], heat.shape[1])
    return float(rows @ heat.astype(np.float64) @ columns) / total if total > 0 else 0.0


def points_inside(heat: Float[np.ndarray, "h w"], box: Sequence[float]) -> bool:
    """Whether the centre of the hottest pixel lies in the box; a map without heat points nowhere."""
    y, x = divmod(int(heat.argmax()), heat.shape[1])
    inside = box[0] <= x + 0.5 <= box[2] and box[1] <= y + 0.5 <= box[3]
    return bool(heat[y, x] > 0) and inside


def likeness(first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"]) -> float:
    """Spearman's rank correlation of two maps, in blocks of about a 32nd of the longer side.

    Equal values share a rank. Two maps without any heat are the same; one alone is like no other.
    """
    if first.max() <= 0 or second.max() <= 0:
        return 1.0 if first.max() <= 0 and second.max() <= 0 else 0.0
    height, width = first.shape
    scale = min(1.0, 32 / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ranked = []
    for heat in (first, second):
        small = cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_AREA).ravel()
        _, positions, counts = np.unique(small, return_inverse=True, return_counts=True)
        ranked.append((np.cumsum(counts) - counts / 2)[positions])
    spreads = [ranks.std() for ranks in ranked]
    if min(spreads) == 0:
        return 1.0 if max(spreads) == 0 else 0.0
    return float(np.corrcoef(ranked[0], ranked[1])[0, 1])


def map_overlap(first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"]) -> float:
    """How much of their heat two maps share, 0 to 1: the sum of the lesser of both, each map summing to 1."""
    sums = float(first.sum(dtype=np.float64)), float(second.sum(dtype=np.float64))
    if min(sums) <= 0:
        return 0.0
    return float(np.minimum(first / sums[0], second / sums[1]).sum())


def _cover(start: float, end: float, length: int) -> Float[np.ndarray, " k"]:
    """How much of each pixel of a row lies between two coordinates."""
    places = np.arange(length, dtype=np.float64)
    covered: Float[np.ndarray, " k"] = np.clip(np.minimum(end, places + 1) - np.maximum(start, places), 0, 1)
    return covered
