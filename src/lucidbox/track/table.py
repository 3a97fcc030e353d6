"""The tracks that a tracker follows, as columns of a table, and what all trackers do with them."""

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.assignment import assign_listed
from lucidbox.core.boxes import overlapping_pairs
from lucidbox.track.clock import Step
from lucidbox.track.motion import BoxFilters


class TrackTable:
    """Tracks in the order in which they began. Columns are arrays of one entry a track.

    Attributes:
        filters: where each box is and how it moves.
        ids: its identity, 0 as long as it has none.
        hits: how many detections it has had.
        streak: how many detections without a miss between them.
        missed: frames since its last detection, 0 if it has one in this frame.
        lost: the same in seconds.
        evidence: what a tracker adds up over a track's detections, 0 at first.
        kinds: class id of its last detection, where a tracker notes it.
    """

    def __init__(self, filters: BoxFilters) -> None:
        self.filters = filters
        self.ids, self.hits = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.streak, self.missed = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.lost, self.evidence, self.kinds = np.zeros(0), np.zeros(0), np.zeros(0, np.int64)
        self.next_id = 1

    def __len__(self) -> int:
        return len(self.ids)

    def predict(self, step: Step) -> None:
        """Move all tracks on to the next frame; each counts as missed until it is found there."""
        if step.frames <= 0:
            return
        self.filters.predict(step, self.missed > 0)
        self.streak[self.missed > 0] = 0
        self.missed += 1
        self.lost += step.seconds

    def found(self, rows: Int[np.ndarray, " k"], boxes: Float[np.ndarray, "k 4"]) -> None:
        """Give tracks the detections that are theirs in this frame."""
        self.filters.correct(rows, boxes)
        self.hits[rows] += 1
        self.streak[rows] += 1
        self.missed[rows] = self.lost[rows] = 0

    def begin(self, boxes: Float[np.ndarray, "k 4"]) -> Int[np.ndarray, " k"]:
        """Begin a track with each of these detections; gives the tracks' rows."""
        first, new = len(self), len(boxes)
        self.filters.add(boxes)
        self.hits, self.streak = (np.append(column, np.ones(new, np.int64)) for column in (self.hits, self.streak))
        for name in ("ids", "missed", "kinds"):
            setattr(self, name, np.append(getattr(self, name), np.zeros(new, np.int64)))
        self.lost, self.evidence = (np.append(column, np.zeros(new)) for column in (self.lost, self.evidence))
        return np.arange(first, first + new)

    def keep(self, which: Bool[np.ndarray, " n"]) -> None:
        """Let the other tracks go."""
        if which.all():
            return
        self.filters.keep(which)
        for name in ("ids", "hits", "streak", "missed", "lost", "evidence", "kinds"):
            setattr(self, name, getattr(self, name)[which])

    def name(self, rows: Int[np.ndarray, " k"]) -> None:
        """Give an id to those of these tracks that have none."""
        new = rows[self.ids[rows] == 0]
        self.ids[new] = np.arange(self.next_id, self.next_id + len(new))
        self.next_id += len(new)

    def pair(
        self,
        rows: Int[np.ndarray, " k"],
        boxes: Float[np.ndarray, "m 4"],
        least: float,
        *,
        scores: Float[np.ndarray, " m"] | None = None,
        buffer: float = 0.0,
    ) -> tuple[Int[np.ndarray, " j"], Int[np.ndarray, " j"]]:
        """Pair tracks with detections by the assignment of greatest sum of IoUs.

        Args:
            rows: of the tracks.
            boxes: xyxy of detections.
            least: IoU that a pair must have to be kept; times its score, if there are scores.
            scores: of the detections, which IoUs are multiplied by.
            buffer: share of its width and height by which each box is first grown on each side.

        Returns:
            Places in ``rows`` and in ``boxes``.
        """
        places, columns, similarity = overlapping_pairs(
            _grown(self.filters.boxes()[rows], buffer), _grown(boxes, buffer)
        )
        if scores is not None:
            similarity = similarity * scores[columns]
            positive = similarity > 0
            places, columns, similarity = places[positive], columns[positive], similarity[positive]
        chosen = assign_listed(places, columns, similarity)
        chosen = chosen[similarity[chosen] >= least]
        return places[chosen], columns[chosen]


def without(size: int, taken: Int[np.ndarray, " k"]) -> Int[np.ndarray, " j"]:
    """The places below ``size`` that are not taken, in order."""
    free = np.ones(size, bool)
    free[taken] = False
    return np.flatnonzero(free)


def _grown(boxes: Float[np.ndarray, "n 4"], buffer: float) -> Float[np.ndarray, "n 4"]:
    if buffer == 0:
        return boxes
    margin = buffer * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
