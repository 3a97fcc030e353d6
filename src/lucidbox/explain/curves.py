"""Deletion and insertion: what is left of a detection while a map's hottest pixels go first, or come back first.

After Petsiuk et al., RISE, arXiv 1806.07421. Arrays and an engine go in, numbers come out; no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32, UInt8
from lucidbox.engines import Engine
from lucidbox.explain.drise import left_of
from lucidbox.explain.fills import USUAL, Fill, Fills, fill_of
from lucidbox.explain.place import as_heat, centred_gaussian, rectangles
from lucidbox.explain.targets import Target

SHARES = (np.arange(13) / 12) ** 2
"""Shares of the pixels at which the curves are known. They grow quadratically: a box is a small part of the
picture, and most happens within it."""

COLD = 0.01
"""Share of the largest heat below which a pixel counts as without heat in the curves."""

_BATCH = 4
"""Changed pictures that share one inference."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture and what stands in for its pixels, with the engine's answers: the ends of all its curves.

    Attributes:
        whole: the network's input.
        hide: hides the hottest pixels, in deletion.
        show: hides all but the hottest pixels, in insertion.
        boxes: xyxy of every anchor in the whole picture, all of it hidden by ``hide``, and by ``show``.
        scores: probability of each class at every anchor in these three.
    """

    whole: UInt8[np.ndarray, "h w 3"]
    hide: Fill
    show: Fill
    boxes: Float32[np.ndarray, "3 a 4"]
    scores: Float32[np.ndarray, "3 a c"]


def canvas_of(engine: Engine, pixels: UInt8[np.ndarray, "h w 3"], fills: Fills = USUAL) -> Canvas:
    """What the curves of every map of one picture share; three inferences.

    Raises:
        OptionError: there is no such fill.
    """
    hide, show = (fill_of(name, pixels) for name in fills)
    everything = np.ones(pixels.shape[:2], bool)
    predicted = engine(np.stack([pixels, hide(everything), show(everything)]))
    # Copies: an engine's arrays live until its next call.
    return Canvas(pixels, hide, show, predicted.boxes.copy(), predicted.scores.copy())


def curves(
    engine: Engine,
    canvas: Canvas,
    heat: Float[np.ndarray, "h w"],
    targets: Sequence[Target],
    ordered: bool = False,
) -> list[tuple[float, float]]:
    """Areas under the deletion and the insertion curve of one map, over the share of pixels changed.

    Pixels without heat follow by their distance to those with heat; what is still equal, in a fixed random order.

    Args:
        engine: any.
        canvas: the picture, by the same engine.
        heat: at the same size.
        targets: detections that have this map: they share its inferences, one for each inner share and curve.
        ordered: all heat is in a meaningful order; otherwise what is below :data:`COLD` counts as without heat.

    Returns:
        Deletion and insertion of each target; scores are divided by that of the unchanged picture.
    """
    ranks = ranks_of(heat, ordered)
    whole, hidden, shown = (left_of(b, s, targets) for b, s in zip(canvas.boxes, canvas.scores, strict=True))
    deletion = [canvas.hide(ranks < share) for share in SHARES[1:-1]]
    insertion = [canvas.show(ranks >= share) for share in SHARES[1:-1]]
    deleted = np.array([whole, *left_in(engine, deletion, targets), hidden], np.float64)
    inserted = np.array([shown, *left_in(engine, insertion, targets), whole], np.float64)
    # Of a score of 0, which bfloat16 may give, no share can be left: the areas are 0.
    unchanged = np.where(deleted[0] > 0, deleted[0], np.inf)
    areas = [np.trapezoid(scores / unchanged, SHARES, axis=0).tolist() for scores in (deleted, inserted)]
    return list(zip(*areas, strict=True))


class Blind(NamedTuple):
    """What maps that only know a target's box gain with fills that no method may search with.

    Attributes:
        canvas: the picture with these fills.
        gain: insertion minus deletion of the better of a Gaussian and rectangles.
    """

    canvas: Canvas
    gain: float


def blind_of(engine: Engine, canvas: Canvas, target: Target) -> Blind:
    """The blind maps of a target; ``canvas`` is the picture by the same engine, with :data:`UNSEEN` fills."""
    height, width = canvas.whole.shape[:2]
    gaussian = curves(engine, canvas, centred_gaussian(height, width, target.box), [target])
    blocks = as_heat(-rectangles(height, width, target.box), target.box)
    areas = (*gaussian, *curves(engine, canvas, blocks, [target], ordered=True))
    return Blind(canvas, max(gained(one) for one in areas))


def beyond_place(
    engine: Engine, blind: Blind, heat: Float[np.ndarray, "h w"], target: Target, ordered: bool
) -> float:
    """How much more a map gains than the better blind one, with the same fills."""
    return gained(curves(engine, blind.canvas, heat, [target], ordered)[0]) - blind.gain


def gained(areas: tuple[float, float]) -> float:
    """Insertion minus deletion."""
    return areas[1] - areas[0]


def left_in(
    engine: Engine, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], targets: Sequence[Target]
) -> list[Float32[np.ndarray, " n"]]:
    """What is left of each target in each picture."""
    left = []
    for start in range(0, len(pictures), _BATCH):
        predicted = engine(np.stack(pictures[start : start + _BATCH]))
        left += [left_of(b, s, targets) for b, s in zip(predicted.boxes, predicted.scores, strict=True)]
    return left


def ranks_of(heat: Float[np.ndarray, "h w"], ordered: bool = False) -> Float[np.ndarray, "h w"]:
    """Each pixel's place from hottest, 0, to coldest, below 1.

    Pixels of less than :data:`COLD` of the largest heat have no meaningful order of their own, unless ``ordered``:
    those nearest to warm ones come first.
    """
    cold = 0 if ordered else COLD
    warm = heat > cold * max(float(heat.max()), float(np.finfo(np.float32).tiny))
    away = cv2.distanceTransform((~warm).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if not warm.any():  # no distance to nothing
        away = np.zeros_like(away)
    key = np.where(warm, -heat.astype(np.float64), away.astype(np.float64)).ravel()
    shuffle = np.random.default_rng(0).permutation(key.size)
    order = shuffle[np.argsort(key[shuffle], kind="stable")]
    ranks = np.empty(key.size)
    ranks[order] = np.arange(key.size) / key.size
    return ranks.reshape(heat.shape)
