"""Puts together what was found in several views of one image: one exact suppression that knows their borders.

Two boxes of one class from different views show the same object where they agree on what both views could see:
their *shared IoU*, that of each box cut to the other's view, is above a threshold. So half an object at a tile's
border agrees with the whole object in the next tile, however small the IoU of the two boxes. Of boxes that agree
one stays: whole ones go before those that a border cuts, then better scores before lower. Boxes of one view are
not compared again: there the one path's own suppression has decided.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.detections import Detections
from lucidbox.detect.nms import Limits, order_by_score
from lucidbox.detect.predictor import View

SHARED_IOU = 0.5
"""Boxes of different views show one object above this shared IoU, or above the limit's own if that is lower."""

BORDER = 0.01
"""A border cuts a box that comes as near to it as this share of the view's side."""

PORTION = 2**15  # pairs looked at together


def merge(parts: Sequence[tuple[View, Detections]], limits: Limits) -> Detections:
    """What stays of the boxes of several views of one image, best score first, in the image's own pixels.

    The order of the views does not matter. What one view alone found is returned as it is.

    Args:
        parts: each view and what was found in it, in its own pixels.
        limits: ``iou``, ``agnostic`` and ``max_det`` are heeded here.
    """
    if len(parts) == 1:
        return parts[0][1]
    # Of equal scores that of the smaller view counts, whose pixels are finer.
    parts = sorted(parts, key=lambda part: (math.prod(part[0].size), part[0]))
    counts = [len(found) for _, found in parts]
    sides = np.array([view for view, _ in parts], np.float32)
    owners = np.repeat(np.arange(len(parts)), counts)
    origins = sides[:, [0, 1, 0, 1]]
    joined = Detections(
        np.concatenate([found.boxes + origin for (_, found), origin in zip(parts, origins, strict=True)]),
        np.concatenate([found.scores for _, found in parts]),
        np.concatenate([found.classes for _, found in parts]),
        parts[0][1].names,
    )
    labels = np.zeros_like(joined.classes) if limits.agnostic else joined.classes
    pairs = agreeing_pairs(joined.boxes, labels, owners, sides, min(limits.iou, SHARED_IOU))
    by_score = order_by_score(joined.scores)
    ranks = np.empty(len(owners), np.intp)
    ranks[by_score] = np.arange(len(owners))
    ranks += len(owners) * cut_by_border(joined.boxes, owners, sides)  # after all that are whole
    stays = _greedy(ranks, pairs)
    return joined[by_score[stays[by_score]][: limits.max_det]]


def cut_by_border(
    boxes: Float[np.ndarray, "n 4"], owners: Int[np.ndarray, " n"], views: Float[np.ndarray, "v 4"]
) -> Bool[np.ndarray, " n"]:
    """Which boxes end at a border of their view that is not the image's.

    Args:
        boxes: xyxy, pixels of the image.
        owners: row of ``views`` of each box.
        views: xyxy of all views, which together reach to the image's borders.
    """
    near = BORDER * (views[:, 2:] - views[:, :2])
    cut = np.zeros(len(boxes), bool)
    for side in (0, 1):
        low, high = views[:, side], views[:, side + 2]
        # A box beyond these ends at a border. At the image's own border no box lies beyond.
        least = np.where(low > low.min(), low + near[:, side], -np.inf)
        most = np.where(high < high.max(), high - near[:, side], np.inf)
        cut |= (boxes[:, side] <= least[owners]) | (boxes[:, side + 2] >= most[owners])
    return cut


def agreeing_pairs(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, " n"],
    owners: Int[np.ndarray, " n"],
    views: Float[np.ndarray, "v 4"],
    threshold: float,
) -> Int[np.ndarray, "2 p"]:
    """Pairs of boxes of one label and of different views whose shared IoU is above the threshold.

    Args:
        boxes: xyxy, pixels of the image.
        labels: what must be equal.
        owners: row of ``views`` of each box.
        views: xyxy of each view.
        threshold: for the shared IoU.
    """
    found = [np.zeros((2, 0), np.intp)]
    for first, second in near_pairs(boxes, labels, owners):
        pair = boxes[first].astype(np.float64), boxes[second].astype(np.float64)
        common = _intersections(*pair)
        # What both views see of two boxes has the same intersection as the boxes, each in its own view.
        union = _intersections(pair[0], views[owners[second]])
        union += _intersections(pair[1], views[owners[first]])
        union -= common
        agree = common > threshold * union
        found.append(np.stack([first[agree], second[agree]]))
    return np.concatenate(found, axis=1)


def _intersections(first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Area that the two boxes of each row have in common."""
    overlap = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    np.maximum(overlap, 0, out=overlap)
    areas: Float[np.ndarray, " n"] = overlap[:, 0] * overlap[:, 1]
    return areas


def near_pairs(
    boxes: Float[np.ndarray, "n 4"], labels: Int[np.ndarray, " n"], owners: Int[np.ndarray, " n"]
) -> Iterator[tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]]:
    """Rows of all pairs that may agree: of one label, of different views, with sides that overlap; each pair once.

    Boxes lie in horizontal strips, a few times as high as boxes are on average, in as many as they touch. In each
    strip they are sorted by their left sides, so that those which begin before a box ends follow it.
    """
    if len(boxes) == 0:
        return
    left, top, right, bottom = boxes.T.copy()
    # Boxes of other people's models may be inside out: they touch nothing.
    np.maximum(left, right, out=right)
    np.maximum(top, bottom, out=bottom)
    # The more labels there are to keep boxes apart, the higher strips may be, and the fewer boxes lie in several.
    height = float((bottom - top).mean()) * min(max(2, int(labels.max()) + 1), 8)
    per_pixel = np.float32(1 / max(1.0, height))
    highest, lowest = (top * per_pixel).astype(np.int64), (bottom * per_pixel).astype(np.int64)
    # Label, strip and side in one integer, which NumPy sorts fast; 1/64 of a pixel is enough to find what is near.
    width = int(right.max() * 64) + 2
    begins, lengths = (left * 64).astype(np.int64), (right * 64).astype(np.int64) + 1
    lengths -= begins
    begins += (labels * (int(lowest.max()) + 1) + highest) * width
    # Boxes are there once for each further strip, too.
    more = lowest - highest
    again = np.repeat(np.arange(len(boxes)), more)
    further = np.arange(1, len(again) + 1) - np.repeat(np.cumsum(more) - more, more)
    begins = np.concatenate([begins, begins[again] + further * width])
    order = np.argsort(begins)
    begins, repeated, rows = begins[order], order >= len(boxes), np.append(np.arange(len(boxes)), again)[order]
    owner, upper, lower = owners[rows], top[rows], bottom[rows]
    after = np.searchsorted(begins, begins + lengths[rows]) - np.arange(1, len(order) + 1)
    totals = np.zeros(len(order) + 1, np.int64)
    np.cumsum(after, out=totals[1:])
    start = 0
    while start < len(order):
        stop = max(start + 1, int(np.searchsorted(totals, totals[start] + PORTION)) - 1)
        some = after[start:stop]
        first = np.repeat(np.arange(start, stop), some)
        second = np.arange(1 + totals[start], 1 + totals[stop])
        second += np.repeat(np.arange(start, stop) - totals[start:stop], some)
        differ = owner[first] != owner[second]
        first, second = first[differ], second[differ]
        near = (upper[first] < lower[second]) & (upper[second] < lower[first])
        # Boxes that meet in several strips meet for the first time where one of them begins.
        near &= ~(repeated[first] & repeated[second])
        yield rows[first[near]], rows[second[near]]
        start = stop


def _greedy(ranks: Int[np.ndarray, " n"], pairs: Int[np.ndarray, "2 p"]) -> Bool[np.ndarray, " n"]:
    """Which boxes stay: best rank first, each drops those it is paired with.

    All boxes without a better rival left are settled at once, then what they drop no longer drops others.
    """
    stays = np.ones(len(ranks), bool)
    swap = ranks[pairs[0]] > ranks[pairs[1]]
    better, worse = np.where(swap, pairs[::-1], pairs)
    while len(better):
        open_ones = np.zeros(len(ranks), bool)
        open_ones[worse] = True
        stays[worse[~open_ones[better]]] = False
        left = stays[better] & stays[worse]
        better, worse = better[left], worse[left]
    return stays
