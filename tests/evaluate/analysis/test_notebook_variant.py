"""The seed's simplified rule gives the numbers its own code gave, and COCO's differ as recorded."""

import json

import numpy as np
import pytest

from lucidbox.evaluate import Predictions, Truth, evaluate
from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule

CASES = ["plain", "crowd-and-many", "missing-classes", "score-ties"]


def arrays_of(case: dict) -> tuple[Truth, Predictions]:
    def xywh(rows):
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)

    truths, found = case["ground_truths"], case["predictions"]
    pictures = sorted({row["image_id"] for row in truths + found})
    truth = Truth.from_arrays(
        [row["image_id"] for row in truths], [row["class_id"] for row in truths], xywh(truths),
        crowds=[row["iscrowd"] for row in truths], pictures=pictures,
        categories={one: str(one) for one in range(case["number_of_classes"])},
    )  # fmt: skip
    predictions = Predictions.from_arrays(
        [row["image_id"] for row in found], [row["class_id"] for row in found], xywh(found),
        [row["score"] for row in found],
    )  # fmt: skip
    return truth, predictions


@pytest.mark.parametrize("name", CASES)
def test_equal_to_what_the_notebook_computed(golden_file, name):
    case = json.loads(golden_file(f"notebook/evaluator-{name}.json").read_text())
    truth, predictions = arrays_of(case)
    assert evaluate_notebook_rule(truth, predictions).to_dict() == pytest.approx(case["notebook"], abs=1e-6)
    stats = evaluate(truth, predictions)
    assert dict(zip(stats.stat_names, stats.stats, strict=True)) == pytest.approx(case["pycocotools"], abs=1e-6)


def test_crowds_and_the_detection_limit_make_the_difference(golden_file):
    case = json.loads(golden_file("notebook/evaluator-crowd-and-many.json").read_text())
    truth, predictions = arrays_of(case)
    assert evaluate(truth, predictions).stats[0] - evaluate_notebook_rule(truth, predictions).mean > 0.01


def test_without_truth_the_notebook_says_zero_where_coco_says_minus_one():
    truth = Truth.from_arrays([], [], [], pictures=[1], categories={0: "a"})
    found = Predictions.from_arrays([1], [0], [[0, 0, 5, 5]], [0.5])
    assert evaluate_notebook_rule(truth, found).mean == 0
    assert evaluate(truth, found).stats[0] == -1


def test_a_threshold_not_asked_for_is_zero():
    truth = Truth.from_arrays([1], [0], [[0, 0, 5, 5]])
    found = Predictions.from_arrays([1], [0], [[0, 0, 5, 5]], [0.5])
    result = evaluate_notebook_rule(truth, found, iou_thresholds=(0.6,)).to_dict()
    assert result["mAP@0.5"] == result["mAP@0.75"] == 0
    assert result["AP@0.60"] == pytest.approx(1)
