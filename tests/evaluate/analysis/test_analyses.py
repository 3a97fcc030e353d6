"""Error types, confidence intervals, comparison, deviations, plots."""

from dataclasses import replace

import numpy as np
import pytest
from test_equality import crowded_problem

from lucidbox.core.errors import OptionError
from lucidbox.evaluate import Predictions, Protocol, Truth, evaluate, load_predictions, load_truth
from lucidbox.evaluate.analysis.confusion import confusion
from lucidbox.evaluate.analysis.errors import explain_errors
from lucidbox.evaluate.analysis.intervals import _draws, _resampling_inputs, bootstrap, compare_paired, resampled
from lucidbox.evaluate.analysis.plots import class_bars, confusion_matrix, save_plots
from lucidbox.evaluate.analysis.variants import metric_variants


def one_picture(truths, found):
    """Truth and predictions of classes 0 and 1 in one picture: (class, box), (class, box, score)."""
    truth = Truth.from_arrays(
        [1] * len(truths), [one[0] for one in truths], [one[1] for one in truths], categories={0: "a", 1: "b"}
    )
    return truth, Predictions.from_arrays(
        [1] * len(found), [one[0] for one in found], [one[1] for one in found], [one[2] for one in found]
    )


HERE, THERE, FAR = [0, 0, 40, 40], [200, 0, 40, 40], [400, 400, 40, 40]
NEAR_HERE = [25, 0, 40, 40]  # IoU 15 / 65 with HERE
CASES = [
    ("localisation", [(0, HERE), (1, THERE)], [(0, NEAR_HERE, 0.9), (1, THERE, 0.9)], 0.5),
    ("classification", [(0, HERE), (1, THERE)], [(1, HERE, 0.9), (1, THERE, 0.8)], 0.75),
    ("duplicate", [(0, HERE), (0, THERE)], [(0, HERE, 0.9), (0, HERE, 0.8), (0, THERE, 0.7)], None),
    ("background", [(0, HERE)], [(0, FAR, 0.9), (0, HERE, 0.8)], 0.5),
    ("both", [(0, HERE), (1, THERE)], [(1, NEAR_HERE, 0.9), (1, THERE, 0.8)], 0.25),
]


@pytest.mark.parametrize(("kind", "truths", "found", "cost"), CASES, ids=[case[0] for case in CASES])
def test_each_error_type_by_hand(kind, truths, found, cost):
    report = explain_errors(evaluate(*one_picture(truths, found)).matching)
    counts = {one.kind: one.count for one in report.costs}
    costs = {one.kind: one.cost for one in report.costs}
    assert counts.pop(kind) == 1
    missed = counts.pop("missed")
    assert missed == (1 if kind == "both" else 0)
    assert not any(counts.values())
    if cost is None:
        # Recall 1/2 at precision 1, the rest at 2/3: taking the duplicate away lifts the rest to 1.
        cost = 50 / 101 * (1 - 2 / 3)
    assert costs[kind] == pytest.approx(cost)


def test_a_missed_truth_costs_its_recall():
    report = explain_errors(evaluate(*one_picture([(0, HERE), (0, THERE)], [(0, HERE, 0.9)])).matching)
    assert pytest.approx(51 / 101) == report.AP50
    assert [(one.kind, one.count) for one in report.costs if one.count] == [("missed", 1)]
    assert report.costs[-1].cost == pytest.approx(50 / 101)
    assert report.totals[1].cost == pytest.approx(50 / 101)


def test_an_error_at_a_truth_that_was_found_is_only_taken_away():
    truths, found = [(0, HERE)], [(0, NEAR_HERE, 0.9), (0, HERE, 0.8)]
    report = explain_errors(evaluate(*one_picture(truths, found)).matching)
    assert pytest.approx(0.5) == report.AP50
    assert report.costs[0].cost == pytest.approx(0.5)


def test_a_class_of_which_nothing_is_left_leaves_the_mean():
    # Class a: one truth of two found. Class b: its only truth missed, and nothing detected.
    truths, found = [(0, HERE), (0, THERE), (1, FAR)], [(0, HERE, 0.9)]
    report = explain_errors(evaluate(*one_picture(truths, found)).matching)
    assert pytest.approx(51 / 101 / 2) == report.AP50
    assert report.costs[-1].count == 2
    assert report.costs[-1].cost == pytest.approx(1 - 51 / 101 / 2)
    # A wrong detection keeps it there, with 0.
    report = explain_errors(evaluate(*one_picture(truths, [*found, (1, HERE, 0.8)])).matching)
    assert report.costs[-1].cost == pytest.approx((1 - 51 / 101) / 2)


def test_a_found_and_a_missed_class_by_hand():
    truths, found = [(0, HERE), (1, THERE)], [(0, HERE, 0.9)]
    report = explain_errors(evaluate(*one_picture(truths, found)).matching)
    assert report.AP50 == pytest.approx(0.5) == report.costs[-1].cost == report.totals[1].cost


def mixed(seed):
    """Objects and detections of every kind of error in six images: (image, class, box, crowd), (…, score)."""
    random = np.random.default_rng(seed)
    truths, found = [], []
    for image in range(1, 7):
        for _ in range(random.integers(0, 8)):
            box = random.integers(5, 60, 4)
            label = int(random.integers(1, 5))
            truths.append((image, label, box.tolist(), int(seed % 2 and random.random() < 0.2)))
            for _ in range(random.integers(0, 4)):
                moved = box + random.integers(-12, 13, 4)
                moved[2:] = np.abs(moved[2:]) + 1
                other = int(random.integers(1, 6)) if random.random() < 0.3 else label
                found.append((image, other, moved.tolist(), int(random.integers(0, 20)) / 20))
    return truths, found


KINDS = ("localisation", "classification", "duplicate", "background", "both", "missed")
TIDECV = [
    (0, [30, 0, 4, 4, 5, 6], [40.3838, 0.0, 0.0, 0.4279, 0.6661, 0.3319, 15.8834, 11.5441]),
    (1, [15, 8, 0, 2, 6, 4], [22.3923, 16.425, 0.0, 0.0, 3.5266, 1.8175, 12.0226, 10.5481]),
    (2, [16, 4, 2, 3, 11, 9], [31.6034, 2.0792, 0.0, 0.0, 1.4851, 3.2107, 7.4257, 30.7166]),
    (3, [15, 1, 2, 3, 6, 6], [32.0953, 0.0, 0.0, 0.0, 0.0, 4.4067, 7.3676, 31.3437]),
]


@pytest.mark.parametrize(("seed", "counts", "costs"), TIDECV)
def test_error_types_are_those_of_the_authors_tool(seed, counts, costs):
    """Numbers of tidecv 1.0.1, with crowds in every second problem; its order of the types."""
    truths, found = mixed(seed)
    images, labels, boxes, crowds = map(list, zip(*truths, strict=True))
    names = dict.fromkeys(range(1, 6), "")
    truth = Truth.from_arrays(images, labels, boxes, crowds=crowds, pictures=list(range(1, 7)), categories=names)
    report = explain_errors(
        evaluate(truth, Predictions.from_arrays(*map(list, zip(*found, strict=True)))).matching
    )
    assert tuple(one.kind for one in report.costs) == KINDS
    assert [one.count for one in report.costs] == counts
    assert [one.cost * 100 for one in (*report.costs, *report.totals)] == pytest.approx(costs, abs=1e-4)


def test_only_the_best_detections_of_an_image_have_types():
    """The authors' tool looks at 100 of an image; a limit of classes alone would leave 101."""
    found = [(0, FAR, 0.9 - k / 1000) for k in range(60)] + [(1, FAR, 0.5 - k / 1000) for k in range(60)]
    report = explain_errors(evaluate(*one_picture([(0, HERE)], [*found, (0, HERE, 0.1)])).matching)
    assert [one.count for one in report.costs] == [0, 0, 0, 100, 0, 1]


def test_error_types_add_up_and_base_is_AP50():
    summary = evaluate(*crowded_problem(0))
    report = explain_errors(summary.matching)
    assert pytest.approx(summary.stats[1], abs=1e-12) == report.AP50
    assert sum(one.count for one in report.costs[:-1]) == report.totals[0].count
    assert all(one.cost >= 0 for one in report.costs)


def test_error_types_need_classes_and_the_threshold():
    truth, predictions = crowded_problem(0)
    for protocol in (Protocol(class_agnostic=True), Protocol((0.6,))):
        with pytest.raises(OptionError, match="error types need"):
            explain_errors(evaluate(truth, predictions, protocol).matching)


def without_ties(seed):
    truth, predictions = crowded_problem(seed)
    scores = np.random.default_rng(seed).permutation(len(predictions)) / len(predictions)
    return truth, replace(predictions, scores=scores)


@pytest.mark.parametrize("seed", range(3))
def test_a_resample_is_the_evaluation_of_copied_pictures(seed):
    truth, predictions = without_ties(seed)
    matching = evaluate(truth, predictions).matching
    drawn = np.random.default_rng(seed).integers(0, 12, 12)
    ids = truth.image_ids[drawn]
    truth_rows = [np.flatnonzero(truth.images == one) for one in drawn]
    found_rows = [np.flatnonzero(predictions.image_ids == one) for one in ids]
    rows, found = np.concatenate(truth_rows), np.concatenate(found_rows)
    copied_truth = Truth.from_arrays(
        np.repeat(np.arange(12), [len(one) for one in truth_rows]), truth.category_ids[truth.categories[rows]],
        truth.boxes_xywh[rows], areas=truth.areas[rows], crowds=truth.crowds[rows], pictures=np.arange(12),
        categories=dict(zip(truth.category_ids.tolist(), truth.category_names, strict=True)),
    )  # fmt: skip
    copied = Predictions.from_arrays(
        np.repeat(np.arange(12), [len(one) for one in found_rows]), predictions.category_ids[found],
        predictions.boxes_xywh[found], predictions.scores[found],
    )  # fmt: skip
    weights = np.bincount(drawn, minlength=12)
    expected = evaluate(copied_truth, copied).stats[:3]
    assert resampled(matching, _resampling_inputs(matching), weights) == pytest.approx(expected, abs=1e-12)


def test_every_picture_once_is_the_evaluation_itself():
    summary = evaluate(*crowded_problem(5))
    inputs = _resampling_inputs(summary.matching)
    assert resampled(summary.matching, inputs, np.ones(12, np.int64)) == pytest.approx(
        summary.stats[:3], abs=1e-12
    )


def test_intervals_hold_the_number_and_repeat_bit_for_bit():
    matching = evaluate(*crowded_problem(1)).matching
    first, again, other = (bootstrap(matching, 60, seed) for seed in (4, 4, 5))
    assert first == again != other
    for one in first:
        assert one.low < one.value < one.high
        assert one.deviation > 0


def test_better_worse_and_no_difference():
    truth, found = without_ties(2)
    random = np.random.default_rng(0)
    blurred = found.boxes_xywh + random.normal(0, 6, found.boxes_xywh.shape)
    blurred[:, 2:] = np.maximum(blurred[:, 2:], 1)
    sharp, blunt = (evaluate(truth, one).matching for one in (found, replace(found, boxes_xywh=blurred)))
    assert compare_paired(sharp, blunt, 60).verdict == "worse"
    assert compare_paired(blunt, sharp, 60).verdict == "better"
    same = compare_paired(sharp, sharp, 60)
    assert same.verdict == "no difference"
    assert same.differences[0].low == same.differences[0].high == 0


def test_what_cannot_be_resampled_or_compared():
    matching = evaluate(*crowded_problem(1)).matching
    with pytest.raises(OptionError, match="at least 2"):
        bootstrap(matching, 1)
    with pytest.raises(OptionError, match="confidence"):
        bootstrap(matching, 10, confidence=1.0)
    with pytest.raises(OptionError, match="same truth"):
        compare_paired(matching, evaluate(*crowded_problem(2)).matching, 10)
    empty = Truth.from_arrays([], [], [], pictures=[0], categories={0: "a"})
    with pytest.raises(OptionError, match="nothing to resample"):
        bootstrap(evaluate(empty, Predictions.from_arrays([], [], [], [])).matching, 10)


@pytest.fixture(scope="module")
def deviations():
    truth, predictions = crowded_problem(0)
    return {one.name: one.numbers for one in metric_variants(truth, predictions)}


def test_deviations_start_from_cocos_own(deviations):
    truth, predictions = crowded_problem(0)
    base = deviations["COCO's protocol, as pycocotools"]
    assert base == pytest.approx(evaluate(truth, predictions).stats[:6])
    assert deviations["annotation id 0 never found"] == base
    assert deviations["crowds dropped"][0] < base[0]


def test_deviations_of_chosen_classes_are_those_of_a_set_without_the_others():
    truth, predictions = crowded_problem(0)
    only = Truth.from_arrays(
        truth.image_ids[truth.images[truth.categories == 1]], np.ones((truth.categories == 1).sum(), int),
        truth.boxes_xywh[truth.categories == 1], areas=truth.areas[truth.categories == 1],
        crowds=truth.crowds[truth.categories == 1], pictures=truth.image_ids, categories={1: "b"},
    )  # fmt: skip
    chosen = {one.name: one.measured for one in metric_variants(truth, predictions, classes=(1,))}
    alone = {one.name: one.measured for one in metric_variants(only, predictions[predictions.category_ids == 1])}
    # Ids are numbered anew, and the best hundred of a picture are those of all classes.
    for name in chosen.keys() - {"annotation id 0 never found", "100 detections a picture over all classes"}:
        assert chosen[name] == pytest.approx(alone[name]), name


def test_the_exact_area_and_trapezoids_by_hand():
    # Two truths, the first found at precision 1, the second never: the curve is 1 up to recall 1/2, then 0.
    truth, found = one_picture([(0, HERE), (0, THERE)], [(0, HERE, 0.9)])
    numbers = {one.name: one.numbers[1] for one in metric_variants(truth, found)}
    assert numbers["COCO's protocol, as pycocotools"] == pytest.approx(51 / 101)
    assert numbers["exact area under the curve"] == pytest.approx(0.5)
    assert numbers["11 recall points"] == pytest.approx(6 / 11)
    assert numbers["trapezoids over 101 interpolated points"] == pytest.approx(0.5, abs=0.006)
    assert numbers["trapezoids, sloping to 0 at recall 1"] == pytest.approx(0.75, abs=0.006)


def test_the_older_trapezoids_rise_with_the_confidence_threshold(shared):
    """The 150 images at 0.25 and more: COCO's AP falls, as does the newer rule; the older one rises."""
    truth = load_truth(shared("data/coco-val-150/instances.json"))
    found = load_predictions(shared("golden/val/predictions-batch1.json"), truth)
    numbers = {one.name: one.numbers[0] * 100 for one in metric_variants(truth, found[found.scores >= 0.25])}
    assert numbers["COCO's protocol, as pycocotools"] == pytest.approx(35.79, abs=0.005)
    assert numbers["trapezoids over 101 interpolated points"] == pytest.approx(35.43, abs=0.005)
    assert numbers["trapezoids, sloping to 0 at recall 1"] == pytest.approx(46.17, abs=0.005)


def test_pycocotools_loses_the_annotation_of_id_0():
    from coco_reference import pycocotools_evaluation

    truth, predictions = crowded_problem(0)
    truth = replace(truth, annotation_ids=np.arange(len(truth)))
    stats = pycocotools_evaluation(truth, predictions).stats
    shown = {one.name: one.numbers for one in metric_variants(truth, predictions)}
    assert shown["annotation id 0 never found"] == pytest.approx(stats[:6], abs=1e-9)
    summary = evaluate(truth, predictions)
    assert summary.stats[0] > stats[0]
    assert "id 0" in summary.notes[0]


def test_a_detection_without_second_choice_by_hand():
    # Both detections overlap the first truth most; the second could have had the other truth.
    truths = [(0, [0, 0, 40, 40]), (0, [10, 0, 40, 40])]
    found = [(0, [0, 0, 40, 40], 0.9), (0, [4, 0, 40, 40], 0.8)]
    numbers = {one.name: one.numbers[1] for one in metric_variants(*one_picture(truths, found))}
    assert numbers["COCO's protocol, as pycocotools"] == pytest.approx(1)
    assert numbers["best truth only, no second choice"] == pytest.approx(51 / 101)


def test_plots_are_drawn(tmp_path):
    written = save_plots(evaluate(*crowded_problem(0)), tmp_path / "plots")
    assert sorted(path.name for path in written) == [
        "classes.png", "confusion.png", "f1.png", "precision-recall.png", "scores.png",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_plots_of_nothing(tmp_path):
    empty = Truth.from_arrays([], [], [], pictures=[0], categories={0: "a"})
    assert len(save_plots(evaluate(empty, Predictions.from_arrays([], [], [], [])), tmp_path)) == 5
    truth, predictions = crowded_problem(0)
    agnostic = evaluate(truth, predictions, Protocol(class_agnostic=True, iou_thresholds=(0.6,)))
    assert len(save_plots(agnostic, tmp_path)) == 4


def test_resamples_are_drawn_one_by_one():
    draws = _draws(5, 1 << 40, 0)
    assert [next(draws).sum() for _ in range(3)] == [5, 5, 5]


def test_a_negative_seed_is_refused():
    with pytest.raises(OptionError, match="seed must not be negative"):
        bootstrap(evaluate(*crowded_problem(1)).matching, 10, seed=-1)


@pytest.mark.parametrize(
    "names",
    [("$\\frac0$", "x$y"), ("人物", "汽车", "ok", "\x1b"), ("a name of very many letters " * 3, "b")],
    ids=["dollars", "script", "long"],
)
def test_plots_take_any_class_names(names, tmp_path):
    """Warnings are errors: letters without a glyph, and layouts that do not fit, warn."""
    classes = np.arange(len(names))
    boxes = np.tile([[0.0, 0.0, 40.0, 40.0]], (len(names), 1))
    truth = Truth.from_arrays(classes, classes, boxes, categories=dict(enumerate(names)))
    found = Predictions.from_arrays(classes, classes[::-1].copy(), boxes, np.full(len(names), 0.9))
    assert len(save_plots(evaluate(truth, found), tmp_path)) == 5


@pytest.mark.parametrize("names", [("cat",), ("a name of very many letters", "b", "c")])
def test_a_small_confusion_matrix_has_all_its_words_inside(names):
    classes = np.arange(len(names))
    boxes = np.tile([[0.0, 0.0, 40.0, 40.0]], (len(names), 1))
    truth = Truth.from_arrays(classes, classes, boxes, categories=dict(enumerate(names)))
    found = Predictions.from_arrays(classes, classes, boxes, np.full(len(names), 0.9))
    figure = confusion_matrix(confusion(evaluate(truth, found).matching))
    figure.draw_without_rendering()
    axes, edge = figure.axes[0], figure.bbox
    texts = [*figure.texts, *axes.get_yticklabels(), *axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label]
    assert len(texts) >= 2 + 2 * len(names)
    for text in texts:
        box = text.get_window_extent()
        assert edge.x0 <= box.x0 < box.x1 <= edge.x1, text
        assert edge.y0 <= box.y0 < box.y1 <= edge.y1, text


def test_the_legend_of_class_bars_covers_no_bar():
    truth, found = one_picture([(0, HERE)], [(0, HERE, 0.9)])
    figure = class_bars(evaluate(truth, found))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
