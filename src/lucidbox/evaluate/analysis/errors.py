"""Where average precision is lost: the six error types of TIDE.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
arXiv:2008.08115, sections 3.1 and 3.2; written from the paper. Every wrong detection has one type, the first
that fits, by its best IoU with the truths of its image:

- background: below 0.1 with every truth
- localisation: 0.1 to 0.5 with a truth of its own class
- classification: at least 0.5 with a truth of another class
- duplicate: at least 0.5 with a truth of its own class that a detection of higher score was matched with
- both: 0.1 to 0.5 with a truth of another class only

A truth is *missed* if no detection was matched with it and no localisation or classification error has it as its
target. The cost of a type is how much AP at IoU 0.5 rises when that type alone is corrected: classification and
localisation errors get the class and place of their target (only the one of highest score; the others are
removed, and all are if the target was found anyway), other wrong detections are removed, and missed truths are
not counted. The mean is always over the classes that have truths to begin with: a class whose last truth is not
counted has AP 0, as in the authors' tool (tidecv 1.0.1).

One deliberate difference: detections on a crowd are no errors and crowds are no targets, as in COCO's protocol;
the authors' tool gives such detections types and corrects them.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Int
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.curves import envelope, hits_needed
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.operating import Outcomes, found_objects, outcomes_at
from lucidbox.evaluate.overlaps import Boxes, Pairs, list_pairs
from lucidbox.evaluate.ranking import stable_order

FOREGROUND, BACKGROUND = 0.5, 0.1
TYPES = ("localisation", "classification", "duplicate", "background", "both")
"""Types of wrong detections, by the codes 0 to 4; missed truths are the sixth type."""
_LOCALISATION, _CLASSIFICATION, _DUPLICATE, _BACKGROUND, _BOTH = range(5)


@dataclass(frozen=True)
class ErrorCost:
    """One type of error: how often it occurs, and how much AP50 (0 to 1) correcting it alone would add."""

    kind: str
    count: int
    cost: float


@dataclass(frozen=True)
class ErrorReport:
    """AP at IoU 0.5 and what each type of error takes from it.

    Attributes:
        AP50: for all sizes, at the largest detection limit.
        costs: the six types of the paper.
        totals: all wrong detections at once, all unfound truths at once.

    Example:
        >>> report = explain_errors(evaluate(truth, predictions).matching)
        >>> max(report.costs, key=lambda error: error.cost).kind
    """

    AP50: float
    costs: tuple[ErrorCost, ...]
    totals: tuple[ErrorCost, ...]


@dataclass(frozen=True, eq=False)
class Wrong:
    """Wrong detections and what is wrong with them.

    Attributes:
        positions: position in the ranking.
        types: index into ``TYPES``.
        targets: row of the object that a localisation or classification error should have found; else -1.
    """

    positions: Int[np.ndarray, " w"]
    types: Int[np.ndarray, " w"]
    targets: Int[np.ndarray, " w"]


def explain_errors(matching: Matching) -> ErrorReport:
    """Split lost AP into types of errors.

    Raises:
        OptionError: the protocol does not measure IoU 0.5, or is class-agnostic.
    """
    if FOREGROUND not in matching.protocol.iou_thresholds or matching.protocol.class_agnostic:
        raise OptionError("error types need IoU threshold 0.5 among the thresholds, and classes told apart")
    threshold = matching.protocol.iou_thresholds.index(FOREGROUND)
    outcomes = outcomes_at(matching, threshold)
    found = found_objects(matching, threshold)
    wrong = classify(matching, outcomes)
    base = _mean_ap(matching, outcomes)
    costs = []
    for code, kind in enumerate(TYPES):
        rows = np.flatnonzero(wrong.types == code)
        costs.append(ErrorCost(kind, len(rows), _corrected_ap(matching, outcomes, rows, wrong, found) - base))
    targeted = np.zeros(len(found), bool)
    targeted[wrong.targets[wrong.targets >= 0]] = True
    unfound = ~matching.objects.ignored[0] & ~found
    missed = unfound & ~targeted
    costs.append(ErrorCost("missed", int(missed.sum()), _mean_ap(matching, outcomes, without=missed) - base))
    right_only = Outcomes(outcomes.true, outcomes.true)
    totals = (
        ErrorCost("all wrong detections", len(wrong.types), _mean_ap(matching, right_only) - base),
        ErrorCost("all unfound truths", int(unfound.sum()), _mean_ap(matching, outcomes, without=unfound) - base),
    )
    return ErrorReport(base, tuple(costs), totals)


def classify(matching: Matching, outcomes: Outcomes) -> Wrong:
    """Give every wrong detection its type and its target."""
    positions = np.flatnonzero(outcomes.counted & ~outcomes.true)
    order = stable_order(matching.ranking.images[positions])
    positions = positions[order]
    pairs = _pairs_of_images(matching, positions)
    classes = _class_of(matching, positions)
    own = matching.objects.classes[pairs.truths] == classes[pairs.detections]
    own_best, own_truth = _best(pairs, own, len(positions))
    other_best, other_truth = _best(pairs, ~own, len(positions))
    types = np.select(
        [
            np.maximum(own_best, other_best) < BACKGROUND,
            (own_best >= BACKGROUND) & (own_best < FOREGROUND),
            other_best >= FOREGROUND,
            own_best >= FOREGROUND,
        ],
        [_BACKGROUND, _LOCALISATION, _CLASSIFICATION, _DUPLICATE],
        _BOTH,
    )
    targets = np.select([types == _LOCALISATION, types == _CLASSIFICATION], [own_truth, other_truth], -1)
    return Wrong(positions, types, targets)


def _class_of(matching: Matching, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return np.searchsorted(matching.ranking.class_starts, positions, side="right") - 1


def _pairs_of_images(matching: Matching, positions: Int[np.ndarray, " w"]) -> Pairs:
    """Pairs of any class at IoU 0.1 or more; positions are ordered by image, crowds left out."""
    ranking, objects = matching.ranking, matching.objects
    rows = np.flatnonzero(~objects.ignored[0])
    images = matching.truth.images[objects.rows[rows]]
    starts, ends = (np.searchsorted(ranking.images[positions], images, side=side) for side in ("left", "right"))
    boxes = Boxes.from_xywh(matching.predictions.boxes_xywh[ranking.detections[positions]])
    single = np.zeros(len(rows), bool)
    pairs = list_pairs(boxes, starts, ends - starts, objects.boxes[rows], single, BACKGROUND)
    return Pairs(pairs.detections, rows[pairs.truths], pairs.ious)


def _best(pairs: Pairs, chosen: Bool[np.ndarray, " p"], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Best IoU of each detection among the chosen pairs and its truth; 0 and -1 where there is none."""
    detections, truths, ious = pairs.detections[chosen], pairs.truths[chosen], pairs.ious[chosen]
    order = np.lexsort((ious, detections))
    best, truth = np.zeros(count), np.full(count, -1)
    # Of repeated indices NumPy keeps the last assignment, here the highest IoU.
    best[detections[order]], truth[detections[order]] = ious[order], truths[order]
    return best, truth


def _corrected_ap(
    matching: Matching,
    outcomes: Outcomes,
    rows: Int[np.ndarray, " m"],
    wrong: Wrong,
    found: Bool[np.ndarray, " t"],
) -> float:
    """AP50 after these rows of the wrong detections are corrected."""
    true, counted = outcomes.true.copy(), outcomes.counted.copy()
    positions, targets = wrong.positions[rows], wrong.targets[rows]
    counted[positions] = False
    aimed = np.flatnonzero((targets >= 0) & ~np.isin(targets, np.flatnonzero(found)))
    # The error of highest score becomes the match of its target.
    order = aimed[np.lexsort((positions[aimed], -matching.ranking.scores[positions[aimed]]))]
    best = order[np.unique(targets[order], return_index=True)[1]]
    counted[positions[best]] = true[positions[best]] = True
    classes = _class_of(matching, np.arange(len(counted)))
    classes[positions[best]] = matching.objects.classes[targets[best]]
    return _mean_ap(matching, Outcomes(true, counted), classes)


def _mean_ap(
    matching: Matching,
    outcomes: Outcomes,
    classes: Int[np.ndarray, " n"] | None = None,
    without: Bool[np.ndarray, " t"] | None = None,
) -> float:
    """AP50 over the classes that have truths; -1 if none has.

    Args:
        matching: the matches.
        outcomes: which detections count, and which are right.
        classes: class of each ranked detection; None for its own.
        without: objects that are not counted.
    """
    rows = np.flatnonzero(outcomes.counted)
    own = _class_of(matching, rows) if classes is None else classes[rows]
    order = np.lexsort((-matching.ranking.scores[rows], own))
    hits = np.flatnonzero(outcomes.true[rows[order]])
    positives = measured = matching.positives[0]
    if without is not None:
        positives = measured - np.bincount(matching.objects.classes[without], minlength=len(measured))
    borders = np.searchsorted(own[order], np.arange(len(measured) + 1))
    starts = np.searchsorted(hits, borders)
    sizes = np.diff(starts)
    numbers = np.arange(1, len(hits) + 1) - np.repeat(starts[:-1], sizes)
    precision = numbers / (hits - np.repeat(borders[:-1], sizes) + 1 + np.spacing(1))
    best, _ = envelope(starts, precision, np.maximum(hits_needed(positives, matching.protocol.recall_points), 1))
    values = np.where(positives > 0, np.ascontiguousarray(best).mean(axis=1), 0.0)[measured > 0]
    return float(np.mean(values)) if len(values) else -1.0
