"""Confusion matrix at a score threshold: how often each class was detected as each other."""

from dataclasses import dataclass, replace

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.evaluate.analysis.notebook_variant import ANY_SIZE
from lucidbox.evaluate.evaluation import Matching, match_all
from lucidbox.evaluate.operating import matched_pairs, outcomes_at
from lucidbox.evaluate.protocol import NO_LIMIT, Protocol


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often truths of each class were detected as each class; crowds and detections on them are left out.

    Attributes:
        counts: rows are the truth's class, columns the detection's; the last row is background (no truth was
            there), the last column missed (no detection was there).
        names: class names, without the last row and column.
        category_ids: their ids in the annotations.
        score: only detections that score at least this are counted.
        iou: least IoU of a detection and its truth.

    Example:
        >>> result = confusion(evaluate(truth, predictions).matching, score=0.3)
        >>> result.counts[0, -1]      # missed objects of the first class
    """

    counts: Int[np.ndarray, "k1 k1"]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    score: float
    iou: float


def confusion(matching: Matching, score: float = 0.25, iou: float = 0.5) -> Confusion:
    """Count which class was detected as which.

    Detections are matched with truths of their own class first, best score first, as in the evaluation; what is
    left over is then matched without regard to class.

    Args:
        matching: matches of an evaluation that is not class-agnostic.
        score: score threshold, by default that of ``lucidbox predict``.
        iou: IoU threshold.
    """
    truth, sure = matching.truth, matching.predictions[matching.predictions.scores >= score]
    rules = Protocol((iou,), (0.0,), (ANY_SIZE,), (NO_LIMIT,), matching.protocol.classes)
    own = match_all(truth, sure, rules)
    names = len(own.category_ids)
    counts = np.zeros((names + 1, names + 1), np.int64)
    matched_truths, matched_found = _matched(own)
    classes = own.objects.classes
    np.add.at(counts, (classes[matched_truths], classes[matched_truths]), 1)
    left_truth = np.setdiff1d(np.arange(len(classes)), matched_truths)
    left_found = outcomes_at(own).counted
    left_found[matched_found] = False
    rest_truth = truth[np.sort(own.objects.rows[left_truth])]
    rest_found = sure[np.sort(own.ranking.detections[left_found])]
    rest = match_all(rest_truth, rest_found, replace(rules, class_agnostic=True))
    truth_class, found_class = _classes(own, rest)
    some_truths, some_found = _matched(rest)
    np.add.at(counts, (truth_class[some_truths], found_class[some_found]), 1)
    missed = ~rest.objects.crowds
    missed[some_truths] = False
    background = outcomes_at(rest).counted
    background[some_found] = False
    counts[:-1, -1] += np.bincount(truth_class[missed], minlength=names)
    counts[-1, :-1] += np.bincount(found_class[background], minlength=names)
    return Confusion(counts, own.class_names, own.category_ids, score, iou)


def _matched(matching: Matching) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Rows of the objects and positions of the detections that were matched and count."""
    pairs, rows = matching.candidates.pairs, matched_pairs(matching)
    return pairs.truths[rows], pairs.detections[rows]


def _classes(own: Matching, rest: Matching) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " n"]]:
    """Class of each leftover truth and, by position, of each leftover detection."""
    ids = np.array(own.category_ids, np.int64)
    truths = rest.truth.category_ids[rest.truth.categories[rest.objects.rows]]
    found = rest.predictions.category_ids[rest.ranking.detections]
    return np.searchsorted(ids, truths), np.searchsorted(ids, found)
