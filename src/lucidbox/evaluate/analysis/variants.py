"""Metric variants: the same predictions scored as other tools score them, one difference from COCO at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.boxes import xywh_to_xyxy, xyxy_to_xywh
from lucidbox.core.columns import lookup
from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule, without_crowd_flags
from lucidbox.evaluate.bitsets import bitsets
from lucidbox.evaluate.evaluation import Matching, match_all
from lucidbox.evaluate.matching import match
from lucidbox.evaluate.operating import Sweep, sweeps
from lucidbox.evaluate.overlaps import rows_of_runs
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, NO_LIMIT
from lucidbox.evaluate.ranking import rank_detections
from lucidbox.evaluate.summary import summarise
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True)
class MetricVariant:
    """One way of scoring that is not COCO's.

    Attributes:
        name: what is done differently.
        seen_in: where it is used.
        numbers: AP, AP50, AP75, APs, APm, APl under it; NaN where it does not define one.

    Example:
        >>> for variant in metric_variants(truth, predictions):
        ...     print(variant.name, variant.numbers[0])
    """

    name: str
    seen_in: str
    numbers: tuple[float, ...]

    @property
    def measured(self) -> tuple[float | None, ...]:
        """The numbers; None where the rule defines none or nothing is measured."""
        return tuple(value if value > -1 else None for value in self.numbers)


VARIANT_NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl")

_Score = Callable[[Truth, Predictions, Matching], tuple[float, ...]]
"""Gives the numbers for truth, predictions and their matching under COCO's protocol."""


def metric_variants(
    truth: Truth, predictions: Predictions, classes: tuple[int, ...] | None = None
) -> tuple[MetricVariant, ...]:
    """Score under COCO's protocol (first entry) and under each variant of it.

    Args:
        truth: annotated objects.
        predictions: detections.
        classes: category ids to evaluate; None means all.

    Raises:
        DataError: a detection is on an image or of a category that the truth does not have.
        OptionError: a class to evaluate is not in the truth.
    """
    base = match_all(truth, predictions, replace(COCO, classes=classes))
    results = [MetricVariant("COCO's protocol, as pycocotools", "papers, leaderboards", _numbers(base))]
    for name, seen_in, score in _VARIANTS:
        results.append(MetricVariant(name, seen_in, score(truth, predictions, base)))
    return tuple(results)


def metric_variant(
    name: str, seen_in: str, truth: Truth, predictions: Predictions, classes: tuple[int, ...] | None = None
) -> MetricVariant:
    """Other predictions under COCO's protocol, for a variant that changes the detecting and not the scoring."""
    return MetricVariant(name, seen_in, _numbers(match_all(truth, predictions, replace(COCO, classes=classes))))


def _numbers(matching: Matching) -> tuple[float, ...]:
    return tuple(summarise(matching).stats[: len(VARIANT_NUMBERS)].tolist())


def _under(
    change_truth: Callable[[Truth], Truth] = lambda truth: truth,
    change_predictions: Callable[[Predictions], Predictions] = lambda predictions: predictions,
    **rules: Any,
) -> _Score:
    """A function that scores with changed truth, predictions or rules."""

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
    return xyxy_to_xywh(xywh_to_xyxy(boxes).round())


def _best_hundred(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """Keep the best 100 detections of an image over all classes."""
    images = lookup(predictions.image_ids, truth.image_ids)
    ranking = rank_detections(images, np.zeros_like(images), predictions.scores, 1)
    kept = np.zeros(len(predictions), bool)
    kept[ranking.detections[ranking.ranks < 100]] = True
    return _numbers(match_all(truth, predictions[kept], base.protocol))


def _best_truth_only(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """A detection can match only the truth it overlaps most, and is wrong if that is taken."""
    single = replace(base.candidates, sizes=np.ones_like(base.candidates.sizes))
    matches = tuple(match(single, base.objects, base.protocol, bitset) for bitset in bitsets(base.protocol))
    return _numbers(replace(base, candidates=single, matches=matches))


def _id_zero_lost(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    """A match with the annotation of id 0 counts as none, because pycocotools writes 0 for "no match"."""
    candidates = base.candidates
    rows = rows_of_runs(candidates.firsts, candidates.sizes)
    owner = np.empty_like(rows)
    owner[rows] = np.repeat(np.arange(len(candidates.sizes)), candidates.sizes)
    zero = truth.annotation_ids[base.objects.rows[candidates.pairs.truths]] == 0
    changed = []
    for matches in base.matches:
        true = matches.true.copy()
        true[owner[zero]] &= ~matches.paired[zero]
        changed.append(replace(matches, true=true))
    return _numbers(replace(base, matches=tuple(changed)))


def _notebook(truth: Truth, predictions: Predictions, base: Matching) -> tuple[float, ...]:
    result = evaluate_notebook_rule(truth, predictions, classes=base.protocol.classes).to_dict()
    return (result["mAP@0.5:0.95"], result["mAP@0.5"], result["mAP@0.75"], *[float("nan")] * 3)


def _area_under(rule: Callable[[Sweep], float]) -> _Score:
    """A function that scores by another integral of the precision–recall curve, for all sizes."""

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


def _trapezoid_of_101(sweep: Sweep, *, drops: bool) -> float:
    """Envelope interpolated linearly at 101 recalls, from precision 1 to 0, and integrated by trapezoids.

    Args:
        sweep: of one class.
        drops: to 0 at the last recall that is reached; else precision falls evenly from there to recall 1, so that
            what was never detected counts, the more the earlier the detections end.
    """
    if not len(sweep.scores):
        return 0.0
    end = [float(sweep.recall[-1]), 1.0] if drops else [1.0]
    recall = np.concatenate([[0.0], sweep.recall, end])
    precision = np.concatenate([[1.0], _envelope(sweep), np.zeros(len(end))])
    points = np.linspace(0, 1, 101)
    values = np.interp(points, recall, precision)
    return float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(points)))


def _exact_area(sweep: Sweep) -> float:
    """Envelope integrated exactly, step by step (Pascal VOC from 2010 on)."""
    return float(np.sum(np.diff(sweep.recall, prepend=0.0) * _envelope(sweep)))


_VARIANTS: tuple[tuple[str, str, _Score], ...] = (
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
    ("trapezoids over 101 interpolated points", "YOLO validation scripts, 2026-04 and later", _area_under(
        partial(_trapezoid_of_101, drops=True))),
    ("trapezoids, sloping to 0 at recall 1", "YOLO validation scripts before 2026-04", _area_under(
        partial(_trapezoid_of_101, drops=False))),
    ("sizes by box area, not mask area", "box-only labels", _under(_box_areas)),
    ("widths and heights one pixel larger", "inclusive pixel corners", _under(
        lambda truth: replace(truth, boxes_xywh=_inclusive(truth.boxes_xywh)),
        lambda predictions: replace(predictions, boxes_xywh=_inclusive(predictions.boxes_xywh)))),
    ("boxes rounded to whole pixels", "integer result files", _under(
        change_predictions=lambda predictions: replace(
            predictions, boxes_xywh=_whole_pixels(predictions.boxes_xywh)))),
    ("scores rounded to two decimals", "short result files", _under(
        change_predictions=lambda predictions: replace(predictions, scores=predictions.scores.round(2)))),
    ("annotation id 0 never found", "pycocotools itself", _id_zero_lost),
    ("the seed notebook's rule", "its own evaluator", _notebook),
)  # fmt: skip
