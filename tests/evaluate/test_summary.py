"""The table, the JSON, classes and their best thresholds, the confusion matrix."""

import contextlib
import io
import json

import numpy as np
import pytest
from coco_reference import pycocotools_evaluation
from test_equality import crowded_problem

from lucidbox.core.errors import OptionError
from lucidbox.evaluate import AreaRange, Predictions, Protocol, Truth, evaluate
from lucidbox.evaluate.analysis.confusion import confusion
from lucidbox.evaluate.operating import best_f1, best_point, outcomes_at, pooled_sweep, sweeps


def test_the_table_is_the_one_people_know():
    truth, predictions = crowded_problem(0)
    evaluation = pycocotools_evaluation(truth, predictions)
    with contextlib.redirect_stdout(printed := io.StringIO()):
        evaluation.summarize()
    assert str(evaluate(truth, predictions)) == printed.getvalue().rstrip("\n")


def test_a_perfect_detector_by_hand():
    truth = Truth.from_arrays([1, 2], [5, 5], [[0, 0, 50, 50], [10, 10, 40, 40]])
    found = Predictions.from_arrays([1, 2], [5, 5], truth.boxes_xywh, [0.9, 0.8])
    summary = evaluate(truth, found)
    expected = [1, 1, 1, -1, 1, -1, 1, 1, 1, -1, 1, -1]
    assert summary.stats == pytest.approx(expected)


def test_one_right_and_one_wrong_by_hand():
    # The wrong one scores higher: precision 1/2 at every recall.
    truth = Truth.from_arrays([1], [5], [[0, 0, 50, 50]])
    found = Predictions.from_arrays([1, 1], [5, 5], [[200, 200, 50, 50], [0, 0, 50, 50]], [0.9, 0.8])
    summary = evaluate(truth, found)
    assert summary.stats[0] == pytest.approx(0.5)
    assert summary.stats[6:9] == pytest.approx([0, 1, 1])
    (only,) = summary.per_class
    assert (only.truths, only.detections, only.category_id) == (1, 2, 5)
    assert (only.best.score, only.best.precision, only.best.recall) == (0.8, 0.5, 1)
    assert only.best.f1 == pytest.approx(2 / 3)


def test_json_has_every_number_and_class():
    truth, predictions = crowded_problem(1)
    summary = evaluate(truth, predictions)
    document = json.loads(summary.to_json())
    assert [document[name] for name in summary.stat_names] == summary.stats.tolist()
    assert [one["name"] for one in document["per_class"]] == ["a", "b", "c"]
    for row, one in enumerate(document["per_class"]):
        precision = summary.curves.precision[:, :, row, :, -1]
        assert one["AP"] == pytest.approx(precision[:, :, 0].mean())
        assert one["AP50"] == pytest.approx(precision[0, :, 0].mean())
        assert one["AP_by_threshold"] == pytest.approx(precision[:, :, 0].mean(axis=1).tolist())
        assert one["AP_by_area"]["small"] == pytest.approx(precision[:, :, 1].mean())
    assert (document["images"], document["truths"], document["detections"]) == (12, 150, 2500)


def test_own_rules_have_own_names():
    truth, predictions = crowded_problem(1)
    areas = (AreaRange("all", 0.0, 1e10), AreaRange("huge", 1e4, 1e10))
    summary = evaluate(truth, predictions, Protocol((0.3, 0.75), areas=areas, max_detections=(5, 50)))
    assert summary.stat_names == ("AP", "AP50", "AP75", "AP-huge", "AR5", "AR50", "AR-huge")
    assert summary.stats[1] == -1


@pytest.mark.parametrize(
    "rules",
    [
        {"iou_thresholds": ()}, {"iou_thresholds": (0.0, 0.5)}, {"iou_thresholds": (0.5, 0.5)},
        {"iou_thresholds": (0.5, 1.1)}, {"iou_thresholds": (0.5, float("nan"))}, {"recall_points": (-0.1, 1.0)},
        {"max_detections": (0, 1)}, {"max_detections": (10, 1)}, {"areas": ()},
        {"areas": (AreaRange("a", 0.0, 1.0), AreaRange("a", 1.0, 2.0))}, {"areas": (AreaRange("a", 2.0, 1.0),)},
    ],
    ids=str,
)  # fmt: skip
def test_rules_nobody_could_follow_are_refused(rules):
    with pytest.raises(OptionError):
        Protocol(**rules)


def test_classes_that_are_not_there_are_refused():
    truth, predictions = crowded_problem(0)
    with pytest.raises(OptionError, match="category 77 is not in"):
        evaluate(truth, predictions, Protocol(classes=(1, 77)))


@pytest.mark.parametrize("threshold", [0, 5])
def test_best_f1_is_the_best_of_all_thresholds(threshold):
    truth, predictions = crowded_problem(3)
    matching = evaluate(truth, predictions).matching
    outcomes = outcomes_at(matching, threshold)
    starts = matching.ranking.class_starts
    for index, point in enumerate(best_f1(matching, threshold)):
        rows = slice(starts[index], starts[index + 1])
        scores, true, counted = matching.ranking.scores[rows], outcomes.true[rows], outcomes.counted[rows]
        positives = matching.positives[0, index]
        tried = {}
        for score in np.unique(scores):
            hits, kept = (true & (scores >= score)).sum(), (counted & (scores >= score)).sum()
            tried[score] = 2 * hits / (kept + positives)
        best = max(tried.values())
        assert point.f1 == pytest.approx(best)
        assert point.score == max(score for score, f1 in tried.items() if f1 == best)


@pytest.mark.parametrize("threshold", [0, 5])
def test_the_best_threshold_for_all_classes_is_the_best_of_all(threshold):
    truth, predictions = crowded_problem(3)
    matching = evaluate(truth, predictions).matching
    outcomes, scores = outcomes_at(matching, threshold), matching.ranking.scores
    tried = {}
    for score in np.unique(scores):
        hits, kept = (outcomes.true & (scores >= score)).sum(), (outcomes.counted & (scores >= score)).sum()
        tried[score] = 2 * hits / (kept + matching.positives[0].sum())
    point = best_point(pooled_sweep(matching, threshold))
    assert point.f1 == pytest.approx(max(tried.values()))
    assert point.score == max(score for score, f1 in tried.items() if f1 == max(tried.values()))


def test_sweeps_end_at_the_recall_of_the_curves():
    truth, predictions = crowded_problem(4)
    summary = evaluate(truth, predictions)
    for index, sweep in enumerate(sweeps(summary.matching, 3)):
        assert sweep.recall[-1] == summary.curves.recall[3, index, 0, -1]


def test_confusion_by_hand():
    truth = Truth.from_arrays(
        [1, 1, 1, 1], [0, 1, 1, 0], [[0, 0, 20, 20], [50, 0, 20, 20], [100, 0, 20, 20], [200, 0, 50, 50]],
        crowds=[0, 0, 0, 1], categories={0: "cat", 1: "dog"},
    )  # fmt: skip
    rows = [
        (0, [0, 0, 20, 20], 0.9),  # cat, right
        (1, [0, 0, 20, 21], 0.95),  # surer, but the cat is taken by its own class first: background
        (0, [50, 0, 20, 20], 0.8),  # dog taken for a cat
        (1, [100, 0, 20, 20], 0.2),  # right, but not sure enough: the dog is missed
        (0, [205, 5, 20, 20], 0.9),  # on a crowd: left out
        (0, [400, 0, 9, 9], 0.5),  # nothing there
    ]
    found = Predictions.from_arrays(
        [1] * 6, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    )
    result = confusion(evaluate(truth, found).matching)
    assert result.counts.tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0]]
    assert result.names == ("cat", "dog")


def test_confusion_counts_every_truth_and_every_sure_detection(golden_file):
    from lucidbox.evaluate import load_predictions, load_truth

    truth = load_truth(golden_file("eval/instances_val2014_100.json"))
    predictions = load_predictions(golden_file("eval/instances_val2014_fakebbox100_results.json"), truth)
    summary = evaluate(truth, predictions)
    counts = confusion(summary.matching, score=0.0).counts
    assert counts[:-1].sum() == (~truth.crowds).sum()
    # At score 0 the diagonal is what an evaluation without a limit of 100 found.
    unlimited = evaluate(truth, predictions, Protocol(max_detections=(10**6,)))
    assert np.trace(counts[:-1, :-1]) == outcomes_at(unlimited.matching).true.sum()


def test_a_summary_is_tables_of_its_numbers_and_its_classes():
    truth, predictions = crowded_problem(1)
    summary = evaluate(truth, predictions)
    html = summary._repr_html_()
    for value in summary.stats:
        assert f">{value:.3f}<" in html
    best_first = sorted(summary.per_class, key=lambda one: -one.AP)
    places = [html.index(f">{one.name}</td>") for one in best_first]
    assert places == sorted(places)


def test_its_curve_shows_itself_without_pyplot():
    pytest.importorskip("matplotlib")
    figure = evaluate(*crowded_problem(1)).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
