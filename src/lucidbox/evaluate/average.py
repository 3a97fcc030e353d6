"""Average precision of plain hit lists, for the analyses that change what counts."""

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.evaluate.curves import hits_needed


def precision_at_points(
    hits: Bool[np.ndarray, " n"], positives: int, points: tuple[float, ...]
) -> Float[np.ndarray, " r"]:
    """Highest precision at or beyond each recall point.

    Args:
        hits: whether each counted detection is right, best score first.
        positives: number of truths, at least 1.
        points: recalls.
    """
    right = np.flatnonzero(hits)
    precision = np.arange(1, len(right) + 1) / (right + 1 + np.spacing(1))
    best: Float[np.ndarray, " h"] = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    needed = np.maximum(hits_needed(np.array([[positives]]), points)[0, 0], 1)
    reached: Float[np.ndarray, " r"] = best[np.minimum(needed - 1, len(right))]
    return reached


def mean_average_precision(
    classes: Int[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    hits: Bool[np.ndarray, " n"],
    positives: Int[np.ndarray, " k"],
    measured: Bool[np.ndarray, " k"],
    points: tuple[float, ...],
) -> float:
    """Mean over the measured classes of the mean precision at the recall points; -1 without any class.

    Args:
        classes: class of each counted detection.
        scores: its score; equal ones stay in the order given.
        hits: whether it is right.
        positives: number of truths per class; a class without any contributes 0.
        measured: which classes the mean is taken over.
        points: recalls.
    """
    order = np.lexsort((-scores, classes))
    borders = np.searchsorted(classes[order], np.arange(len(positives) + 1))
    ranked = hits[order]
    values = [
        precision_at_points(ranked[borders[index] : borders[index + 1]], int(positives[index]), points).mean()
        if positives[index]
        else 0.0
        for index in np.flatnonzero(measured)
    ]
    return float(np.mean(values)) if values else -1.0
