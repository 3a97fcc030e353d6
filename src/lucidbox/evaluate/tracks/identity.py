"""Identity: Ristani et al., "Performance Measures and a Data Set for Multi-Target Tracking", 2016."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.assignment import best_assignment
from lucidbox.core.matching import MATCH
from lucidbox.evaluate.tracks.sequence import TrackSequence


@dataclass(frozen=True)
class IdentityCounts:
    """Counts where every true track is one found track, or none, for the whole video.

    Attributes:
        hits: boxes that are found under the right track.
        misses: true boxes that are not.
        false_alarms: found boxes that are nothing, or of another track.
    """

    hits: int
    misses: int
    false_alarms: int

    @property
    def idf1(self) -> float:
        """The harmonic mean of precision and recall."""
        return self.hits / max(1.0, self.hits + 0.5 * self.misses + 0.5 * self.false_alarms)

    @property
    def idp(self) -> float:
        """Precision: the share of found boxes that are hits."""
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def idr(self) -> float:
        """Recall: the share of true boxes that are hits."""
        return self.hits / max(1, self.hits + self.misses)


def identity_counts(sequence: TrackSequence) -> IdentityCounts:
    """Identity counts of a sequence."""
    common = np.zeros((len(sequence.truth_boxes), len(sequence.found_boxes)))
    for frame in sequence.frames:
        rows, columns = np.nonzero(frame.iou >= MATCH)
        common[frame.truth[rows], frame.found[columns]] += 1
    hits = int(common[best_assignment(common)].sum())
    return IdentityCounts(hits, int(sequence.truth_boxes.sum()) - hits, int(sequence.found_boxes.sum()) - hits)
