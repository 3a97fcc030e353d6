"""Whether a heat map can be trusted: is it on the object, does the score follow it, does it follow the weights.

Arrays and an engine go in, numbers come out; no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lucidbox.engines import Engine
from lucidbox.explain.drise import left_of
from lucidbox.explain.scene import Target
from lucidbox.letterbox import PADDING
from lucidbox.shapes import Float, Float32, UInt8

STEPS = 12
"""Steps of the deletion and insertion curves."""

SAME = 0.8
"""Rank correlation with the map of shuffled weights from which a map is flagged."""

COLD = 0.01
"""Share of the largest heat below which a pixel counts as without heat in the curves."""

BATCH = 4
"""Changed pictures that share one inference."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Faithfulness:
    """Figures of one map. The first two say where the heat is, the next two what the network makes of it.

    Attributes:
        inside: share of the heat that lies inside the box, 0 to 1; 0 for a map without heat.
        area: share of the picture that the box takes up: what ``inside`` would be for heat spread evenly.
        pointing: whether the hottest pixel lies in the box (the pointing game, arXiv 1608.00507).
        deletion: area under the score while the hottest pixels are hidden first; low is good (RISE, arXiv
            1806.07421). The score is what is left of the detection: IoU × probability, over its own at first.
        insertion: area under the score while a blurred picture gets its hottest pixels back first; high is good.
        randomised: rank correlation with the map of a network with shuffled weights; None where there is no
            network to shuffle. Near 1 the map does not show what the network has learnt.
    """

    inside: float
    area: float
    pointing: bool
    deletion: float
    insertion: float
    randomised: float | None = None

    @property
    def gained(self) -> float:
        """Insertion minus deletion: the one number by which maps of one detection are compared."""
        return self.insertion - self.deletion

    @property
    def suspicious(self) -> bool:
        """Whether the map stays the same when the weights are random."""
        return self.randomised is not None and self.randomised > SAME

    def sentences(self) -> list[str]:
        """The figures in plain words."""
        lines = [
            f"{self.inside:.0%} of the heat is in the box ({self.area:.0%} of the picture)",
            f"its hottest point is {'in' if self.pointing else 'outside'} the box",
            f"hiding hot pixels first leaves {self.deletion:.0%} of the score on average (low is good)",
            f"showing hot pixels first gives {self.insertion:.0%} of it back on average (high is good)",
        ]
        if self.randomised is None:
            return [*lines, "not compared with random weights: this method sees no weights"]
        if self.suspicious:
            return [*lines, f"do not trust it: with random weights it looks the same ({self.randomised:.2f})"]
        return [*lines, f"with random weights it looks different (likeness {self.randomised:.2f})"]


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


def curves(
    engine: Engine,
    pixels: UInt8[np.ndarray, "h w 3"],
    heat: Float[np.ndarray, "h w"],
    target: Target,
    steps: int = STEPS,
) -> tuple[float, float]:
    """Areas under the deletion and the insertion curve, over the share of pixels changed.

    Shares grow quadratically: a box is a small part of the picture, and most happens within it. Pixels
    without heat follow by their distance to those with heat; what is still equal, in a fixed random order.

    Args:
        engine: any.
        pixels: the network's input.
        heat: at the same size.
        target: the detection.
        steps: of each curve, one inference each.

    Returns:
        Deletion and insertion; scores are divided by that of the unchanged picture.
    """
    shares = (np.arange(steps + 1) / steps) ** 2
    ranks = _ranks(heat)
    hidden = np.full_like(pixels, PADDING)
    # A third of an object's usual size: no outline is left, the light is.
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) / 32)
    changed = [np.where(ranks < share, hidden, pixels) for share in shares]
    changed += [np.where(ranks < share, pixels, blurred) for share in shares[:-1]]
    scores: list[float] = []
    for start in range(0, len(changed), BATCH):
        predicted = engine(np.stack(changed[start : start + BATCH]))
        scores += [
            float(left_of(b, s, [target])[0]) for b, s in zip(predicted.boxes, predicted.scores, strict=True)
        ]
    unchanged = max(scores[0], 1e-6)
    deleted, inserted = np.array(scores[: steps + 1]), np.array([*scores[steps + 1 :], scores[0]])
    return float(np.trapezoid(deleted, shares) / unchanged), float(np.trapezoid(inserted, shares) / unchanged)


def centred_gaussian(height: int, width: int, box: Sequence[float]) -> Float32[np.ndarray, "h w"]:
    """The map that knows the box and nothing else: a Gaussian about its centre, a quarter of its sides wide."""
    y = (np.arange(height) + 0.5 - (box[1] + box[3]) / 2) / max((box[3] - box[1]) / 4, 0.5)
    x = (np.arange(width) + 0.5 - (box[0] + box[2]) / 2) / max((box[2] - box[0]) / 4, 0.5)
    heat: Float32[np.ndarray, "h w"] = np.exp(-0.5 * (y[:, None] ** 2 + x**2)).astype(np.float32)
    return heat


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


def overlap(first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"]) -> float:
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


def _ranks(heat: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 1"]:
    """Each pixel's place from hottest, 0, to coldest, below 1.

    Pixels of less than :data:`COLD` of the largest heat have no order of their own to speak of: those
    nearest to warm ones come first.
    """
    warm = heat > COLD * max(float(heat.max()), float(np.finfo(np.float32).tiny))
    away = cv2.distanceTransform((~warm).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if not warm.any():  # no distance to nothing
        away = np.zeros_like(away)
    key = np.where(warm, -heat.astype(np.float64), away.astype(np.float64)).ravel()
    shuffle = np.random.default_rng(0).permutation(key.size)
    order = shuffle[np.argsort(key[shuffle], kind="stable")]
    ranks = np.empty(key.size)
    ranks[order] = np.arange(key.size) / key.size
    return ranks.reshape(*heat.shape, 1)
