"""List the pairs of a detection and a truth whose IoU is high enough to match."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int

# Pairs tested at once: the working arrays then stay in the processor's second-level cache.
_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes as four columns, in pixels: contiguous columns are indexed faster than rows."""

    left: Float[np.ndarray, " n"]
    top: Float[np.ndarray, " n"]
    width: Float[np.ndarray, " n"]
    height: Float[np.ndarray, " n"]

    def __getitem__(self, rows: Int[np.ndarray, " m"]) -> "Boxes":
        """The boxes at these rows."""
        return Boxes(self.left[rows], self.top[rows], self.width[rows], self.height[rows])

    @classmethod
    def from_xywh(cls, boxes: Float[np.ndarray, "n 4"]) -> "Boxes":
        """Columns of an array of left, top, width, height."""
        return cls(*np.ascontiguousarray(boxes.T))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs whose IoU reaches the lowest threshold.

    Attributes:
        detections: index of each pair's detection, in the caller's numbering.
        truths: index of each pair's truth.
        ious: intersection over union; for a crowd, intersection over the detection's own area.
    """

    detections: Int[np.ndarray, " p"]
    truths: Int[np.ndarray, " p"]
    ious: Float[np.ndarray, " p"]


def iou_of_pairs(found: Boxes, truth: Boxes, crowds: Bool[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """IoU of row i of one side with row i of the other, to the last bit as pycocotools' ``bbIou`` rounds it.

    Args:
        found: detections.
        truth: as many truths.
        crowds: where True, the union is the detection's area alone, as COCO defines it for crowds.
    """
    width = np.minimum(found.width + found.left, truth.width + truth.left)
    width -= np.maximum(found.left, truth.left)
    height = np.minimum(found.height + found.top, truth.height + truth.top)
    height -= np.maximum(found.top, truth.top)
    own = found.width * found.height
    touching = (width > 0) & (height > 0)
    overlap = np.multiply(width, height, out=width)
    union = own + truth.width * truth.height
    union -= overlap
    np.copyto(union, own, where=crowds)
    # A pair can only touch without any area if the product fell below the smallest double.
    ious: Float[np.ndarray, " p"] = np.zeros_like(overlap)
    np.divide(overlap, union, out=ious, where=touching & (union > 0))
    return ious


def list_pairs(
    found: Boxes,
    starts: Int[np.ndarray, " t"],
    counts: Int[np.ndarray, " t"],
    truth: Boxes,
    crowds: Bool[np.ndarray, " t"],
    lowest_iou: float,
) -> Pairs:
    """Every pair of a truth with a detection of its run whose IoU is at least ``lowest_iou``.

    Args:
        found: detections, ordered so that each truth's candidates are one run of rows.
        starts: first row of each truth's run.
        counts: length of each truth's run.
        truth: truths.
        crowds: which truths are crowds.
        lowest_iou: above 0 and at most 1.
    """
    # IoU of boxes is at most the IoU of their projections on one axis, and |a ∩ b| / |a ∪ b| >= t bounds the
    # distance of the projections' centres by (1 - t) / 2t of either width. A crowd's union has no such bound.
    found_across, found_down = 2 * found.left + found.width, 2 * found.top + found.height
    across, down = 2 * truth.left + truth.width, 2 * truth.top + truth.height
    reach = (1 - lowest_iou) / lowest_iou
    reach_across = np.where(crowds, np.inf, truth.width * reach + _slack(found_across, across))
    reach_down = np.where(crowds, np.inf, truth.height * reach + _slack(found_down, down))
    pieces = []
    for truths, rows in _chunks(starts, counts):
        close = np.abs(found_across[rows] - across[truths]) <= reach_across[truths]
        rows, truths = rows[close], truths[close]
        close = np.abs(found_down[rows] - down[truths]) <= reach_down[truths]
        rows, truths = rows[close], truths[close]
        ious = iou_of_pairs(found[rows], truth[truths], crowds[truths])
        enough = ious >= lowest_iou
        pieces.append((rows[enough], truths[enough], ious[enough]))
    if not pieces:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    rows, truths, ious = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Pairs(rows, truths, ious)


def _slack(found: Float[np.ndarray, " n"], truth: Float[np.ndarray, " t"]) -> float:
    """An upper limit of the rounding errors in sums of such coordinates."""
    return 1e-9 + 1e-12 * max(float(np.abs(side).max(initial=0)) for side in (found, truth))


def rows_of_runs(starts: Int[np.ndarray, " r"], sizes: Int[np.ndarray, " r"]) -> Int[np.ndarray, " n"]:
    """The rows of several runs, one run after the other: starts 5, 9 and sizes 2, 1 give 5, 6, 9."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    rows: Int[np.ndarray, " n"] = np.arange(total)
    rows += np.repeat(starts - (ends - sizes), sizes)
    return rows


def _chunks(
    starts: Int[np.ndarray, " t"], counts: Int[np.ndarray, " t"]
) -> Iterator[tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]]:
    """Truth index and row of every pair, a few truths at a time, about ``_CHUNK`` pairs each."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    borders = np.unique(np.searchsorted(ends, np.arange(0, total, _CHUNK), side="right"))
    for low, high in zip(borders, np.append(borders, len(counts))[1:], strict=True):
        yield np.repeat(np.arange(low, high), counts[low:high]), rows_of_runs(starts[low:high], counts[low:high])
