"""The average precision that the seed notebook computes, kept so that its difference from COCO's can be shown.

Unlike COCO's protocol it treats crowds as ordinary objects, keeps any number of detections per image, measures
all sizes as one, and gives 0 where there is nothing to measure. (It also adds 1e-7 to unions and counts, which
changes no digit that it prints and is left out here.)
"""

from dataclasses import dataclass, replace

import numpy as np

from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import NO_LIMIT, AreaRange, Protocol
from lucidbox.evaluate.summary import evaluate, mean_of_measured
from lucidbox.evaluate.truth import Truth

ANY_SIZE = AreaRange("all", 0.0, float(np.finfo(np.float64).max))

NOTEBOOK_RULE = Protocol(areas=(ANY_SIZE,), max_detections=(NO_LIMIT,))


@dataclass(frozen=True)
class NotebookResult:
    """Mean average precision over classes, as the notebook computes it.

    Attributes:
        by_threshold: IoU threshold to mAP.
        mean: over all thresholds.
        notes: what was left out, and what makes the numbers doubtful, in sentences.
    """

    by_threshold: dict[float, float]
    mean: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, float]:
        """The notebook's own keys: ``AP@0.50`` and so on, then three means, 0 where a threshold is absent."""
        result = {f"AP@{threshold:.2f}": value for threshold, value in self.by_threshold.items()}
        result["mAP@0.5:0.95"] = self.mean
        near = {round(threshold, 6): value for threshold, value in self.by_threshold.items()}
        return result | {f"mAP@{iou}": near.get(iou, 0.0) for iou in (0.5, 0.75)}


def evaluate_notebook_rule(
    truth: Truth,
    predictions: Predictions,
    iou_thresholds: tuple[float, ...] = NOTEBOOK_RULE.iou_thresholds,
    classes: tuple[int, ...] | None = None,
) -> NotebookResult:
    """Mean average precision under the notebook's rule, to the digits it prints.

    Args:
        truth: annotated objects.
        predictions: detections.
        iou_thresholds: ascending.
        classes: category ids to evaluate; None means all.

    Raises:
        DataError: a detection is on an image or of a category that the truth does not have.
    """
    rules = replace(NOTEBOOK_RULE, iou_thresholds=iou_thresholds, classes=classes)
    summary = evaluate(without_crowd_flags(truth), predictions, rules)
    means = [max(mean_of_measured(precision), 0.0) for precision in summary.curves.precision]
    return NotebookResult(dict(zip(iou_thresholds, means, strict=True)), float(np.mean(means)), summary.notes)


def without_crowd_flags(truth: Truth) -> Truth:
    """The same objects, none of them marked as a crowd."""
    return replace(truth, crowds=np.zeros_like(truth.crowds))
