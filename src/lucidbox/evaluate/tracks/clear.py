"""CLEAR: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.assignment import best_assignment
from lucidbox.core.matching import MATCH
from lucidbox.evaluate.tracks.sequence import Frame, TrackSequence

_EPS = np.finfo(np.float64).eps
_CONTINUED = 1000
"""What a pair of the frame before is preferred by; more than all IoUs of a frame."""
_NONE = -1


@dataclass(frozen=True)
class Clear:
    """Counts of a sequence.

    Attributes:
        hits: true boxes that are found.
        misses: true boxes that are not.
        false_alarms: found boxes that are nothing.
        switches: how often a true track is found by another track than the time before.
        fragments: how often a true track is found again after frames in which it was not.
        mostly_tracked: true tracks found in more than 80 % of their frames.
        partly_tracked: in 20 % to 80 %.
        mostly_lost: in less than 20 %.
        closeness: sum of the IoUs of hits.
    """

    hits: int
    misses: int
    false_alarms: int
    switches: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    closeness: float

    @property
    def mota(self) -> float:
        """1 less the misses, false alarms and switches of each true box; below 0 where they are more."""
        return (self.hits - self.false_alarms - self.switches) / max(1, self.hits + self.misses)

    @property
    def motp(self) -> float:
        """Mean IoU of hits."""
        return self.closeness / max(1, self.hits)


def clear(sequence: TrackSequence) -> Clear:
    """CLEAR counts of a sequence."""
    tracks = len(sequence.truth_boxes)
    last, before = (
        np.full(tracks, _NONE),
        np.full(tracks, _NONE),
    )  # the found track at any time, in the frame before
    found_in, parts = np.zeros(tracks, np.int64), np.zeros(tracks, np.int64)
    switches, closeness = 0, 0.0
    for frame in sequence.frames:
        if 0 in frame.iou.shape:
            continue  # the reference leaves the frame before as it was
        rows, columns = _matches(frame, before)
        truth, found = frame.truth[rows], frame.found[columns]
        switches += int(((last[truth] != _NONE) & (last[truth] != found)).sum())
        parts[truth] += before[truth] == _NONE
        found_in[truth] += 1
        before[:] = _NONE
        last[truth] = before[truth] = found
        closeness += float(frame.iou[rows, columns].sum())
    hits, share = int(found_in.sum()), found_in / sequence.truth_boxes
    mostly, partly = int((share > 0.8).sum()), int((share >= 0.2).sum())
    return Clear(
        hits=hits,
        misses=int(sequence.truth_boxes.sum()) - hits,
        false_alarms=int(sequence.found_boxes.sum()) - hits,
        switches=switches,
        fragments=int((parts[parts > 0] - 1).sum()),
        mostly_tracked=mostly,
        partly_tracked=partly - mostly,
        mostly_lost=tracks - partly,
        closeness=closeness,
    )


def _matches(frame: Frame, before: Int[np.ndarray, " t"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Pairs of true and found boxes: those of the frame before go on, as long as they overlap enough."""
    worth = frame.iou + _CONTINUED * (before[frame.truth][:, None] == frame.found)
    worth[frame.iou < MATCH - _EPS] = 0
    return best_assignment(worth)
