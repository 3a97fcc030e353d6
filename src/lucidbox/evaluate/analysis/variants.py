"""Why another tool prints another number: the same predictions scored under common deviations, one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.columns import lookup
from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule, without_crowd_flags
from lucidbox.evaluate.bitsets import bitsets
from lucidbox.evaluate.candidates import MatchCandidates
from lucidbox.evaluate.evaluation import Matching, match_all
from lucidbox.evaluate.matching import Matches, match
from lucidbox.evaluate.operating import Sweep, sweeps
from lucidbox.evaluate.overlaps import rows_of_runs
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, NO_LIMIT
from lucidbox.evaluate.ranking import rank_detections
from lucidbox.evaluate.summary import Summary
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True)
class Deviation:
    """One way of scoring that is not COCO's.

    Attributes:
        name: what is done differently.
        seen_in: where one meets it.
        numbers: AP, AP50, AP75, APs, APm, APl under it; NaN where it does not define one.
    """

    name: str
    seen_in: str
    numbers: tuple[float, ...]

    @property
    def measured(self) -> tuple[float | None, ...]:
        """The numbers; None where the rule defines none or nothing is measured."""
        return tuple(value if value > -1 else None for value in self.numbers)


NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def explain_gap(
    truth: Truth, predictions: Predictions, classes: tuple[int, ...] | None = None
) -> tuple[Deviation, ...]:
    """Score under COCO's protocol (first entry) and under each deviation.

    Args:
        truth: annotated objects.
        predictions: detections.
        classes: category ids to evaluate; None means all.

    Raises:
        DataError: a detection is on a picture or of a category that the truth does not have.
        OptionError: a class to evaluate is not in the truth.
    """
    base = match_all(truth, predictions, replace(COCO, classes=classes))
    results = [Deviation("COCO's protocol, as pycocotools", "papers, leaderboards", _numbers(base))]
    for name, seen_in, score in _DEVIATIONS:
        results.append(Deviation(name, seen_in, score(truth, predictions, base)))
    return tuple(results)


def deviation(
    name: str, seen_in: str, truth: Truth, predictions: Predictions, classes: tuple[int, ...] | None = None
) -> Deviation:
    """Other predictions under COCO's protocol, for what must be done differently while detecting."""
    return Deviation(name, seen_in, _numbers(match_all(truth, predictions, replace(COCO, classes=classes))))


def _numbers(matching: Matching) -> tuple[float, ...]:
    return tuple(Summary(matching, matching.curves()).stats[: len(NAMES)].tolist())


def _under(
    change_truth: Callable[[Truth], Truth] = lambda truth: truth,
    change_predictions: Callable[[Predictions], Predictions] = lambda predictions: predictions,
    **rules: Any,
) -> Callable[[Truth, Predictions, Matching], tuple[float, ...]]:
    """Scoring with truth, predictions or some of COCO's rules changed."""

    def score(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
        protocol = replace(base.protocol, **rules)
        return _numbers(match_all(change_truth(truth), change_predictions(predictions), protocol))

    return score


def _box_areas(truth: Truth) -> Truth:
    return replace(truth, areas=truth.boxes_xywh[:, 2] * truth.boxes_xywh[:, 3])


def _inclusive(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    larger: Float[np.ndarray, "n 4"] = boxes + np.array([0.0, 0.0, 1.0, 1.0])
    return larger


def _whole_pixels(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).round()
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _best_hundred(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """Keep the best 100 of a picture over all classes together."""
    images = lookup(predictions.image_ids, truth.image_ids)
    ranking = rank_detections(images, np.zeros_like(images), predictions.scores, 1)
    kept = np.zeros(len(predictions), bool)
    kept[ranking.detections[ranking.ranks < 100]] = True
    return _numbers(match_all(truth, predictions[kept], base.protocol))


def _best_truth_only(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """A detection asks for the truth it overlaps most, and is wrong if that is taken."""
    candidates = base.candidates
    single = MatchCandidates(
        candidates.positions,
        candidates.classes,
        candidates.by_position,
        candidates.firsts,
        np.ones_like(candidates.sizes),
        candidates.round_starts,
        candidates.pairs,
    )
    outcomes: tuple[Matches, ...] = tuple(
        match(single, base.objects, base.protocol, word) for word in bitsets(base.protocol)
    )
    return _numbers(replace(base, candidates=single, outcomes=outcomes))


def _id_zero_lost(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """A match with the annotation of id 0 counts as none, because pycocotools writes 0 for "no match"."""
    candidates = base.candidates
    owner = np.empty(len(candidates.pairs.ious), np.int64)
    owner[rows_of_runs(candidates.firsts, candidates.sizes)] = np.repeat(
        np.arange(len(candidates.sizes)), candidates.sizes
    )
    zero = truth.annotation_ids[base.objects.rows[candidates.pairs.truths]] == 0
    outcomes = []
    for one in base.outcomes:
        true = one.true.copy()
        true[owner[zero]] &= ~one.paired[zero]
        outcomes.append(replace(one, true=true))
    return _numbers(replace(base, outcomes=tuple(outcomes)))


def _notebook(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    result = evaluate_notebook_rule(truth, predictions, classes=base.protocol.classes).to_dict()
    return (result["mAP@0.5:0.95"], result["mAP@0.5"], result["mAP@0.75"], *[float("nan")] * 3)


def _area_under(
    rule: Callable[[Sweep], float],
) -> Callable[[Truth, Predictions, Matching], tuple[float, ...]]:
    """Scoring by another integral of the precision–recall curve, for all sizes."""

    def score(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
        measured = [
            [rule(sweep) for sweep in sweeps(base, threshold) if sweep.positives]
            for threshold in range(len(base.protocol.iou_thresholds))
        ]
        means = np.mean(measured, axis=1) if measured[0] else np.full(len(measured), -1.0)
        near = np.isclose(np.array(base.protocol.iou_thresholds)[:, None], [0.5, 0.75])
        return (float(means.mean()), float(means[near[:, 0]][0]), float(means[near[:, 1]][0]), *[float("nan")] * 3)

    return score


def _envelope(sweep: Sweep) -> Float[np.ndarray, " s"]:
    return np.maximum.accumulate(sweep.precision[::-1])[::-1]


def _trapezoid_of_101(sweep: Sweep) -> float:
    """Envelope interpolated linearly at 101 recalls, from precision 1 to 0, and integrated by trapezoids."""
    if not len(sweep.scores):
        return 0.0
    last = float(sweep.recall[-1])
    recall = np.concatenate([[0.0], sweep.recall, [last, 1.0]])
    precision = np.concatenate([[1.0], _envelope(sweep), [0.0, 0.0]])
    points = np.linspace(0, 1, 101)
    values = np.interp(points, recall, precision)
    return float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(points)))


def _exact_area(sweep: Sweep) -> float:
    """Envelope integrated exactly, step by step (Pascal VOC from 2010 on)."""
    return float(np.sum(np.diff(sweep.recall, prepend=0.0) * _envelope(sweep)))


_DEVIATIONS: tuple[tuple[str, str, Callable[[Truth, Predictions, Matching], tuple[float, ...]]], ...] = (
    ("crowds taken for single objects", "converted labels without iscrowd", _under(without_crowd_flags)),
    ("crowds dropped", "YOLO txt labels", _under(lambda truth: truth[~truth.crowds])),
    ("no detection limit", "many scripts", _under(max_detections=(1, 10, NO_LIMIT))),
    ("300 detections a class and picture", "max_det 300", _under(max_detections=(1, 10, 300))),
    ("100 detections a picture over all classes", "a common misreading", _best_hundred),
    ("classes not told apart", "class-agnostic AP", _under(class_agnostic=True)),
    ("best truth only, no second choice", "best-IoU matching", _best_truth_only),
    ("11 recall points", "Pascal VOC 2007", _under(
        recall_points=tuple(np.linspace(0, 1, 11).tolist()))),
    ("exact area under the curve", "Pascal VOC 2010", _area_under(_exact_area)),
    ("trapezoids over 101 interpolated points", "YOLO validation scripts", _area_under(_trapezoid_of_101)),
    ("sizes by box area, not mask area", "box-only labels", _under(_box_areas)),
    ("widths and heights one pixel larger", "inclusive pixel corners", _under(
        lambda truth: replace(truth, boxes_xywh=_inclusive(truth.boxes_xywh)),
        lambda found: replace(found, boxes_xywh=_inclusive(found.boxes_xywh)))),
    ("boxes rounded to whole pixels", "integer result files", _under(
        change_predictions=lambda found: replace(found, boxes_xywh=_whole_pixels(found.boxes_xywh)))),
    ("scores rounded to two decimals", "short result files", _under(
        change_predictions=lambda found: replace(found, scores=found.scores.round(2)))),
    ("annotation id 0 never found", "pycocotools itself", _id_zero_lost),
    ("the seed notebook's rule", "its own evaluator", _notebook),
)  # fmt: skip
