"""SORT: one assignment by IoU a frame (Bewley et al., "Simple online and realtime tracking", 2016)."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from lucidbox.track.base import FrameDetections, TableTracker, TrackerSettings
from lucidbox.track.motion import BoxFilters, Noise
from lucidbox.track.table import without

PIXEL_NOISE = Noise(0.1, 0.1, 0.1**0.5, 1, 1, relative=False)
"""The noise of the library ``trackers``, in pixels whatever the size of boxes."""


@dataclass(frozen=True)
class SortSettings(TrackerSettings):
    """Settings of SORT, with those all have in common; the library's defaults.

    Attributes:
        least_iou: IoU that a track and a detection need to be paired.
    """

    start_score: float = 0.25
    hits: int = 3
    least_iou: float = 0.3


class Sort(TableTracker):
    """SORT."""

    def __init__(self, settings: SortSettings = SortSettings()) -> None:
        self.settings = settings
        super().__init__(partial(BoxFilters, PIXEL_NOISE), settings.frame_rate, settings.lost_seconds)

    def _associate(self, frame: FrameDetections) -> None:
        boxes, scores, _, ids = frame
        tracks, settings = self._tracks, self.settings
        rows, found = tracks.pair(np.arange(len(tracks)), boxes, settings.least_iou)
        tracks.found(rows, boxes[found])
        mature = tracks.hits[rows] >= settings.hits
        tracks.name(rows[mature])
        ids[found] = tracks.ids[rows]
        free = without(len(boxes), found)
        tracks.begin(boxes[free[scores[free] >= settings.start_score]])
        tracks.keep((tracks.hits >= settings.hits) | (tracks.missed == 0))
