"""Tracking by likelihood: one assignment a frame, and ids as soon as scores are evidence enough.

What is different from SORT and its descendants:

- Time is seconds and noise a share of a box's size, so a setting means the same at any frame rate and resolution.
- A pair is worth its log likelihood ratio: how well a detection fits where its track is expected, against how far
  that expectation reaches. So a track that has been lost for long fits many places, but none of them well.
- A track gets its id when it is unlikely that all its detections are false alarms, scores being taken for
  probabilities: one detection of 0.8 is enough, of 0.3 several are needed.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.assignment import assign_listed
from lucidbox.core.boxes import touching_pairs
from lucidbox.track.base import FrameDetections, TableTracker
from lucidbox.track.clock import Step
from lucidbox.track.motion import SMALLEST_SIDE, BoxFilters, Noise
from lucidbox.track.table import without

_LARGEST_SCORE = 0.98
"""No score is taken for more certain than this, or less than 1 less this."""


@dataclass(frozen=True)
class EvidenceSettings:
    """Settings of the default tracker, chosen on synthetic sequences (docs/explanation/trackers.md).

    Attributes:
        lost_seconds: how long a track is kept without a detection.
        start_score: score that a detection needs to begin a track.
        certainty: probability that not all of a track's detections are false, from which it has an id.
        measured: standard deviation of a detection's sides and place, as a share of its width and height.
        push: how strongly places accelerate at random, in box sizes (root of the area) by s^1.5.
        size_push: the same of widths and heights.
        first_speed: standard deviation of a new track's speed, in box sizes a second.
        first_size_speed: the same of its growth.
        slowing: share by which lost tracks' speeds, and all growth, fall in a second, as a rate.
        gate: log likelihood ratio, times 2, by which a pair may be worse than a perfect one of a track seen in the
            frame before.
        score_weight: what a detection's log odds count beside it.
        class_weight: what a pair is worse for being of two classes.
    """

    lost_seconds: float = 0.8
    start_score: float = 0.25
    certainty: float = 0.6
    measured: float = 0.06
    push: float = 0.6
    size_push: float = 2.6
    first_speed: float = 1.6
    first_size_speed: float = 2.4
    slowing: float = 5.0
    gate: float = 22.0
    score_weight: float = 5.0
    class_weight: float = 3.0


class Evidence(TableTracker):
    """Tracking by likelihood; see this module."""

    def __init__(self, settings: EvidenceSettings = EvidenceSettings()) -> None:
        self.settings = settings
        super().__init__(lambda: _TimedFilters(settings), 30.0, settings.lost_seconds)

    def _associate(self, frame: FrameDetections) -> None:
        boxes, scores, classes, ids = frame
        tracks, settings = self._tracks, self.settings
        rows, found = self._pair(boxes, scores, classes)
        tracks.found(rows, boxes[found])
        free = without(len(boxes), found)
        free = free[scores[free] >= settings.start_score]
        rows, found = np.append(rows, tracks.begin(boxes[free])), np.append(found, free)
        tracks.kinds[rows] = classes[found]
        tracks.evidence[rows] -= np.log1p(-np.minimum(scores[found], _LARGEST_SCORE))
        tracks.name(rows[tracks.evidence[rows] >= -np.log1p(-settings.certainty)])
        ids[found] = tracks.ids[rows]
        tracks.keep((tracks.ids > 0) | (tracks.missed == 0))

    def _pair(
        self, boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"], classes: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
        """The assignment of greatest likelihood: rows of tracks, and their detections."""
        tracks, settings = self._tracks, self.settings
        place, measured = tracks.filters.state[0], tracks.filters.measured()
        spread = tracks.filters.state[2] + measured
        likely = np.clip(scores, 1 - _LARGEST_SCORE, _LARGEST_SCORE)
        bonus = settings.gate + settings.score_weight * np.log(likely / (1 - likely))
        cost = np.log(spread / measured).sum(axis=1)
        # No centre further away than this, for any score, can be worth more than nothing.
        reach = np.sqrt(np.maximum(bonus.max(initial=0.0) - cost, 0)[:, None] * spread[:, :2])
        seen = tracks.filters.coordinates(boxes)
        rows, columns = touching_pairs(
            np.concatenate([place[:, :2] - reach, place[:, :2] + reach], axis=1), np.tile(seen[:, :2], 2)
        )
        distance = ((seen[columns] - place[rows]) ** 2 / spread[rows]).sum(axis=1)
        worth = bonus[columns] - cost[rows] - distance
        worth -= settings.class_weight * (tracks.kinds[rows] != classes[columns])
        possible = worth > 0
        rows, columns = rows[possible], columns[possible]
        chosen = assign_listed(rows, columns, worth[possible])
        return rows[chosen], columns[chosen]


class _TimedFilters(BoxFilters):
    """Filters whose time is seconds, with white noise as acceleration."""

    def __init__(self, settings: EvidenceSettings) -> None:
        super().__init__(Noise(0, 0, settings.measured, 0, 0, relative=True))
        self.slowing = settings.slowing
        self.push = np.array([settings.push] * 2 + [settings.size_push] * 2)
        self.first_speed = np.array([settings.first_speed] * 2 + [settings.first_size_speed] * 2)

    def _first_variances(self, place: Float[np.ndarray, "n 4"]) -> tuple[np.ndarray, np.ndarray]:
        return (self._scale(place) * self.noise.measured) ** 2, (_sizes(place) * self.first_speed) ** 2

    def _time(self, step: Step) -> float:
        return step.seconds

    def _wandering(self, step: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        push, seconds = (_sizes(self.state[0]) * self.push) ** 2, step.seconds
        return push * seconds**3 / 3, push * seconds**2 / 2, push * seconds

    def _slow_down(self, step: Step, lost: Bool[np.ndarray, " n"]) -> None:
        left = np.exp(-self.slowing * step.seconds)
        self.state[1, lost, :2] *= left
        self.state[1, :, 2:] *= left


def _sizes(place: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 1"]:
    """The square roots of boxes' areas, of cx, cy, w, h."""
    sizes: Float[np.ndarray, "n 1"] = np.sqrt(np.maximum(place[:, 2:], SMALLEST_SIDE).prod(axis=1, keepdims=True))
    return sizes
