"""Kalman filters of many boxes at once, each side moving at a constant speed.

All noise is independent between the four coordinates, and every coordinate is measured; so a filter of eight
numbers falls apart into four of two (place and speed), whose covariances are three numbers each.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.track.clock import Step

SMALLEST_SIDE = 1e-3
"""Pixels that a width or height keeps at least."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a motion model.

    Attributes:
        place: by which a coordinate wanders in a frame, beyond what its speed explains.
        speed: by which its speed changes in a frame.
        measured: of a detection's coordinate.
        first_place: of a new track's coordinate.
        first_speed: of a new track's speed, which starts at 0.
        relative: whether these are shares of the box's width (for centre x and width) and height (for centre y and
            height), and the filter's coordinates cx, cy, w, h; else they are pixels, and the coordinates xyxy.
    """

    place: float
    speed: float
    measured: float
    first_place: float
    first_speed: float
    relative: bool


class BoxFilters:
    """Places and speeds of n boxes with their uncertainty; arrays ``n 4``, a column a coordinate.

    The time of the speeds is the nominal frame. Noise as in the library ``trackers``: added once a frame, or after
    a longer or shorter time that of an acceleration that is constant over it.
    """

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.state = np.zeros((5, 0, 4))
        """Place, speed, variance of place, covariance of both, variance of speed."""

    def __len__(self) -> int:
        return self.state.shape[1]

    def boxes(self) -> Float[np.ndarray, "n 4"]:
        """The boxes as xyxy."""
        place: Float[np.ndarray, "n 4"] = self.state[0]
        if not self.noise.relative:
            return place.copy()
        return np.concatenate([place[:, :2] - place[:, 2:] / 2, place[:, :2] + place[:, 2:] / 2], axis=1)

    def coordinates(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """The filters' coordinates of xyxy boxes."""
        boxes = boxes.astype(np.float64)
        if not self.noise.relative:
            return boxes
        return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)

    def measured(self) -> Float[np.ndarray, "n 4"]:
        """Variances of detections of the boxes."""
        return (self._scale(self.state[0]) * self.noise.measured) ** 2

    def add(self, boxes: Float[np.ndarray, "n 4"]) -> None:
        """Append filters of new boxes, which stand still as far as is known."""
        new = np.zeros((5, len(boxes), 4))
        new[0] = self.coordinates(boxes)
        new[2], new[4] = self._first_variances(new[0])
        self.state = np.concatenate([self.state, new], axis=1)

    def keep(self, which: Bool[np.ndarray, " n"]) -> None:
        """Let the other filters go."""
        self.state = self.state[:, which]

    def predict(self, step: Step, lost: Bool[np.ndarray, " n"]) -> None:
        """Move all boxes on to the next frame.

        Args:
            step: the time to it, above 0.
            lost: which boxes were not seen in the frame before.
        """
        place, speed, place_variance, covariance, speed_variance = self.state
        for_place, for_both, for_speed = self._wandering(step)
        frames = self._time(step)
        self._slow_down(step, lost)
        place_variance += frames * (2 * covariance + frames * speed_variance) + for_place
        covariance += frames * speed_variance + for_both
        speed_variance += for_speed
        place += frames * speed
        self._clamp()

    def correct(self, which: Int[np.ndarray, " k"], boxes: Float[np.ndarray, "k 4"]) -> None:
        """Take detections of some boxes into account.

        Args:
            which: the places of their filters, each once.
            boxes: xyxy, one for each.
        """
        place, speed, place_variance, covariance, speed_variance = self.state[:, which]
        total = place_variance + self.measured()[which]
        surprise = self.coordinates(boxes) - place
        place_gain, speed_gain = place_variance / total, covariance / total
        self.state[:, which] = (
            place + place_gain * surprise,
            speed + speed_gain * surprise,
            (1 - place_gain) * place_variance,
            (1 - place_gain) * covariance,
            speed_variance - speed_gain * covariance,
        )
        self._clamp()

    def _scale(self, place: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """What standard deviations are multiplied by."""
        return np.maximum(place[:, [2, 3, 2, 3]], SMALLEST_SIDE) if self.noise.relative else np.ones_like(place)

    def _first_variances(self, place: Float[np.ndarray, "n 4"]) -> tuple[np.ndarray, np.ndarray]:
        """Of new boxes' places and speeds."""
        scale = self._scale(place)
        return (scale * self.noise.first_place) ** 2, (scale * self.noise.first_speed) ** 2

    def _time(self, step: Step) -> float:
        """A step in the time of the speeds."""
        return step.frames

    def _wandering(self, step: Step) -> tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]:
        """What is added to the variance of place, the covariance and the variance of speed."""
        frames, scale = step.frames, self._scale(self.state[0])
        push = (scale * self.noise.speed) ** 2
        if step.regular:
            return (scale * self.noise.place) ** 2, 0.0, push
        return push * frames**4 / 4, push * frames**3 / 2, push * frames**2

    def _slow_down(self, step: Step, lost: Bool[np.ndarray, " n"]) -> None:
        """Change speeds by what is known of them before the boxes move."""

    def _clamp(self) -> None:
        if self.noise.relative:
            np.maximum(self.state[0, :, 2:], SMALLEST_SIDE, out=self.state[0, :, 2:])
