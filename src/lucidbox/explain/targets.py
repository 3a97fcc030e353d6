"""What is explained in an image, and maps moved between the network's input and the image. No torch here.

Everything that explains starts from a :class:`lucidbox.detect.predictor.RawPrediction`, made by the detector's own
letterbox and engine, so a map is about the very answer that was given.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import Letterbox
from lucidbox.detect.predictor import RawPrediction

SIDES = ("left", "top", "right", "bottom")
"""In the order of a box's distributions."""

FARTHEST = 2.0
"""Pixels, or hundredths of score, by which an anchor may differ from a detection that it is to have made."""


@dataclass(frozen=True)
class Target:
    """The number whose reasons are sought: a class's score at one anchor, or the place of a side of its box.

    Attributes:
        anchor: index among all anchors, levels P3, P4, P5, each row by row.
        class_id: its class.
        box: its box, xyxy, pixels of the network's input.
        side: None for the class's score.
    """

    anchor: int
    class_id: int
    box: tuple[float, float, float, float]
    side: str | None = None


def target_of(raw: RawPrediction, detection: Detections, side: str | None = None) -> Target:
    """The anchor that made a detection: the one whose box and score are the detection's.

    Args:
        raw: the network's answer for the image in which it was found.
        detection: one box, in the picture's own pixels.
        side: explain the place of this side instead of the class's score.

    Raises:
        OptionError: not one detection, an unknown side, or no anchor makes such a detection.
    """
    if len(detection) != 1:
        raise OptionError(f"{len(detection)} detections given; explain one at a time, as in detections[0]")
    if side is not None and side not in SIDES:
        raise OptionError(f"side {side!r} is unknown; choose one of {', '.join(SIDES)}")
    class_id = int(detection.classes[0])
    if not 0 <= class_id < raw.scores.shape[1]:
        raise OptionError(f"class {class_id} is not in the model: its ids run from 0 to {raw.scores.shape[1] - 1}")
    # Restored boxes are clipped, so several anchors may have the same one: the score tells them apart.
    off = np.abs(raw.letterbox.restore(raw.boxes) - detection.boxes[0]).max(axis=1)
    off += 100 * np.abs(raw.scores[:, class_id] - detection.scores[0])
    anchor = int(off.argmin())
    if not off[anchor] <= FARTHEST:
        raise OptionError(
            "no anchor of this model makes this detection in this picture; pass one that this detector found"
        )
    return target_at(raw, anchor, class_id, side)


def target_at(raw: RawPrediction, anchor: int, class_id: int, side: str | None = None) -> Target:
    """The target at a known anchor."""
    left, top, right, bottom = raw.boxes[anchor].tolist()
    return Target(anchor, class_id, (left, top, right, bottom), side)


def to_image(heat: Float[np.ndarray, "h w"], letterbox: Letterbox) -> Float32[np.ndarray, "h2 w2"]:
    """A map of the whole network input, at any resolution, moved to the picture's own pixels, 0 to 1.

    Enlarged to the network's input (bilinear, cells' values at their centres), freed of the letterbox's
    padding, resized to the picture. Values below 0 are no reasons and become 0; then the largest becomes 1.
    A map without any heat stays 0 everywhere.
    """
    height, width = letterbox.shape
    whole = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    top, left, (rows, columns) = letterbox.top, letterbox.left, letterbox.resized
    inside = whole[top : top + rows, left : left + columns]
    # Where the picture is smaller than the input, samples between its pixels count too.
    way = cv2.INTER_AREA if rows > letterbox.original[0] else cv2.INTER_LINEAR
    own = cv2.resize(inside, letterbox.original[::-1], interpolation=way)
    return to_unit(own)


def to_input(heat: Float[np.ndarray, "h w"], raw: RawPrediction) -> Float32[np.ndarray, "h2 w2"]:
    """A map of the whole network input, at any resolution, at the size of that input, 0 to 1."""
    return to_unit(cv2.resize(heat, raw.pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def to_unit(heat: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Negative values become 0, the largest 1; no heat stays none."""
    positive = np.maximum(heat, 0).astype(np.float32)
    largest = float(positive.max(initial=0))
    # Smallest normal number: below it the quotient would be noise, or overflow.
    scaled: Float32[np.ndarray, "h w"] = (
        positive / largest if largest > np.finfo(np.float32).tiny else np.zeros_like(positive)
    )
    return scaled
