"""Where average precision is lost: the six error types of TIDE.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
arXiv:2008.08115, sections 3.1 and 3.2. Every wrong detection has one type, the first that fits, by its best IoU
with the truths of its image:

- localisation: 0.1 to 0.5 with a truth of its own class
- classification: at least 0.5 with a truth of another class
- duplicate: at least 0.5 with a truth of its own class that a detection of higher score was matched with
- background: at most 0.1 with every truth
- both: above 0.1 with a truth of another class only

A truth is *missed* if no detection was matched with it and no localisation or classification error has it as its
target. The cost of a type is how much AP at IoU 0.5 rises when that type alone is corrected: of all localisation
and classification errors at a truth that was not found the one of highest score gets its class and place, the
others are removed, as are all other wrong detections; missed truths are not counted.

The numbers are those of the authors' tool (tidecv 1.0.1), which decides what the paper leaves open: only the best
detections of an image over all classes are looked at, as many as the largest limit; detections on crowds, which
change no AP, have types and are corrected, too; the mean is over all classes that have a truth that counts or a
detection that counts, so that a class without either leaves it; no cost is below 0.
"""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.curves import curves_of, envelope, hits_needed
from lucidbox.evaluate.evaluation import Matching
from lucidbox.evaluate.operating import Outcomes, matched_pairs, outcomes_at
from lucidbox.evaluate.overlaps import Boxes, Pairs, list_pairs
from lucidbox.evaluate.ranking import stable_order
from lucidbox.evaluate.summary import mean_of_measured

FOREGROUND, BACKGROUND = 0.5, 0.1
TYPES = ("localisation", "classification", "duplicate", "background", "both")
"""Types of wrong detections, by the codes 0 to 4; missed truths are the sixth type."""
_LOCALISATION, _CLASSIFICATION, _DUPLICATE, _BACKGROUND, _BOTH = range(5)
_POINTS = tuple(point / 100 for point in range(101))
"""Recalls at which the authors' tool reads precision off: some differ from COCO's in the last bit."""


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
        AP50: COCO's, for all sizes, at the largest detection limit.
        costs: the six types of the paper.
        totals: all wrong detections put last, all unfound truths not counted.

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
    outcomes, found, kept = _within_images(matching, threshold)
    wrong = classify(matching, kept & ~outcomes.true)
    scored = _Scored(matching, outcomes)
    best = _best_errors(matching, wrong, found)
    costs = []
    for code, kind in enumerate(TYPES):
        rows = np.flatnonzero(wrong.types == code)
        mended = wrong.positions[rows], np.where(best[rows], wrong.targets[rows], -1)
        costs.append(ErrorCost(kind, len(rows), max(scored.mended(*mended) - scored.base, 0.0)))
    targeted = np.zeros(len(found), bool)
    targeted[wrong.targets[wrong.targets >= 0]] = True
    unfound = ~matching.objects.ignored[0] & ~found
    missed = unfound & ~targeted
    costs.append(ErrorCost("missed", int(missed.sum()), max(scored.without(missed) - scored.base, 0.0)))
    totals = (
        ErrorCost("all wrong detections", len(wrong.types), scored.right_first() - scored.base),
        ErrorCost("all unfound truths", int(unfound.sum()), scored.without(unfound) - scored.base),
    )
    coco = mean_of_measured(curves_of(matching).precision[threshold, :, :, 0, -1])
    return ErrorReport(coco, tuple(costs), totals)


def _within_images(
    matching: Matching, threshold: int
) -> tuple[Outcomes, Bool[np.ndarray, " t"], Bool[np.ndarray, " n"]]:
    """Outcomes, found objects and kept detections where an image has as many detections as the largest limit."""
    ranking = matching.ranking
    order = np.lexsort((ranking.detections, -ranking.scores, ranking.images))
    images = ranking.images[order]
    kept = np.zeros(len(order), bool)
    kept[order] = np.arange(len(order)) - np.searchsorted(images, images) < matching.protocol.max_detections[-1]
    outcomes, pairs = outcomes_at(matching, threshold), matching.candidates.pairs
    # What is left out is worse than all that is kept, and so changes no match of it.
    matched = matched_pairs(matching, threshold)
    found = np.zeros(len(matching.objects.rows), bool)
    found[pairs.truths[matched[kept[pairs.detections[matched]]]]] = True
    return Outcomes(outcomes.true & kept, outcomes.counted & kept), found, kept


def classify(matching: Matching, chosen: Bool[np.ndarray, " n"]) -> Wrong:
    """Give every chosen detection of the ranking, none of which is right, its type and its target."""
    positions = np.flatnonzero(chosen)
    order = stable_order(matching.ranking.images[positions])
    positions = positions[order]
    pairs = _pairs_of_images(matching, positions)
    classes = _class_of(matching, positions)
    own = matching.objects.classes[pairs.truths] == classes[pairs.detections]
    rows = matching.objects.rows
    own_best, own_truth = _best(pairs, own, len(positions), rows)
    other_best, other_truth = _best(pairs, ~own, len(positions), rows)
    types = np.select(
        [
            (own_best >= BACKGROUND) & (own_best <= FOREGROUND),
            other_best >= FOREGROUND,
            own_best >= FOREGROUND,
            other_best <= BACKGROUND,
        ],
        [_LOCALISATION, _CLASSIFICATION, _DUPLICATE, _BACKGROUND],
        _BOTH,
    )
    targets = np.select([types == _LOCALISATION, types == _CLASSIFICATION], [own_truth, other_truth], -1)
    return Wrong(positions, types, targets)


def _best_errors(matching: Matching, wrong: Wrong, found: Bool[np.ndarray, " t"]) -> Bool[np.ndarray, " w"]:
    """Which errors become the match of their target: of each truth that was not found the best of all types."""
    ranking = matching.ranking
    aimed = np.flatnonzero((wrong.targets >= 0) & ~np.append(found, True)[wrong.targets])
    places = wrong.positions[aimed]
    order = aimed[np.lexsort((ranking.detections[places], -ranking.scores[places]))]
    best = np.zeros(len(wrong.types), bool)
    best[order[np.unique(wrong.targets[order], return_index=True)[1]]] = True
    return best


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


def _best(
    pairs: Pairs, chosen: Bool[np.ndarray, " p"], count: int, rows: Int[np.ndarray, " t"]
) -> tuple[np.ndarray, np.ndarray]:
    """Best IoU of each detection among the chosen pairs and its truth; 0 and -1 where there is none."""
    detections, truths, ious = pairs.detections[chosen], pairs.truths[chosen], pairs.ious[chosen]
    order = np.lexsort((-rows[truths], ious, detections))
    best, truth = np.zeros(count), np.full(count, -1)
    # Of repeated indices NumPy keeps the last assignment, here the highest IoU, of equal ones the first truth.
    best[detections[order]], truth[detections[order]] = ious[order], truths[order]
    return best, truth


class _Scored:
    """Scores the detections of a matching with something corrected.

    Attributes:
        base: AP50 with nothing corrected.
    """

    def __init__(self, matching: Matching, outcomes: Outcomes) -> None:
        self._matching, self._outcomes = matching, outcomes
        self._classes = _class_of(matching, np.arange(len(outcomes.true)))
        self._positives: Int[np.ndarray, " c"] = matching.positives[0]
        self.base = self._mean_ap(outcomes, self._classes, matching.ranking.scores, self._positives, moved=False)

    def mended(self, positions: Int[np.ndarray, " m"], targets: Int[np.ndarray, " m"]) -> float:
        """AP50 with these wrong detections removed, but those with a target, which get its class and place."""
        true, counted = self._outcomes.true.copy(), self._outcomes.counted.copy()
        classes = self._classes.copy()
        counted[positions] = False
        aimed = positions[targets >= 0]
        counted[aimed] = true[aimed] = True
        classes[aimed] = self._matching.objects.classes[targets[targets >= 0]]
        return self._mean_ap(Outcomes(true, counted), classes, self._matching.ranking.scores, self._positives)

    def without(self, objects: Bool[np.ndarray, " t"]) -> float:
        """AP50 where these objects are not counted."""
        classes = self._matching.objects.classes[objects]
        positives = self._positives - np.bincount(classes, minlength=len(self._positives))
        return self._mean_ap(self._outcomes, self._classes, self._matching.ranking.scores, positives)

    def right_first(self) -> float:
        """AP50 where all right detections have the highest score."""
        return self._mean_ap(
            self._outcomes, self._classes, self._outcomes.true.astype(np.float64), self._positives
        )

    def _mean_ap(
        self,
        outcomes: Outcomes,
        classes: Int[np.ndarray, " n"],
        scores: Float[np.ndarray, " n"],
        positives: Int[np.ndarray, " c"],
        *,
        moved: bool = True,
    ) -> float:
        """AP50 over the classes that have anything; -1 if none has.

        Args:
            outcomes: which detections count, and which are right.
            classes: class of each ranked detection.
            scores: score of each.
            positives: truths that count, of each class.
            moved: of equal scores put those first that were wrong, as the authors' tool does where it corrects.
        """
        rows = np.flatnonzero(outcomes.counted)
        last = self._outcomes.true[rows] & moved
        ranking = self._matching.ranking
        places = ranking.detections[rows], ranking.images[rows]
        order = rows[np.lexsort((*places, last, -scores[rows], classes[rows]))]
        borders = np.searchsorted(classes[order], np.arange(len(positives) + 1))
        hits = np.flatnonzero(outcomes.true[order])
        starts = np.searchsorted(hits, borders)
        numbers = np.arange(1, len(hits) + 1) - np.repeat(starts[:-1], np.diff(starts))
        precision = numbers / (hits - np.repeat(borders[:-1], np.diff(starts)) + 1)
        best, _ = envelope(starts, precision, np.maximum(hits_needed(positives, _POINTS), 1))
        values = np.where(positives > 0, np.ascontiguousarray(best).mean(axis=1), 0.0)
        values = values[(positives > 0) | (np.diff(borders) > 0)]
        return float(np.mean(values)) if len(values) else -1.0
