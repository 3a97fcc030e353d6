"""BoT-SORT without appearance and camera motion, and C-BIoU, which differs from it by grown boxes.

Aharon et al., "BoT-SORT: Robust Associations Multi-Pedestrian Tracking", 2022; Yang et al., "Hard To Track Objects
with Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching Space", 2023.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.track.base import FrameDetections, TableTracker, TrackerSettings
from lucidbox.track.motion import BoxFilters, Noise

LEAST_SCORE = 0.1
"""Detections of this score or less are not used."""


@dataclass(frozen=True)
class BotSortSettings(TrackerSettings):
    """Settings of BoT-SORT, with those all have in common; defaults are those of the library ``trackers``.

    Attributes:
        hits: detections that a track needs to get an id; those of the first frame get theirs at once.
        high_score: score from which a detection is confident.
        least_high: IoU times score that a track and a confident detection need to be paired.
        least_low: IoU that a track seen in the frame before and another detection need to be paired.
        least_new: IoU times score that a track without id and a confident detection need to be paired.
        buffer_high: share of its width and height by which each box grows on each side before the IoU is taken.
        buffer_low: the same where the detection is not confident.
    """

    high_score: float = 0.6
    least_high: float = 0.2
    least_low: float = 0.5
    least_new: float = 0.3
    buffer_high: float = 0.0
    buffer_low: float = 0.0


class BotSort(TableTracker):
    """BoT-SORT."""

    def __init__(self, settings: BotSortSettings = BotSortSettings()) -> None:
        self.settings = settings
        noise = Noise(0.05, 0.00625, 0.05, 0.1, 0.0625, relative=True)
        super().__init__(partial(BoxFilters, noise), settings.frame_rate, settings.lost_seconds)

    def _associate(self, frame: FrameDetections) -> None:
        boxes, scores, _, ids = frame
        tracks, settings = self._tracks, self.settings
        known = (tracks.ids > 0) | (tracks.hits >= settings.hits) | (tracks.missed > 1)
        new, seen_before = ~known, tracks.missed == 1
        high, low = scores >= settings.high_score, (scores > LEAST_SCORE) & (scores < settings.high_score)
        self._pair(known, high, boxes, ids, settings.least_high, settings.buffer_high, scores)
        self._pair(known & seen_before, low, boxes, ids, settings.least_low, settings.buffer_low)
        self._pair(new, high, boxes, ids, settings.least_new, settings.buffer_high, scores)
        tracks.keep(~new)  # those that were not found again at once
        begun = high & (scores >= settings.start_score)
        rows = tracks.begin(boxes[begun])
        if self._frames == 1:
            tracks.name(rows)
            ids[begun] = tracks.ids[rows]
        tracks.keep((tracks.ids > 0) | (tracks.hits >= settings.hits) | (tracks.missed == 0))

    def _pair(
        self,
        open_tracks: np.ndarray,
        candidates: np.ndarray,
        boxes: Float[np.ndarray, "n 4"],
        ids: Int[np.ndarray, " n"],
        least: float,
        buffer: float,
        scores: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Pair tracks and detections that masks name; those that are paired leave both masks."""
        tracks = self._tracks
        rows, columns = np.flatnonzero(open_tracks), np.flatnonzero(candidates)
        fused = None if scores is None else scores[columns]
        places, chosen = tracks.pair(rows, boxes[columns], least, scores=fused, buffer=buffer)
        rows, columns = rows[places], columns[chosen]
        tracks.found(rows, boxes[columns])
        tracks.name(rows[tracks.hits[rows] >= self.settings.hits])
        ids[columns] = tracks.ids[rows]
        open_tracks[rows] = candidates[columns] = False


class CascadedBufferedIou(BotSort):
    """C-BIoU."""

    def __init__(self, settings: BotSortSettings = BotSortSettings(buffer_high=0.3, buffer_low=0.5)) -> None:
        super().__init__(settings)
