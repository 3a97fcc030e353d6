"""One picture as the network sees it, and what is to be explained in it. No torch here.

Everything that explains looks at the picture through the same letterbox and engine as the detector, so a
map is about the very answer that was given.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import Letterbox
from lucidbox.detector.detector import Detector

SIDES = ("left", "top", "right", "bottom")
"""In the order of a box's distributions."""

FARTHEST = 2.0
"""Pixels, or hundredths of score, by which an anchor may differ from a detection that it is to have made."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and the network's own answer for it.

    Attributes:
        detector: whose engine answered.
        picture: RGB, its own pixels.
        frame: where the picture sits in the network's input.
        pixels: the network's input: the picture letterboxed.
        boxes: xyxy of every anchor, pixels of the network's input.
        scores: probability of each class at every anchor.
    """

    detector: Detector
    picture: UInt8[np.ndarray, "h w 3"]
    frame: Letterbox
    pixels: UInt8[np.ndarray, "h2 w2 3"]
    boxes: Float32[np.ndarray, "a 4"]
    scores: Float32[np.ndarray, "a c"]


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


def look(detector: Detector, picture: UInt8[np.ndarray, "h w 3"]) -> Scene:
    """Run the network on one picture.

    Raises:
        EngineError: the network answers with something that is not a number.
    """
    frame = detector.frame(picture)
    pixels = frame.apply(picture)
    predicted = detector.infer([picture], [frame])
    # Copies: the engine's arrays live until this thread's next call, which measuring makes.
    return Scene(detector, picture, frame, pixels, predicted.boxes[0].copy(), predicted.scores[0].copy())


def target_of(scene: Scene, detection: Detections, side: str | None = None) -> Target:
    """The anchor that made a detection: the one whose box and score are the detection's.

    Args:
        scene: of the picture in which it was found.
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
    if not 0 <= class_id < scene.scores.shape[1]:
        raise OptionError(
            f"class {class_id} is not in the model: its ids run from 0 to {scene.scores.shape[1] - 1}"
        )
    # Restored boxes are clipped, so several anchors may have the same one: the score tells them apart.
    off = np.abs(scene.frame.restore(scene.boxes) - detection.boxes[0]).max(axis=1)
    off += 100 * np.abs(scene.scores[:, class_id] - detection.scores[0])
    anchor = int(off.argmin())
    if not off[anchor] <= FARTHEST:
        raise OptionError(
            "no anchor of this model makes this detection in this picture; pass one that this detector found"
        )
    return target_at(scene, anchor, class_id, side)


def target_at(scene: Scene, anchor: int, class_id: int, side: str | None = None) -> Target:
    """The target at a known anchor."""
    left, top, right, bottom = scene.boxes[anchor].tolist()
    return Target(anchor, class_id, (left, top, right, bottom), side)


def to_picture(heat: Float[np.ndarray, "h w"], frame: Letterbox) -> Float32[np.ndarray, "h2 w2"]:
    """A map of the whole network input, at any resolution, moved to the picture's own pixels, 0 to 1.

    Enlarged to the network's input (bilinear, cells' values at their centres), freed of the letterbox's
    padding, resized to the picture. Values below 0 are no reasons and become 0; then the largest becomes 1.
    A map without any heat stays 0 everywhere.
    """
    height, width = frame.shape
    whole = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    inside = whole[frame.top : frame.top + frame.resized[0], frame.left : frame.left + frame.resized[1]]
    # Where the picture is smaller than the input, samples between its pixels count too.
    way = cv2.INTER_AREA if frame.resized[0] > frame.original[0] else cv2.INTER_LINEAR
    own = cv2.resize(inside, frame.original[::-1], interpolation=way)
    return to_unit(own)


def to_input(heat: Float[np.ndarray, "h w"], scene: Scene) -> Float32[np.ndarray, "h2 w2"]:
    """A map of the whole network input, at any resolution, at the size of that input, 0 to 1."""
    return to_unit(cv2.resize(heat, scene.pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def to_unit(heat: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Negative values become 0, the largest 1; no heat stays none."""
    positive = np.maximum(heat, 0).astype(np.float32)
    largest = float(positive.max(initial=0))
    # Smallest normal number: below it the quotient would be noise, or overflow.
    scaled: Float32[np.ndarray, "h w"] = (
        positive / largest if largest > np.finfo(np.float32).tiny else np.zeros_like(positive)
    )
    return scaled
