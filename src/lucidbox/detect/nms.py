"""From scores of every anchor to the few boxes that stay: selection, then exact greedy suppression.

Both are exact and deterministic: no clock, no sampling, ties go to the lower index. Greedy non-maximum
suppression takes boxes best first and drops each box that overlaps a kept one of its class by more than a
threshold.
"""

from dataclasses import dataclass, field

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.boxes import areas
from lucidbox.core.errors import OptionError, check_whole_number

BLOCK = 128  # candidates tested against the kept boxes at once: their matrix stays in the cache


@dataclass(frozen=True)
class Limits:
    """What counts as a detection.

    Attributes:
        conf: a score must be greater than this.
        iou: a box is dropped when it overlaps a better one of its class by more than this.
        max_det: most boxes of a picture.
        classes: class ids to keep, or None for all. Chosen after an anchor's best class is: a cat is not
            turned into a dog by asking for dogs.
        agnostic: suppress across classes.
        several_labels: an anchor may answer with every class above ``conf`` (validation), not only its best.
        candidates: most boxes that enter suppression, by score.

    Raises:
        OptionError: a value is out of range; the message names it.
    """

    conf: float = 0.25
    iou: float = 0.7
    max_det: int = 300
    classes: tuple[int, ...] | None = field(default=None)
    agnostic: bool = False
    several_labels: bool = False
    candidates: int = 30_000

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if not isinstance(value, (int, float, np.number)):
                raise OptionError(f"{name} {value!r} is not a number")
            if not 0 <= value <= 1:
                raise OptionError(f"{name} {value} is not between 0 and 1")
        for name in ("max_det", "candidates"):
            check_whole_number(name, getattr(self, name))


@dataclass(frozen=True)
class Candidates:
    """Boxes above the confidence threshold, best score first, ties by lower anchor, then lower class.

    Attributes:
        anchors: index of each candidate's anchor.
        classes: class id of each.
        scores: score of each.
    """

    anchors: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]

    def __getitem__(self, chosen: Int[np.ndarray, " k"] | Bool[np.ndarray, " n"]) -> "Candidates":
        return Candidates(self.anchors[chosen], self.classes[chosen], self.scores[chosen])


def select(scores: Float[np.ndarray, "a c"], limits: Limits) -> Candidates:
    """The candidates among one picture's anchors.

    Args:
        scores: probability of each class at each anchor.
        limits: ``conf``, ``classes``, ``several_labels`` and ``candidates`` are heeded here.
    """
    flat = np.ascontiguousarray(scores).reshape(-1)
    # One pass over all scores finds the few that matter; everything after touches only those.
    hits = np.flatnonzero(flat > limits.conf)
    anchors, classes = np.divmod(hits, scores.shape[1])
    found = Candidates(anchors, classes, flat[hits])
    if not limits.several_labels:
        found = _best_class(found)
    if limits.classes is not None:
        found = found[np.isin(found.classes, limits.classes)]
    return found[order_by_score(found.scores)[: limits.candidates]]


def _best_class(found: Candidates) -> Candidates:
    """One candidate an anchor: its best class, the lower one of equals. Input is in anchor order."""
    if len(found.anchors) == 0:
        return found
    first = np.flatnonzero(np.diff(found.anchors, prepend=-1))
    if len(first) == len(found.anchors):
        return found
    best = np.maximum.reduceat(found.scores, first)
    is_best = found.scores == np.repeat(best, np.diff(first, append=len(found.anchors)))
    # Of several equal bests an anchor keeps the first: the lower class id.
    rows = np.flatnonzero(is_best)
    return found[rows[np.flatnonzero(np.diff(found.anchors[rows], prepend=-1))]]


def order_by_score(scores: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Order of falling scores, equal ones by rising index."""
    if scores.dtype != np.float32:
        return np.argsort(-scores, kind="stable")
    # Floats order like their bits (sign aside), so score and index fit one integer, and NumPy sorts
    # integers several times faster than it sorts indices stably.
    bits = scores.view(np.uint32)
    falling = np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))
    keys = falling.astype(np.uint64) << np.uint64(32) | np.arange(len(scores), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)


def suppress(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    iou: float = 0.7,
    max_det: int | None = 300,
    agnostic: bool = False,
) -> Int[np.ndarray, " k"]:
    """Exact greedy non-maximum suppression, per class.

    Args:
        boxes: xyxy, any unit.
        scores: of each box; need not be sorted.
        classes: class id of each box. Boxes of different classes never suppress one another.
        iou: a box stays if its IoU with every kept box of its class is at most this.
        max_det: stop when so many are kept; None for no limit.
        agnostic: treat all boxes as one class.

    Returns:
        Indices of the kept boxes, best score first, equal scores by lower index.
    """
    order = order_by_score(scores)
    labels = np.zeros(len(order), np.int64) if agnostic else classes[order]
    kept: Int[np.ndarray, " k"] = order[
        _suppress_ranked(boxes, order, labels, iou, len(order) if max_det is None else max_det)
    ]
    return kept


def detect(
    boxes: Float[np.ndarray, "a 4"], scores: Float[np.ndarray, "a c"], limits: Limits
) -> tuple[Float[np.ndarray, "n 4"], Candidates]:
    """Selection and suppression of one picture's network output.

    Returns:
        The kept boxes (xyxy, same pixels as ``boxes``) and, row for row, their anchors, classes and scores.
    """
    found = select(scores, limits)
    labels = np.zeros_like(found.classes) if limits.agnostic else found.classes
    kept = found[_suppress_ranked(boxes, found.anchors, labels, limits.iou, limits.max_det)]
    return boxes[kept.anchors], kept


def _suppress_ranked(
    boxes: Float[np.ndarray, "a 4"],
    rows: Int[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    iou: float,
    most: int,
) -> Int[np.ndarray, " k"]:
    """Greedy suppression of the boxes at ``rows``, which come best first: positions in ``rows`` that stay.

    Candidates go in blocks: a block is tested against the boxes kept so far, then resolved within itself.
    Most blocks are never reached: ``most`` boxes are found long before.
    """
    kept = np.empty(min(most, len(rows)), np.intp)
    filled = 0
    # The kept boxes' own copies: gathered once each instead of once a block.
    kept_sides, kept_sizes = np.empty((4, len(kept)), boxes.dtype), np.empty(len(kept), boxes.dtype)
    kept_classes = np.empty(len(kept), classes.dtype)
    for start in range(0, len(rows), BLOCK):
        block = boxes[rows[start : start + BLOCK]]
        sides, sizes, labels = block.T.copy(), areas(block), classes[start : start + BLOCK]
        seen = slice(0, filled)
        dropped = _overlaps(
            sides, sizes, labels, kept_sides[:, seen], kept_sizes[seen], kept_classes[seen], iou
        ).any(axis=1)
        free = np.flatnonzero(~dropped)
        free = free[_resolve(sides[:, free], sizes[free], labels[free], iou)][: len(kept) - filled]
        added = slice(filled, filled + len(free))
        kept[added], kept_sides[:, added] = start + free, sides[:, free]
        kept_sizes[added], kept_classes[added] = sizes[free], labels[free]
        filled = added.stop
        if filled == len(kept):
            break
    return kept[:filled]


def _resolve(
    sides: Float[np.ndarray, "4 n"],
    sizes: Float[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    iou: float,
) -> Bool[np.ndarray, " n"]:
    """Greedy suppression inside one small block that comes best first: which stay."""
    conflicts = np.triu(_overlaps(sides, sizes, classes, sides, sizes, classes, iou), k=1)
    stays = np.ones(len(sizes), bool)
    for row in np.flatnonzero(conflicts.any(axis=1)):
        if stays[row]:
            stays &= ~conflicts[row]
    return stays


def _overlaps(
    sides: Float[np.ndarray, "4 n"],
    sizes: Float[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    other_sides: Float[np.ndarray, "4 m"],
    other_sizes: Float[np.ndarray, " m"],
    other_classes: Int[np.ndarray, " m"],
    iou: float,
) -> Bool[np.ndarray, "n m"]:
    """Which pairs are of one class and have an IoU greater than ``iou``."""
    left, top, right, bottom = sides[:, :, None]
    other_left, other_top, other_right, other_bottom = other_sides
    overlap = np.minimum(right, other_right)
    overlap -= np.maximum(left, other_left)
    np.maximum(overlap, 0, out=overlap)
    height = np.minimum(bottom, other_bottom)
    height -= np.maximum(top, other_top)
    np.maximum(height, 0, out=height)
    overlap *= height
    union = np.add(sizes[:, None], other_sizes, out=height)
    union -= overlap
    # Where the union is empty so is the overlap: 0 / 1 is the IoU of 0 that is wanted there.
    union[union <= 0] = 1
    np.divide(overlap, union, out=overlap)
    # Labels are compared, never added to boxes: an offset would round them.
    conflicts: Bool[np.ndarray, "n m"] = (overlap > iou) & (classes[:, None] == other_classes)
    return conflicts
