"""Where average precision is lost: the six error types of TIDE.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
arXiv:2008.08115, sections 3.1 and 3.2; written from the paper. Every wrong detection has one type, the first
that fits, by its best IoU with the truths of its picture:

- background: below 0.1 with every truth
- localisation: 0.1 to 0.5 with a truth of its own class
- classification: at least 0.5 with a truth of another class
- duplicate: at least 0.5 with a truth of its own class, which a surer detection took
- both: 0.1 to 0.5 with a truth of another class only

A truth is *missed* if nothing found it and no localisation or classification error points at it. The cost of a
type is how much AP at IoU 0.5 rises when an oracle mends only that type: it gives classification and
localisation errors the class and place of their truth (all but the surest one go, and all go if the truth was
found anyway), takes the other wrong detections away, and takes missed truths out of the count. The mean is always
over the classes that have truths to begin with: a class whose last truth is taken out of the count has AP 0, as
in the authors' tool (tidecv 1.0.1).

On purpose otherwise than there: detections that fell on a crowd are no errors and crowds are nobody's target, as
in COCO's protocol; the authors' tool also gives such detections types and mends them.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Int
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.average import mean_average_precision
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
    """One type of error: how often it occurs, and how much AP50 (0 to 1) mending it alone would add."""

    kind: str
    count: int
    cost: float


@dataclass(frozen=True)
class ErrorReport:
    """AP at IoU 0.5 and what each type of error takes from it.

    Attributes:
        AP50: for all sizes, at the largest detection limit.
        costs: the six types of the paper.
        totals: all wrong detections together, all unfound truths together.
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
        targets: row of the objects that a localisation or classification error points at; else -1.
    """

    positions: Int[np.ndarray, " w"]
    types: Int[np.ndarray, " w"]
    targets: Int[np.ndarray, " w"]


def explain_errors(matching: Matching) -> ErrorReport:
    """Split lost AP into types of errors.

    Raises:
        OptionError: the protocol does not measure IoU 0.5, or does not tell classes apart.
    """
    if FOREGROUND not in matching.protocol.iou_thresholds or matching.protocol.class_agnostic:
        raise OptionError("error types need IoU threshold 0.5 among the thresholds, and classes told apart")
    threshold = matching.protocol.iou_thresholds.index(FOREGROUND)
    fate = outcomes_at(matching, threshold)
    found = found_objects(matching, threshold)
    wrong = classify(matching, fate)
    base = _ap(matching, fate, np.zeros(0, np.int64), wrong, np.zeros(0, np.int64))
    costs = []
    for code, kind in enumerate(TYPES):
        mine = np.flatnonzero(wrong.types == code)
        mended = _ap(matching, fate, mine, wrong, np.flatnonzero(found))
        costs.append(ErrorCost(kind, len(mine), mended - base))
    pointed_at = np.zeros(len(found), bool)
    pointed_at[wrong.targets[wrong.targets >= 0]] = True
    counting = ~matching.objects.ignored[0]
    missed, unfound = counting & ~found & ~pointed_at, counting & ~found
    costs.append(ErrorCost("missed", int(missed.sum()), _ap_without(matching, fate, missed) - base))
    totals = (
        ErrorCost("all wrong detections", len(wrong.types), _ap_of_hits(matching, fate.true) - base),
        ErrorCost("all unfound truths", int(unfound.sum()), _ap_without(matching, fate, unfound) - base),
    )
    return ErrorReport(base, tuple(costs), totals)


def classify(matching: Matching, fate: Outcomes) -> Wrong:
    """Give every wrong detection its type, and the truth it was meant for."""
    positions = np.flatnonzero(fate.counted & ~fate.true)
    order = stable_order(matching.field.ranking.images[positions])
    positions = positions[order]
    pairs = _pairs_of_picture(matching, positions)
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
    return np.searchsorted(matching.field.ranking.class_starts, positions, side="right") - 1


def _pairs_of_picture(matching: Matching, positions: Int[np.ndarray, " w"]) -> Pairs:
    """Pairs of any class at IoU 0.1 or more; positions ordered by picture, crowds left out."""
    ranking, objects = matching.field.ranking, matching.objects
    rows = np.flatnonzero(~objects.ignored[0])
    pictures = matching.truth.images[objects.rows[rows]]
    images = ranking.images[positions]
    starts, ends = (np.searchsorted(images, pictures, side=side) for side in ("left", "right"))
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


def _ap(
    matching: Matching,
    fate: Outcomes,
    mended: Int[np.ndarray, " m"],
    wrong: Wrong,
    found: Int[np.ndarray, " f"],
) -> float:
    """AP50 after an oracle mended some wrong detections; none mended: AP50 as it is."""
    hits, kept = fate.true.copy(), fate.counted.copy()
    positions, targets = wrong.positions[mended], wrong.targets[mended]
    kept[positions] = False
    aimed = np.flatnonzero((targets >= 0) & ~np.isin(targets, found))
    # The surest error of each truth becomes its hit.
    order = aimed[np.lexsort((positions[aimed], -matching.field.ranking.scores[positions[aimed]]))]
    surest = order[np.unique(targets[order], return_index=True)[1]]
    kept[positions[surest]] = hits[positions[surest]] = True
    rows = np.flatnonzero(kept)
    classes = _class_of(matching, np.arange(len(kept)))
    classes[positions[surest]] = matching.objects.classes[targets[surest]]
    return mean_average_precision(
        classes[rows],
        matching.field.ranking.scores[rows],
        hits[rows],
        matching.field.positives[0],
        matching.field.positives[0] > 0,
        matching.protocol.recall_points,
    )


def _ap_of_hits(matching: Matching, hits: Bool[np.ndarray, " n"]) -> float:
    """AP50 if only the right detections had been made."""
    return _ap_of(matching, Outcomes(hits, hits), matching.field.positives[0])


def _ap_without(matching: Matching, fate: Outcomes, missed: Bool[np.ndarray, " t"]) -> float:
    """AP50 if these truths were not asked for."""
    positives = matching.field.positives[0]
    return _ap_of(
        matching, fate, positives - np.bincount(matching.objects.classes[missed], minlength=len(positives))
    )


def _ap_of(matching: Matching, fate: Outcomes, positives: Int[np.ndarray, " k"]) -> float:
    rows = np.flatnonzero(fate.counted)
    return mean_average_precision(
        _class_of(matching, rows),
        matching.field.ranking.scores[rows],
        fate.true[rows],
        positives,
        matching.field.positives[0] > 0,
        matching.protocol.recall_points,
    )
