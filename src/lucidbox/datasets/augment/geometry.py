"""Random affine maps, and what they and flips do to boxes.

Coordinates run along pixel edges, as those of boxes do: the image's first pixel reaches from 0 to 1.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lucidbox.core.array_types import Bool, Float, Float32, UInt8
from lucidbox.core.boxes import areas
from lucidbox.datasets.augment.sample import Sample
from lucidbox.datasets.augment.settings import Augmentation
from lucidbox.detect.letterbox import PADDING

LEAST_SIDE = 2.0
"""Pixels: boxes that are not wider and higher than this after augmentation are dropped."""
LEAST_AREA = 0.1
"""Boxes of which no more than this share is left in the image are dropped."""
MOST_ASPECT = 100.0
"""Boxes whose longer side is at least this many times their shorter one are dropped."""

_LEAST_UPRIGHT_SCALE = 0.25  # below, the window would take much more memory than the canvas

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels; right and bottom are exclusive."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A map from a canvas, such as a mosaic, to the network's input.

    Attributes:
        matrix: from points of the canvas to points of the output.
        scale: how much longer things become, shear aside.
        window: the part of the canvas to be drawn.
        upright: the output is ``window`` resized, no more. Then the window may reach beyond the canvas.
    """

    matrix: Float[np.ndarray, "2 3"]
    scale: float
    window: Rectangle
    upright: bool

    def apply(self, pixels: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
        """The window's pixels as the network's input, a new array; grey 114 where there are none."""
        if self.upright:
            return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
        # OpenCV counts from the centre of the first pixel, not from its edge.
        matrix = self.matrix.copy()
        matrix[:, 2] += self.matrix[:, :2] @ (np.array(self.window[:2]) + 0.5) - 0.5
        grey = (PADDING, PADDING, PADDING)
        warped = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=grey)
        return np.asarray(warped, np.uint8)


def random_affine(rng: np.random.Generator, settings: Augmentation, side: int, size: int) -> Affine:
    """Rotation, scale and shear about the canvas's centre, which is mapped near the output's centre.

    Where nothing is turned, scale and shift are moved to the nearest that show whole pixels of the canvas (by
    half a pixel at most): the warp is then a crop and a resize, several times as fast, and boxes stay exact.

    Args:
        rng: gives six numbers, whatever the settings are.
        settings: the largest changes.
        side: of the square canvas, pixels.
        size: of the square output, pixels.
    """
    angle = math.radians(rng.uniform(-settings.degrees, settings.degrees))
    scale = rng.uniform(1 - settings.scale, 1 + settings.scale)
    shear = np.tan(np.radians(rng.uniform(-settings.shear, settings.shear, 2)))
    centre = rng.uniform(0.5 - settings.translate, 0.5 + settings.translate, 2) * size
    if settings.degrees == settings.shear == 0 and scale >= _LEAST_UPRIGHT_SCALE:
        return _upright(scale, centre, side, size)
    # Counter-clockwise on the screen, whose y axis points down.
    sine, cosine = scale * math.sin(angle), scale * math.cos(angle)
    linear = np.array([[1, shear[0]], [shear[1], 1]]) @ np.array([[cosine, sine], [-sine, cosine]])
    shift = centre - linear @ np.full(2, side / 2)
    return Affine(np.column_stack([linear, shift]), scale, (0, 0, side, side), upright=False)


def _upright(scale: float, centre: Float[np.ndarray, " 2"], side: int, size: int) -> Affine:
    """The map by ``scale`` that takes the canvas's centre to ``centre``, or rather the nearest on whole pixels."""
    seen = max(1, round(size / scale))
    scale = size / seen
    left, top = (round(side / 2 - middle / scale) for middle in centre.tolist())
    matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
    return Affine(matrix, scale, (left, top, left + seen, top + seen), upright=True)


def move_boxes(boxes: Float[np.ndarray, "n 4"], affine: Affine) -> Float[np.ndarray, "n 4"]:
    """The smallest xyxy boxes around the mapped boxes' four corners."""
    matrix = affine.matrix
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] @ matrix[:, :2].T + matrix[:, 2]
    moved: Float[np.ndarray, "n 4"] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return moved


def kept(before: Float[np.ndarray, "n 4"], after: Float[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
    """Which boxes are still useful for training, by the published rule.

    Args:
        before: boxes scaled as the image was, before they were cut to it.
        after: the same ones, moved and cut to the image.
    """
    width, height = (after[:, 2:] - after[:, :2]).T
    large = (width > LEAST_SIDE) & (height > LEAST_SIDE)
    visible = areas(after) > LEAST_AREA * areas(before)
    compact = np.maximum(width, height) < MOST_ASPECT * np.minimum(width, height)
    return np.asarray(large & visible & compact)


def clip_boxes(boxes: Float[np.ndarray, "n 4"], bounds: Rectangle) -> Float[np.ndarray, "n 4"]:
    """Boxes cut to a rectangle; those outside get an area of 0."""
    left, top, right, bottom = bounds
    return np.asarray(np.clip(boxes, (left, top, left, top), (right, bottom, right, bottom)))


def flip_horizontal(sample: Sample) -> Sample:
    """Left and right exchanged."""
    width = sample.image.shape[1]
    boxes: Float32[np.ndarray, "n 4"] = sample.boxes.copy()
    boxes[:, [0, 2]] = width - sample.boxes[:, [2, 0]]
    return Sample(np.asarray(cv2.flip(sample.image, 1), np.uint8), boxes, sample.classes)


def flip_vertical(sample: Sample) -> Sample:
    """Top and bottom exchanged."""
    height = sample.image.shape[0]
    boxes: Float32[np.ndarray, "n 4"] = sample.boxes.copy()
    boxes[:, [1, 3]] = height - sample.boxes[:, [3, 1]]
    return Sample(np.asarray(cv2.flip(sample.image, 0), np.uint8), boxes, sample.classes)
