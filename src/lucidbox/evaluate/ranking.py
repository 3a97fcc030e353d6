"""Sort detections as the protocol requires: by class, best score first, ties as in pycocotools."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float, Int, Shaped


@dataclass(frozen=True, eq=False)
class Ranking:
    """Detections sorted by class, then score (high first), then image, then row.

    A detection's index in this order is its position. Curves are running sums over positions.

    Attributes:
        detections: row of the given arrays at each position.
        scores: score at each position.
        images: image index at each position.
        class_starts: where each class begins; the last entry is the number of positions.
        ranks: the detection's place, from 0, among those of its image and class.
        grouped: positions in the order (image, class, score): each group is one contiguous run.
        group_starts: where each group of ``grouped`` begins; the last entry is the number of positions.
        group_ids: image index times number of classes plus class, for each group; ascending.
    """

    detections: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]
    images: Int[np.ndarray, " n"]
    class_starts: Int[np.ndarray, " k1"]
    ranks: Int[np.ndarray, " n"]
    grouped: Int[np.ndarray, " n"]
    group_starts: Int[np.ndarray, " g1"]
    group_ids: Int[np.ndarray, " g"]


def rank_detections(
    images: Int[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    class_count: int,
) -> Ranking:
    """Sort detections as pycocotools does: by score, equal scores by image, then by row.

    Args:
        images: image index of each detection.
        classes: class index of each detection.
        scores: finite numbers.
        class_count: number of classes; indices lie below it.
    """
    by_image = stable_order(images) if np.any(images[1:] < images[:-1]) else None
    if by_image is not None:
        images, classes, scores = images[by_image], classes[by_image], scores[by_image]
    order, classes_ranked, scores_ranked = best_first(classes, scores)
    images_ranked = images[order]
    # A stable sort by image keeps classes together and scores falling inside each image.
    grouped = stable_order(images_ranked)
    group = (images_ranked * class_count + classes_ranked)[grouped]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(first, append=len(group))
    # 32 bits are enough for an image's detections, and half the memory saves time everywhere.
    ranks = np.empty(len(group), np.int32)
    ranks[grouped] = np.arange(len(group), dtype=np.int32) - np.repeat(first.astype(np.int32), sizes)
    return Ranking(
        order if by_image is None else by_image[order],
        scores_ranked,
        images_ranked,
        np.searchsorted(classes_ranked, np.arange(class_count + 1)),
        ranks,
        grouped,
        np.append(first, len(group)),
        group[first],
    )


def best_first(
    classes: Int[np.ndarray, " n"], scores: Float[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Order by class, then by falling score, then by row; also classes and scores in that order.

    One sort of packed integers (class, score bits, row) takes half the time of an indirect sort. Where a score's
    bits do not all fit, the low ones are left out. If that changes the order, which only scores that agree in
    their first 30 or so bits can do, the indirect sort is used.
    """
    count = len(scores)
    if count == 0:
        return np.zeros(0, np.int64), classes, scores
    row_bits = int(count).bit_length()
    class_bits = int(classes.max()).bit_length()
    falling = _falling_bits(scores)
    dropped = max(0, int(falling.max()).bit_length() - (63 - row_bits - class_bits))
    key = falling >> np.uint64(dropped)
    key |= classes.astype(np.uint64) << np.uint64(63 - row_bits - class_bits)
    key <<= np.uint64(row_bits)
    key |= np.arange(count, dtype=np.uint64)
    # Signed, because NumPy's fast sort serves both and the top bit is free.
    signed = key.view(np.int64)
    signed.sort()
    order = signed & ((1 << row_bits) - 1)
    ranked_classes, ranked_scores = signed >> (63 - class_bits), scores[order]
    if dropped:
        rising = ranked_scores[1:] > ranked_scores[:-1]
        if np.any(rising & (ranked_classes[1:] == ranked_classes[:-1])):
            order = np.lexsort((-scores, classes))
            ranked_scores = scores[order]
    return order, ranked_classes, ranked_scores


def _falling_bits(scores: Float[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Unsigned integers in the reverse order of the scores; the highest score is 0."""
    # Adding zero turns -0.0 into 0.0, which must tie.
    bits = (scores + 0.0).view(np.uint64)
    # Doubles are sign and magnitude: flip all bits of negative ones, and the sign bit of the others.
    if scores.min() < 0:
        negative = bits >> np.uint64(63) != 0
        bits = np.where(negative, ~bits, bits | np.uint64(1 << 63))
    falling: Shaped[np.ndarray, " n"] = bits.max() - bits
    return falling


def stable_order(keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Indices that sort small whole numbers; equal ones keep their order."""
    # NumPy sorts 16-bit integers by radix, six times as fast as wider ones.
    narrow = keys.astype(np.uint16) if len(keys) and keys.max() < 1 << 16 else keys
    return np.argsort(narrow, kind="stable")
