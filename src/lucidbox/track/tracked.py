"""What a tracker says of one frame: which of the detections belong to which track."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.detections import Detections


@dataclass(frozen=True, eq=False)
class TrackedDetections:
    """The detections of one frame that belong to tracks, in the order in which they were given.

    Attributes:
        detections: those that belong to tracks.
        ids: the track of each, 1 and up; an id belongs to one object and is never given again.
        kept: the place of each among the detections that the tracker was given. Those that are not named belong
            to no track, or to none yet.
        seconds: the frame's time.
    """

    detections: Detections
    ids: Int[np.ndarray, " n"]
    kept: Int[np.ndarray, " n"]
    seconds: float

    def __len__(self) -> int:
        """Number of tracked detections."""
        return len(self.ids)

    @classmethod
    def of(cls, given: Detections, ids: Int[np.ndarray, " m"], seconds: float) -> "TrackedDetections":
        """From an id for each of the given detections, 0 for those that belong to no track."""
        kept = np.flatnonzero(ids)
        return cls(given[kept], ids[kept], kept, seconds)


@runtime_checkable
class Tracker(Protocol):
    """Gives detections the identities of objects, frame by frame. One tracker for one video."""

    def update(self, detections: Detections, seconds: float) -> TrackedDetections:
        """The tracks of the next frame.

        Args:
            detections: what was found in the frame.
            seconds: the frame's time, on any clock that the video's frames share. A time that is not later than
                the frame before it counts as the same time.

        Raises:
            ValueError: ``seconds``, or a box or score, is not finite.
        """
        ...

    @property
    def held(self) -> tuple[int, ...]:
        """Ids of all tracks that have not ended, found in the last frame or not."""
        ...

    def reset(self) -> None:
        """Forget all tracks, as before the first frame of another video; ids start at 1 again."""
        ...
