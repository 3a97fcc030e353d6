"""D-RISE (Petsiuk et al., arXiv 2006.03204): hide random parts of the picture and see what the box needs.

A black box: pixels in, boxes and scores out. Works with every engine and needs no torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lucidbox.core.array_types import Float32, UInt8
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.errors import OptionError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.detect.letterbox import PADDING
from lucidbox.engines import Engine
from lucidbox.explain.targets import Target


@dataclass(frozen=True)
class Masking:
    """How D-RISE hides.

    Attributes:
        masks: how many masks; the map's noise falls with its square root.
        cells: cells of a mask along the picture's longer side.
        shown: probability that a cell is shown.
        batch: masked pictures that share one inference.
        seed: of the random masks: the same seed, the same map.
        progress: shows how many batches are done.

    Raises:
        OptionError: a value is out of range.
    """

    masks: int = 1000
    cells: int = 16
    shown: float = 0.5
    batch: int = 4
    seed: int = 0
    progress: Progress = field(default=no_progress, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("masks", "cells", "batch"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)} is less than 1")
        if not 0 < self.shown < 1:
            raise OptionError(f"shown {self.shown} is not between 0 and 1")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed} is less than 0")


def drise(
    engine: Engine,
    pixels: UInt8[np.ndarray, "h w 3"],
    targets: Sequence[Target],
    masking: Masking = Masking(),
) -> Float32[np.ndarray, "n h w"]:
    """One map for each target; all of them from the same masked pictures.

    A mask's weight is how much of the detection is left under it: the largest IoU × probability of its class
    over all anchors (the paper's similarity; a sigmoid per class stands for its class vector and
    objectness). Weights are taken above their mean, so that what does not matter is 0 and not a constant.

    Args:
        engine: any.
        pixels: the network's input.
        targets: which detections; sides of boxes cannot be told apart this way and are taken as detections.
        masking: how to hide.

    Returns:
        Maps at the input's size, not scaled; no heat is below 0.
    """
    height, width = pixels.shape[:2]
    # One row a target, and a last one for the sum of all masks, by which the mean weight is taken off.
    sums = np.zeros((len(targets) + 1, height, width), np.float32)
    weights = np.zeros(len(targets))
    # Memory taken once: fresh megabytes for every mask would cost as much as drawing it.
    room = np.empty((masking.batch, height, width, 3), np.uint8)
    for masks in masking.progress(_batches(height, width, masking), -(-masking.masks // masking.batch)):
        for place, mask in zip(room, masks, strict=False):
            hide(pixels, mask, place)
        predicted = engine(room[: len(masks)])
        left = [left_of(b, s, targets) for b, s in zip(predicted.boxes, predicted.scores, strict=True)]
        weights += np.sum(left, axis=0)
        for mask, kept in zip(masks, left, strict=True):
            for row, weight in enumerate((*kept.tolist(), 1.0)):
                # Several times as fast as a matrix product, which has too few rows to be worth its name.
                cv2.scaleAdd(mask, weight, sums[row], dst=sums[row])
    heat = sums[:-1] - (weights / masking.masks)[:, None, None].astype(np.float32) * sums[-1]
    positive: Float32[np.ndarray, "n h w"] = np.maximum(heat, 0)
    return positive


def hide(
    pixels: UInt8[np.ndarray, "h w 3"], mask: Float32[np.ndarray, "h w"], into: UInt8[np.ndarray, "h w 3"]
) -> None:
    """Write the picture where the mask is 1, and where it is 0 the letterbox's grey, which means nothing."""
    shown = cv2.convertScaleAbs(mask, alpha=255)
    cv2.multiply(pixels, cv2.merge([shown] * 3), dst=into, scale=1 / 255)
    covered = cv2.convertScaleAbs(255 - shown, alpha=PADDING / 255)
    cv2.add(into, cv2.merge([covered] * 3), dst=into)


def left_of(
    boxes: Float32[np.ndarray, "a 4"], scores: Float32[np.ndarray, "a c"], targets: Sequence[Target]
) -> Float32[np.ndarray, " n"]:
    """How much of each target an answer still holds: its best IoU × probability of its class."""
    wanted = np.array([target.box for target in targets], np.float32)
    left = np.zeros(len(targets), np.float32)
    for class_id in {target.class_id for target in targets}:
        rows = [row for row, target in enumerate(targets) if target.class_id == class_id]
        left[rows] = (pairwise_iou(wanted[rows], boxes) * scores[:, class_id]).max(axis=1)
    return left


def _batches(height: int, width: int, masking: Masking) -> Iterator[Float32[np.ndarray, "b h w"]]:
    """Smooth random masks, 0 to 1: coarse random cells enlarged, at a random place, so that none is special.

    The memory is the same for every batch.
    """
    random = np.random.default_rng(masking.seed)
    cell = max(height, width) / masking.cells
    rows, columns = int(np.ceil(height / cell)), int(np.ceil(width / cell))
    side = int(np.ceil(cell))
    room = np.empty((masking.batch, height, width), np.float32)
    large = np.empty(((rows + 1) * side, (columns + 1) * side), np.float32)
    for start in range(0, masking.masks, masking.batch):
        masks = room[: min(masking.batch, masking.masks - start)]
        for mask in masks:
            coarse = (random.random((rows + 1, columns + 1)) < masking.shown).astype(np.float32)
            cv2.resize(coarse, large.shape[::-1], dst=large, interpolation=cv2.INTER_LINEAR)
            top, left = random.integers(0, side, 2)
            mask[...] = large[top : top + height, left : left + width]
        yield masks
