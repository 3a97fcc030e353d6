"""Equal to pycocotools: real results, and random problems full of ties, limits and degenerate boxes."""

import json

import numpy as np
import pytest
from coco_reference import assert_equal_to_pycocotools, pycocotools_evaluation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucidbox.evaluate import AreaRange, Predictions, Protocol, Truth, evaluate, load_predictions, load_truth


def test_cocos_own_sample(golden_file):
    truth = load_truth(golden_file("eval/instances_val2014_100.json"))
    predictions = load_predictions(golden_file("eval/instances_val2014_fakebbox100_results.json"), truth)
    assert truth.crowds.sum() == 9
    assert_equal_to_pycocotools(evaluate(truth, predictions), pycocotools_evaluation(truth, predictions))


def test_a_real_networks_results(golden_file, shared):
    truth = load_truth(shared("data/coco-val-150/instances.json"))
    predictions = load_predictions(golden_file("val/predictions-batch1.json"), truth)
    summary = evaluate(truth, predictions)
    assert_equal_to_pycocotools(summary, pycocotools_evaluation(truth, predictions))
    golden = json.loads(golden_file("val/stats.json").read_text())["batch1"]
    assert len(predictions) == golden["detections"]
    assert dict(zip(summary.stat_names, summary.stats, strict=True)) == pytest.approx(
        golden["pycocotools"], abs=1e-9
    )
    assert list(summary.to_dict())[:13] == [*golden["pycocotools"], "per_class"]


# Sides chosen so that areas lie exactly at 32² and 96², vanish, and IoUs come out exactly at 1/2 and 3/4.
SIDES = st.sampled_from([0, 1, 8, 16, 24, 32, 64, 96, 128, 144])
PLACES = st.sampled_from([0, 0, 4, 8, 16, 32, 40.5])
BOXES = st.tuples(PLACES, PLACES, SIDES, SIDES)
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.9, 1.0, -0.0, -2.5, 1e-300])
AREAS = st.sampled_from([None, 1024.0, 9216.0, 1023.9999999, 9216.0000001, 0.0])
IMAGES, CATEGORIES = [3, 7, 8, 40], [1, 2, 90]
TRUTHS = st.lists(
    st.tuples(
        st.sampled_from(IMAGES), st.sampled_from(CATEGORIES[:2]), BOXES, AREAS, st.sampled_from([0, 0, 0, 1])
    ),
    max_size=14,
)
FOUND = st.lists(st.tuples(st.sampled_from(IMAGES), st.sampled_from(CATEGORIES), BOXES, SCORES), max_size=18)


def arrays_of(truths, found):
    """Truth and predictions from drawn rows."""
    areas = [box[2] * box[3] if area is None else area for _, _, box, area, _ in truths]
    truth = Truth.from_arrays(
        [one[0] for one in truths], [one[1] for one in truths], [one[2] for one in truths],
        areas=areas, crowds=[one[4] for one in truths], pictures=IMAGES,
        categories={one: f"class {one}" for one in CATEGORIES},
    )  # fmt: skip
    columns = list(zip(*found, strict=True)) or [[], [], [], []]
    return truth, Predictions.from_arrays(*(list(column) for column in columns))


RANDOM = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@RANDOM
@given(TRUTHS, FOUND)
def test_random_problems(truths, found):
    truth, predictions = arrays_of(truths, found)
    assert_equal_to_pycocotools(evaluate(truth, predictions), pycocotools_evaluation(truth, predictions))


@pytest.mark.slow
@settings(RANDOM, max_examples=2000, derandomize=False)
@given(TRUTHS, FOUND)
def test_two_thousand_more_random_problems(truths, found):
    truth, predictions = arrays_of(truths, found)
    assert_equal_to_pycocotools(evaluate(truth, predictions), pycocotools_evaluation(truth, predictions))


OWN_RULES = [
    Protocol(iou_thresholds=(0.1, 0.3, 0.5, 1.0), max_detections=(2, 3, 5)),
    Protocol(recall_points=(0.3, 0.5, 2 / 3), areas=(AreaRange("all", 0.0, 1e4), AreaRange("thin", 1.0, 256.0))),
    Protocol(classes=(90, 1)),
    Protocol(class_agnostic=True, max_detections=(1, 4, 100)),
    Protocol(class_agnostic=True, classes=(2, 90)),
    Protocol(
        iou_thresholds=tuple(np.linspace(0.05, 1, 30).tolist()), recall_points=(0.0, 1.0), max_detections=(1, 7, 9)
    ),
]


@pytest.mark.parametrize("protocol", OWN_RULES, ids=range(len(OWN_RULES)))
@settings(RANDOM, max_examples=25)
@given(truths=TRUTHS, found=FOUND)
def test_own_rules(protocol, truths, found):
    truth, predictions = arrays_of(truths, found)
    assert_equal_to_pycocotools(
        evaluate(truth, predictions, protocol), pycocotools_evaluation(truth, predictions, protocol)
    )


def crowded_problem(seed: int, images: int = 12, scores: int = 40):
    """Many overlapping boxes of few classes with tied scores, some crowds, more than 100 of a class."""
    random = np.random.default_rng(seed)
    truths, found = 150, 2500
    corners = random.uniform(0, 90, (truths, 2))
    boxes = np.concatenate([corners, random.uniform(5, 130, (truths, 2))], axis=1).round(1)
    source = random.integers(0, truths, found)
    moved = boxes[source] + random.normal(0, 3, (found, 4)).round(1)
    moved[:, 2:] = np.maximum(moved[:, 2:], 0)
    owner = random.integers(0, images, truths)
    classes = random.integers(0, 3, truths)
    truth = Truth.from_arrays(
        owner * 70001, classes, boxes, areas=boxes[:, 2] * boxes[:, 3] * random.uniform(0.4, 1, truths),
        crowds=random.random(truths) < 0.08, pictures=np.arange(images) * 70001,
        categories={0: "a", 1: "b", 2: "c"},
    )  # fmt: skip
    return truth, Predictions.from_arrays(
        owner[source] * 70001, classes[source], moved, random.integers(0, scores, found) / scores
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("agnostic", [False, True])
def test_crowded_pictures_beyond_the_detection_limit(seed, agnostic):
    truth, predictions = crowded_problem(seed)
    protocol = Protocol(class_agnostic=agnostic)
    assert_equal_to_pycocotools(
        evaluate(truth, predictions, protocol), pycocotools_evaluation(truth, predictions, protocol)
    )


def test_nothing_found_and_nothing_there():
    truth, nothing = arrays_of([], [])
    assert_equal_to_pycocotools(evaluate(truth, nothing), pycocotools_evaluation(truth, nothing))
    assert evaluate(truth, nothing).stats.tolist() == [-1.0] * 12


def test_scores_that_agree_in_their_leading_bits_keep_their_order():
    truth, predictions = crowded_problem(0)
    # Differences in the last bit of a double do not fit into the packed sorting key.
    close = 0.5 + np.random.default_rng(1).integers(0, 50, len(predictions)) * 2.0**-53
    close[::7] = 1e-9
    finer = Predictions(predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, close)
    assert_equal_to_pycocotools(evaluate(truth, finer), pycocotools_evaluation(truth, finer))
