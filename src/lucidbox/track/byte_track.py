"""ByteTrack: confident detections first, the others for what is left (Zhang et al., "ByteTrack", 2022)."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from lucidbox.track.base import FrameDetections, TableTracker, TrackerSettings
from lucidbox.track.motion import BoxFilters
from lucidbox.track.sort import PIXEL_NOISE
from lucidbox.track.table import without


@dataclass(frozen=True)
class ByteTrackSettings(TrackerSettings):
    """Settings of ByteTrack, with those all have in common; defaults are those of the library ``trackers``.

    Attributes:
        hits: detections one after another that a track needs to get an id.
        least_iou: IoU that a track and a detection need to be paired.
        high_score: score from which a detection is confident.
    """

    least_iou: float = 0.1
    high_score: float = 0.6


class ByteTrack(TableTracker):
    """ByteTrack."""

    def __init__(self, settings: ByteTrackSettings = ByteTrackSettings()) -> None:
        self.settings = settings
        super().__init__(partial(BoxFilters, PIXEL_NOISE), settings.frame_rate, settings.lost_seconds)

    def _associate(self, frame: FrameDetections) -> None:
        boxes, scores, _, ids = frame
        tracks, settings = self._tracks, self.settings
        confident = scores >= settings.high_score
        open_tracks = np.arange(len(tracks))
        for candidates in (np.flatnonzero(confident), np.flatnonzero(~confident)):
            places, chosen = tracks.pair(open_tracks, boxes[candidates], settings.least_iou)
            rows, found = open_tracks[places], candidates[chosen]
            tracks.found(rows, boxes[found])
            tracks.name(rows[tracks.streak[rows] >= settings.hits])
            ids[found] = tracks.ids[rows]
            open_tracks = open_tracks[without(len(open_tracks), places)]
            confident[found] = False  # what stays confident has found no track
        tracks.begin(boxes[confident & (scores >= settings.start_score)])
        tracks.keep((tracks.ids > 0) | (tracks.streak >= settings.hits) | (tracks.missed == 0))
