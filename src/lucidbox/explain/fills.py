"""What stands in for pixels that are hidden: grey, a blur, one colour, or what the border around them suggests.

What a detector answers when a part is hidden depends on what hides it, so maps are judged with more than one pair.
No torch here.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import Bool, UInt8
from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import PADDING

Fill = Callable[[Bool[np.ndarray, "h w"]], UInt8[np.ndarray, "h w 3"]]
"""From the pixels to be hidden, True, to the picture in which they are."""

BLUR = 32
"""The longer side of the picture over the blur's sigma: a third of an object's usual size."""

_INPAINTED = 160
"""Pixels of the longer side at which the picture is inpainted: it is a guess, and coarse is fast."""

_RADIUS = 3
"""Pixels around each inpainted one that its colour is taken from, at that size."""


class Fills(NamedTuple):
    """A pair of names of :data:`FILLS`.

    Attributes:
        hide: stands in for the hottest pixels, in deletion.
        show: stands in for all but the hottest pixels, in insertion.
    """

    hide: str
    show: str


USUAL = Fills("grey", "blur")
"""The pair of every figure that is not said to be of another."""

OTHER = Fills("blur", "mean")
"""A second pair, for maps that are searched for to be good at both."""

UNSEEN = Fills("inpaint", "inpaint")
"""The pair that no method may use while it searches: what a map is worth beyond the fills it was made with."""


def grey(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The letterbox's grey, which means nothing to a network."""
    return np.full_like(pixels, PADDING)


def blur(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """No outline is left, the light is."""
    blurred: UInt8[np.ndarray, "h w 3"] = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) / BLUR)
    return blurred


def mean(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture's mean colour."""
    return np.broadcast_to(np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8), pixels.shape).copy()


PLAIN = {"grey": grey, "blur": blur, "mean": mean}
"""Fills that are the same whatever is hidden."""

FILLS = (*PLAIN, "inpaint")
"""Names of all fills."""


def fill_of(name: str, pixels: UInt8[np.ndarray, "h w 3"]) -> Fill:
    """How a picture's pixels are hidden.

    Args:
        name: one of :data:`FILLS`. "inpaint" continues what borders the hidden pixels into them (Telea's method,
            by OpenCV); where everything is hidden, the picture's outermost pixels.
        pixels: the picture.

    Raises:
        OptionError: there is no such fill.
    """
    if name == "inpaint":
        return lambda hidden: _inpainted(pixels, hidden)
    if name not in PLAIN:
        raise OptionError(f"fill {name!r} is unknown; choose one of {', '.join(FILLS)}")
    stand_in = PLAIN[name](pixels)
    return lambda hidden: _put(stand_in, hidden, pixels)


def _put(
    over: UInt8[np.ndarray, "h w 3"], where: Bool[np.ndarray, "h w"], under: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """One picture with some pixels of another."""
    mixed: UInt8[np.ndarray, "h w 3"] = cv2.copyTo(over, where.astype(np.uint8), under.copy())
    return mixed


def _inpainted(pixels: UInt8[np.ndarray, "h w 3"], hidden: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with guesses in place of the hidden pixels, made at a smaller size."""
    height, width = hidden.shape
    times = max(1, max(height, width) // _INPAINTED)
    size = max(1, width // times), max(1, height // times)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    unknown = cv2.resize(hidden.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    unknown[[0, -1]] = unknown[:, [0, -1]] = 0
    guessed = cv2.inpaint(small, unknown, _RADIUS, cv2.INPAINT_TELEA)
    return _put(cv2.resize(guessed, (width, height), interpolation=cv2.INTER_LINEAR), hidden, pixels)
