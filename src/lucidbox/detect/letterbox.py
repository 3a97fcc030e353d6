"""Fit a picture into the network's input without changing its shape, and map boxes back.

A letterbox is one bilinear resize, then padding with grey 114. Where it goes is decided from sizes alone
(:class:`Letterbox`), so that pictures can be grouped by input shape before any pixel is touched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.errors import OptionError
from lucidbox.model_files.layouts.layout import Placement
from lucidbox.model_files.metadata import LARGEST_SIDE, STRIDE

PADDING = 114  # the grey the published networks were trained with
CENTRED = Placement(padding=PADDING)

Size = tuple[int, int]
"""Height, width in pixels."""


@dataclass(frozen=True)
class Letterbox:
    """Where one picture sits in the network's input; all numbers are pixels.

    Attributes:
        original: height, width of the picture.
        resized: height, width of the picture after the resize.
        left, top, right, bottom: padding around the resized picture.
        padding: grey value of it.
        ratio: the gain of both sides, where boxes are mapped back by what was asked for instead of what became of
            it when sides were rounded down.
    """

    original: Size
    resized: Size
    left: int
    top: int
    right: int
    bottom: int
    padding: int = PADDING
    ratio: float | None = None

    @property
    def shape(self) -> Size:
        """Height, width of the network's input."""
        return self.resized[0] + self.top + self.bottom, self.resized[1] + self.left + self.right

    @property
    def gain(self) -> tuple[float, float]:
        """Resized over original: vertical, horizontal. They differ by the rounding of the resized size."""
        if self.ratio is not None:
            return self.ratio, self.ratio
        return self.resized[0] / self.original[0], self.resized[1] / self.original[1]

    def apply(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The picture resized and padded, as a new array of :attr:`shape`."""
        height, width = self.resized
        padded = np.full((*self.shape, 3), self.padding, np.uint8)
        inside = padded[self.top : self.top + height, self.left : self.left + width]
        if self.resized == self.original:
            inside[...] = image
        else:
            cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)
        return padded

    def restore(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Boxes (xyxy) from pixels of the network's input to pixels of the picture, clipped to it."""
        vertical, horizontal = self.gain
        height, width = self.original
        moved: Float[np.ndarray, "n 4"] = boxes - np.array([self.left, self.top, self.left, self.top], boxes.dtype)
        moved /= np.array([horizontal, vertical, horizontal, vertical], boxes.dtype)
        np.clip(moved, 0, np.array([width, height, width, height], boxes.dtype), out=moved)
        return moved


def _padded(original: Size, resized: Size, shape: Size) -> Letterbox:
    """Centre the resized picture in ``shape``; an odd pixel of padding goes to the right and bottom."""
    vertical = (shape[0] - resized[0]) / 2
    horizontal = (shape[1] - resized[1]) / 2
    return Letterbox(
        original,
        resized,
        left=round(horizontal - 0.1),
        top=round(vertical - 0.1),
        right=round(horizontal + 0.1),
        bottom=round(vertical + 0.1),
    )


def fit(original: Size, size: Size, *, square: bool = False, placement: Placement = CENTRED) -> Letterbox:
    """The predict path's letterbox: enlarge or shrink to fit ``size``, then pad to a multiple of 32.

    Args:
        original: height, width of the picture.
        size: height, width of the largest network input, multiples of 32 unless ``square``.
        square: pad to all of ``size`` instead of to the next multiples of 32.
        placement: where the resized picture lies; networks of ours have it in the centre.
    """
    if placement.anchor == "stretch":
        return Letterbox(original, size, 0, 0, 0, 0)
    gain = min(size[0] / original[0], size[1] / original[1])
    whole = round if placement.rounding == "nearest" else int
    # A picture 1 pixel wide and 4000 high would vanish: at least one pixel stays.
    resized = max(1, whole(original[0] * gain)), max(1, whole(original[1] * gain))
    shape = size if square else (_up(resized[0]), _up(resized[1]))
    rest = shape[1] - resized[1], shape[0] - resized[0]
    placed = (
        _padded(original, resized, shape)
        if placement.anchor == "centre"
        else Letterbox(original, resized, 0, 0, rest[0], rest[1])
    )
    ratio = gain if placement.rounding == "down" else None
    return replace(placed, padding=placement.padding, ratio=ratio)


def loaded_size(original: Size, longest: int) -> Size:
    """Validation's resize: the longer side becomes ``longest``, the other is rounded up."""
    gain = longest / max(original)
    if gain == 1:
        return original
    return min(math.ceil(original[0] * gain), longest), min(math.ceil(original[1] * gain), longest)


def batch_shape(originals: Sequence[Size], longest: int) -> Size:
    """Network input for a validation batch: half a stride of room around the extreme shapes of the batch.

    Args:
        originals: height, width of each picture of the batch (as validation sorts them: by aspect ratio).
        longest: length of the longer side.
    """
    ratios = [height / width for height, width in originals]
    tallest, widest = max(ratios), min(ratios)
    if tallest < 1:
        relative = (tallest, 1.0)
    elif widest > 1:
        relative = (1.0, 1 / widest)
    else:
        relative = (1.0, 1.0)
    height, width = (math.ceil(side * longest / STRIDE + 0.5) * STRIDE for side in relative)
    return height, width


def fit_validation(original: Size, longest: int, shape: Size) -> Letterbox:
    """Validation's letterbox: :func:`loaded_size`, then centred padding up to ``shape``, no enlargement."""
    return _padded(original, loaded_size(original, longest), shape)


def _up(side: int) -> int:
    return math.ceil(side / STRIDE) * STRIDE


def parse_size(value: int | str | Sequence[int]) -> Size:
    """Height, width from ``640``, ``"640"``, ``"384,640"`` or a pair.

    Raises:
        OptionError: not one or two positive multiples of :data:`STRIDE`, or larger than :data:`LARGEST_SIDE`.
    """
    sides = parse_sides(value)
    if sides is None:
        raise OptionError(f"size {value!r} is not a size: give one number or HEIGHT,WIDTH, such as 640 or 384,640")
    for side in sides:
        if not 0 < side <= LARGEST_SIDE or side % STRIDE:
            near = min(max(STRIDE, round(side / STRIDE) * STRIDE), LARGEST_SIDE)
            raise OptionError(f"size {side} is not a multiple of {STRIDE} up to {LARGEST_SIDE}: try {near}")
    return sides


def parse_sides(value: int | str | Sequence[int]) -> Size | None:
    """Height and width in pixels, of one number for both or of a pair, also as text; None for anything else."""
    try:
        parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else list(value)
        sides = [int(part) for part in parts]
    except (TypeError, ValueError):
        return None
    return (sides[0], sides[-1]) if len(sides) in (1, 2) else None
