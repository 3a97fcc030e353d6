"""What all trackers do alike with a frame: check it, move tracks on, end those that are lost for too long."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.detections import Detections
from lucidbox.track.clock import Clock
from lucidbox.track.motion import BoxFilters
from lucidbox.track.table import TrackTable
from lucidbox.track.tracked import TrackedDetections


class FrameDetections(NamedTuple):
    """The detections of a frame as columns; ``ids`` are 0 until a tracker writes those of tracked ones."""

    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"]


@dataclass(frozen=True)
class TrackerSettings:
    """Settings that SORT and its descendants have in common.

    Attributes:
        frame_rate: frames a second of the video, which the motion model counts in.
        lost_seconds: how long a track is kept without a detection.
        start_score: score that a detection needs to begin a track.
        hits: detections that a track needs to get an id.
    """

    frame_rate: float = 30.0
    lost_seconds: float = 1.0
    start_score: float = 0.7
    hits: int = 2


class TableTracker(ABC):
    """A tracker over a :class:`TrackTable`; those that derive from it say how detections find their tracks."""

    def __init__(self, filters: Callable[[], BoxFilters], frame_rate: float, lost_seconds: float) -> None:
        self._filters, self._lost_seconds, self._frame_rate = filters, lost_seconds, frame_rate
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, as before the first frame of another video; ids start at 1 again."""
        self._clock, self._tracks, self._frames = Clock(self._frame_rate), TrackTable(self._filters()), 0

    def update(self, detections: Detections, seconds: float) -> TrackedDetections:
        """The tracks of the next frame; see :class:`Tracker`."""
        boxes, scores = detections.boxes.astype(np.float64), detections.scores.astype(np.float64)
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("a box or a score is not finite; leave such detections out")
        step = self._clock.step(seconds)
        self._frames += 1
        self._tracks.predict(step)
        self._tracks.keep(self._tracks.lost <= self._lost_seconds)
        ids = np.zeros(len(boxes), np.int64)
        self._associate(FrameDetections(boxes, scores, detections.classes, ids))
        return TrackedDetections.of(detections, ids, seconds)

    @property
    def held(self) -> tuple[int, ...]:
        """Ids of all tracks that have not ended, found in the last frame or not."""
        return tuple(self._tracks.ids[self._tracks.ids > 0].tolist())

    @abstractmethod
    def _associate(self, frame: FrameDetections) -> None:
        """Give detections to tracks, begin and end tracks, and write the id of each tracked detection."""
