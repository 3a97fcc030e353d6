"""Adding pictures one by one, in any order and in any number of processes, changes no bit."""

import pickle

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_equality import crowded_problem

from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, OptionError
from lucidbox.evaluate import CocoEvaluator, Protocol, Truth, evaluate

NAMES = ("a", "b", "c")


def bits(summary):
    curves = summary.curves
    return b"".join(one.tobytes() for one in (summary.stats, curves.precision, curves.recall, curves.scores))


def add_pictures(evaluator, predictions, images):
    for image in images:
        rows = predictions[predictions.image_ids == image]
        evaluator.add_arrays(int(image), rows.category_ids, rows.boxes_xywh, rows.scores)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 16), st.randoms(use_true_random=False), st.booleans())
def test_any_split_gives_the_same_bits(parts, random, agnostic):
    truth, predictions = crowded_problem(2, images=17)
    protocol = Protocol(class_agnostic=agnostic)
    images = truth.image_ids.tolist()
    random.shuffle(images)
    evaluators = [CocoEvaluator(truth, protocol) for _ in range(parts)]
    for image in images:
        add_pictures(random.choice(evaluators), predictions, [image])
    random.shuffle(evaluators)
    first, *others = evaluators
    for other in others:
        first.merge(pickle.loads(pickle.dumps(other)))
    assert len(first) == 17
    assert bits(first.summary()) == bits(evaluate(truth, predictions, protocol))


def test_what_cannot_count_is_not_kept():
    truth, predictions = crowded_problem(3, images=2)
    evaluator = CocoEvaluator(truth, Protocol(max_detections=(1, 5)))
    add_pictures(evaluator, predictions, truth.image_ids)
    assert len(predictions) == 2500
    assert len(evaluator.predictions()) == 2 * 3 * 5


def test_detections_of_a_model_find_their_categories_by_name():
    truth = Truth.from_arrays([9], [70], [[10, 20, 30, 40]], categories={70: "b", 2: "c", 5: "a"})
    found = Detections(np.array([[10, 20, 40, 60]], np.float32), np.array([0.5], np.float32), np.array([1]), NAMES)
    evaluator = CocoEvaluator(truth)
    evaluator.add(9, found)
    assert evaluator.predictions().category_ids.tolist() == [70]
    assert evaluator.predictions().boxes_xywh.tolist() == [[10, 20, 30, 40]]
    assert evaluator.summary().stats[0] == pytest.approx(1)


def test_category_ids_can_be_given():
    truth = Truth.from_arrays([9], [70], [[10, 20, 30, 40]])
    found = Detections(np.array([[10, 20, 40, 60]], np.float32), np.array([0.5], np.float32), np.array([1]), NAMES)
    evaluator = CocoEvaluator(truth)
    evaluator.add(9, found, category_ids=[1, 70, 2])
    assert evaluator.summary().stats[1] == pytest.approx(1)


def test_an_evaluator_without_pictures_found_nothing():
    truth, _ = crowded_problem(0)
    assert CocoEvaluator(truth).summary().stats[0] == 0


def test_the_same_picture_twice_is_an_error():
    truth, predictions = crowded_problem(0)
    first, second = CocoEvaluator(truth), CocoEvaluator(truth)
    add_pictures(first, predictions, [0])
    add_pictures(second, predictions, [0])
    with pytest.raises(DataError, match="picture 0 was added before"):
        add_pictures(first, predictions, [0])
    with pytest.raises(DataError, match="picture 0 was added to both"):
        first.merge(second)


def test_what_does_not_fit_is_an_error():
    truth, _ = crowded_problem(0)
    evaluator = CocoEvaluator(truth)
    with pytest.raises(DataError, match="picture 5 is not in"):
        evaluator.add_arrays(5, [], [], [])
    with pytest.raises(DataError, match="picture 0: entry 0: category_id 8 is no category"):
        evaluator.add_arrays(0, [8], [[0, 0, 1, 1]], [0.5])
    with pytest.raises(OptionError, match="same"):
        evaluator.merge(CocoEvaluator(truth, Protocol(max_detections=(1, 2))))
    other, _ = crowded_problem(1)
    with pytest.raises(OptionError, match="same"):
        evaluator.merge(CocoEvaluator(other))
    assert len(evaluator) == 0


def detections(classes, names):
    boxes = np.tile(np.array([[10, 20, 40, 60]], np.float32), (len(classes), 1))
    return Detections(boxes, np.full(len(classes), 0.5, np.float32), np.array(classes), names)


def test_classes_that_the_truth_lacks_are_left_out_and_counted():
    truth = Truth.from_arrays(
        [9, 8], [3, 3], [[10, 20, 30, 40]] * 2, categories={3: "car", 1: "cart", 2: "person"}
    )
    names = ("person", "bicycle", "car", "dog")
    first, second = CocoEvaluator(truth), CocoEvaluator(truth)
    first.add(9, detections([2, 1, 3], names))
    second.add(8, detections([1, 2], names))
    first.merge(second)
    found = first.predictions()
    assert found.category_ids.tolist() == [3, 3]
    left_out, cannot = found.notes
    assert "lacks 2 classes of the model, whose 3 detections were left out: bicycle, dog" in left_out
    assert "cannot find, the categories: cart" in cannot
    assert first.summary().notes == found.notes


def test_numbers_stand_in_only_where_no_name_is_known():
    truth = Truth.from_arrays([9], [1], [[10, 20, 30, 40]], categories={0: "0", 1: "1", 2: "2"})
    evaluator = CocoEvaluator(truth)
    evaluator.add(9, detections([1], NAMES))
    assert evaluator.summary().stats[0] == pytest.approx(1)
    assert "matched by number" in evaluator.predictions().notes[0]
    # Shifted by one, as in many converted sets: every number but one is known, and all are wrong.
    shifted = CocoEvaluator(Truth.from_arrays([9], [1], [[1, 1, 1, 1]], categories={1: "x", 2: "y", 3: "z"}))
    with pytest.raises(DataError, match="categories are x, y, z; classes are a, b, c"):
        shifted.add(9, detections([1], NAMES))


def test_two_categories_of_one_name_are_refused():
    truth = Truth.from_arrays([9, 9], [1, 2], [[1, 1, 1, 1]] * 2, categories={1: "a", 2: "a"})
    with pytest.raises(DataError, match="several categories are called 'a'"):
        CocoEvaluator(truth).add(9, detections([0], NAMES))


def test_too_few_category_ids_are_refused():
    truth, _ = crowded_problem(0)
    with pytest.raises(OptionError, match="2 given for the model's 3 classes"):
        CocoEvaluator(truth).add(0, detections([0], NAMES), category_ids=[0, 1])


@pytest.mark.parametrize("image_id", ["1", 1.0, True, None])
def test_a_picture_is_named_by_a_whole_number(image_id):
    truth, _ = crowded_problem(0)
    jaxtyping.config.update("jaxtyping_disable", True)  # as it is for users, whose calls nobody checks
    try:
        with pytest.raises(DataError, match="must be a whole number"):
            CocoEvaluator(truth).add_arrays(image_id, [0], [[0, 0, 1, 1]], [0.5])
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(DataError, match="is not in"):
        CocoEvaluator(truth).add_arrays(1 << 80, [], [], [])
