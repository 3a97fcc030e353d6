"""HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", 2021."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.assignment import best_assignment
from lucidbox.evaluate.tracks.sequence import TrackSequence

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Least IoU of a match; figures are means over these 19."""
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Hota:
    """Figures at each IoU of :data:`ALPHAS`: accuracy, recall and precision of detection and of association."""

    det_a: Float[np.ndarray, "19"]
    det_re: Float[np.ndarray, "19"]
    det_pr: Float[np.ndarray, "19"]
    ass_a: Float[np.ndarray, "19"]
    ass_re: Float[np.ndarray, "19"]
    ass_pr: Float[np.ndarray, "19"]
    loc_a: Float[np.ndarray, "19"]

    @property
    def hota(self) -> Float[np.ndarray, "19"]:
        """The geometric mean of detection and association accuracy."""
        both: Float[np.ndarray, "19"] = np.sqrt(self.det_a * self.ass_a)
        return both


def hota(sequence: TrackSequence) -> Hota:
    """HOTA of a sequence."""
    truth, found = sequence.truth_boxes[:, None], sequence.found_boxes[None, :]
    alignment = _alignment(sequence)
    together = np.zeros((len(ALPHAS), *alignment.shape))  # matches of each pair of tracks, at each alpha
    closeness = np.zeros(len(ALPHAS))
    for frame in sequence.frames:
        rows, columns = best_assignment(alignment[np.ix_(frame.truth, frame.found)] * frame.iou)
        ious = frame.iou[rows, columns]
        matched = ious >= ALPHAS[:, None] - _EPS
        together[:, frame.truth[rows], frame.found[columns]] += matched
        closeness += (ious * matched).sum(axis=1)
    hits = together.sum(axis=(1, 2))
    missed, wrong = truth.sum() - hits, found.sum() - hits
    weights = together / np.maximum(1, hits)[:, None, None]
    return Hota(
        det_a=hits / np.maximum(1, hits + missed + wrong),
        det_re=hits / np.maximum(1, hits + missed),
        det_pr=hits / np.maximum(1, hits + wrong),
        ass_a=(weights * together / np.maximum(1, truth + found - together)).sum(axis=(1, 2)),
        ass_re=(weights * together / np.maximum(1, truth)).sum(axis=(1, 2)),
        ass_pr=(weights * together / np.maximum(1, found)).sum(axis=(1, 2)),
        loc_a=np.maximum(1e-10, closeness) / np.maximum(1e-10, hits),
    )


def _alignment(sequence: TrackSequence) -> Float[np.ndarray, "t f"]:
    """How well each true and each found track fit over the whole video, by which frames' matches are chosen."""
    common = np.zeros((len(sequence.truth_boxes), len(sequence.found_boxes)))
    for frame in sequence.frames:
        rest = frame.iou.sum(axis=0) + frame.iou.sum(axis=1)[:, None] - frame.iou
        share = np.divide(frame.iou, rest, out=np.zeros_like(frame.iou), where=rest > _EPS)
        common[np.ix_(frame.truth, frame.found)] += share
    either = sequence.truth_boxes[:, None] + sequence.found_boxes[None, :] - common
    fit: Float[np.ndarray, "t f"] = common / either
    return fit
