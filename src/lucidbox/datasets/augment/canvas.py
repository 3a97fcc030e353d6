"""Images on a canvas, mapped to the network's input in one interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.datasets.augment.geometry import Affine, Rectangle, clip_boxes, kept, move_boxes
from lucidbox.datasets.augment.sample import Sample
from lucidbox.detect.letterbox import PADDING, Letterbox, fit


@dataclass(frozen=True, eq=False)
class Tile:
    """An image's place on the canvas, in whole pixels.

    Attributes:
        sample: the image, at the size it has on the canvas.
        left, top: where its corner goes.
        bounds: what it may cover; the rest is cut off.
    """

    sample: Sample
    left: int
    top: int
    bounds: Rectangle

    @property
    def visible(self) -> Rectangle:
        """The part of the canvas that it covers."""
        height, width = self.sample.image.shape[:2]
        return intersection((self.left, self.top, self.left + width, self.top + height), self.bounds)


def intersection(first: Rectangle, second: Rectangle) -> Rectangle:
    """What two rectangles have in common; right is not above left, or bottom not above top, where nothing is."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    return left, top, min(first[2], second[2]), min(first[3], second[3])


def fitted(sample: Sample, size: int) -> Sample:
    """The image resized so that its longer side is ``size``, the letterbox's way; boxes that are numbers."""
    finite = np.isfinite(sample.boxes).all(axis=1)
    if not finite.all():
        sample = Sample(sample.image, sample.boxes[finite], sample.classes[finite])
    height, width = sample.image.shape[:2]
    resized = fit((height, width), (size, size), square=True).resized
    if resized == (height, width):
        return sample
    frame = Letterbox((height, width), resized, left=0, top=0, right=0, bottom=0)
    vertical, horizontal = frame.gain
    gains = np.array([horizontal, vertical, horizontal, vertical], np.float32)
    return Sample(frame.apply(sample.image), sample.boxes * gains, sample.classes)


def letterboxed(sample: Sample, size: int) -> Tile:
    """A fitted image in the middle of a canvas of ``size``, where the network's letterbox puts it."""
    height, width = sample.image.shape[:2]
    frame = fit((height, width), (size, size), square=True)
    return Tile(sample, frame.left, frame.top, (0, 0, size, size))


def compose(tiles: Sequence[Tile], affine: Affine, size: int) -> Sample:
    """The canvas with these tiles on grey 114, mapped to the network's input, and the boxes worth keeping.

    Boxes are cut to the visible part of their tile, mapped, cut to the output, and kept by the published rule.

    Args:
        tiles: in any order: they do not overlap.
        affine: from the canvas to the output.
        size: side of the square output, pixels.
    """
    image = affine.apply(_drawn(tiles, affine.window), size)
    shifts = [np.array([tile.left, tile.top, tile.left, tile.top], np.float64) for tile in tiles]
    placed = [
        clip_boxes(tile.sample.boxes + shift, tile.visible) for tile, shift in zip(tiles, shifts, strict=True)
    ]
    boxes = np.concatenate([np.zeros((0, 4)), *placed])
    moved = clip_boxes(move_boxes(boxes, affine), (0, 0, size, size))
    chosen = kept(boxes * affine.scale, moved)
    classes = np.concatenate([np.zeros(0, np.int64), *(tile.sample.classes for tile in tiles)])
    return Sample(image, moved[chosen].astype(np.float32), classes[chosen])


def _drawn(tiles: Sequence[Tile], window: Rectangle) -> UInt8[np.ndarray, "h w 3"]:
    """The window of the canvas; no pixel outside it is touched."""
    x, y, right, bottom = window
    pixels = np.full((bottom - y, right - x, 3), PADDING, np.uint8)
    for tile in tiles:
        left, top, right, bottom = intersection(tile.visible, window)
        if left < right and top < bottom:
            source = tile.sample.image[top - tile.top : bottom - tile.top, left - tile.left : right - tile.left]
            pixels[top - y : bottom - y, left - x : right - x] = source
    return pixels
