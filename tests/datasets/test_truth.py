"""A data set given to the evaluator is what the evaluator would have read."""

import numpy as np
from data_sets import yolo

from lucidbox.datasets import convert, read_dataset, to_truth
from lucidbox.evaluate import Predictions, evaluate, load_truth


def test_the_same_truth_as_the_evaluators_own_reading(golden_file):
    file = golden_file("eval/instances_val2014_100.json")
    ours, theirs = to_truth(read_dataset(file).part()), load_truth(file)
    assert ours.category_names == theirs.category_names
    assert ours.file_names == theirs.file_names
    first, second = (np.argsort(one.annotation_ids) for one in (ours, theirs))
    assert ours[first].same_as(theirs[second])


def test_the_same_numbers_through_a_yolo_folder(shared, tmp_path):
    part = read_dataset(shared("data/coco-val-150")).part()
    plain = to_truth(part.keep_objects(~part.crowds))
    written = to_truth(read_dataset(convert(shared("data/coco-val-150"), tmp_path / "yolo", "yolo").file).part())
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(plain))[:800]
    predictions = Predictions.from_arrays(
        plain.image_ids[plain.images[chosen]],
        plain.category_ids[plain.categories[chosen]],
        plain.boxes_xywh[chosen] + rng.random((len(chosen), 4)),
        rng.random(len(chosen)),
    )
    # Areas are those of boxes there and of masks here, so only what regards no area is equal.
    ours, theirs = (evaluate(truth, predictions).stats for truth in (written, plain))
    assert np.allclose(ours[[0, 1, 2, 6, 7, 8]], theirs[[0, 1, 2, 6, 7, 8]], atol=1e-12)


def test_notes_of_the_reading_go_with_the_truth(tmp_path):
    reading = read_dataset(yolo(tmp_path, {"a": "", "b": None}))
    assert len(reading.notes) == 1
    assert to_truth(reading.part(), notes=reading.notes).notes == reading.notes
    assert to_truth(reading.part()).notes == ()


def test_an_empty_set_is_truth_without_objects(tmp_path):
    truth = to_truth(read_dataset(yolo(tmp_path, {"a": "", "b": None})).part())
    assert (len(truth), len(truth.image_ids), truth.category_names) == (0, 2, ("person", "car", "dog"))
