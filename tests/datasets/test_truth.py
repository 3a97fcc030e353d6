"""A data set given to the evaluator is what the evaluator would have read."""

from pathlib import Path

import numpy as np
import pytest
from data_sets import annotation, coco, yolo

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets import convert, read_dataset, read_truth, to_truth
from lucidbox.evaluate import Predictions, evaluate, load_truth


def test_the_same_truth_as_the_evaluators_own_reading(golden_file):
    file = golden_file("eval/instances_val2014_100.json")
    ours, theirs = to_truth(read_dataset(file).part()), load_truth(file)
    assert ours.category_names == theirs.category_names
    assert ours.file_names == theirs.file_names
    first, second = (np.argsort(one.annotation_ids) for one in (ours, theirs))
    assert ours[first].same_as(theirs[second])


def test_the_same_numbers_through_a_yolo_folder(coco_folder, tmp_path):
    part = read_dataset(coco_folder).part()
    plain = to_truth(part.keep_objects(~part.crowds))
    written = to_truth(read_dataset(convert(coco_folder, tmp_path / "yolo", "yolo").file).part())
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(plain))[:800]
    boxes = plain.boxes_xywh[chosen] + rng.random((len(chosen), 4))
    scores = rng.random(len(chosen))

    def stats(truth):
        """Of the same predictions: a YOLO folder numbers images and classes anew, their names stay."""
        images = {Path(name).name: index for index, name in enumerate(truth.file_names)}
        categories = {name: index for index, name in enumerate(truth.category_names)}
        names = [Path(plain.file_names[index]).name for index in plain.images[chosen]]
        labels = [plain.category_names[index] for index in plain.categories[chosen]]
        predictions = Predictions.from_arrays(
            truth.image_ids[[images[name] for name in names]],
            truth.category_ids[[categories[label] for label in labels]],
            boxes,
            scores,
        )
        return evaluate(truth, predictions).stats

    # Areas are those of boxes there and of masks here, so only what regards no area is equal.
    ours, theirs = stats(written), stats(plain)
    assert np.allclose(ours[[0, 1, 2, 6, 7, 8]], theirs[[0, 1, 2, 6, 7, 8]], atol=1e-12)


def test_notes_of_the_reading_go_with_the_truth(tmp_path):
    reading = read_dataset(yolo(tmp_path, {"a": "", "b": None}))
    assert len(reading.notes) == 1
    assert to_truth(reading.part(), notes=reading.notes).notes == reading.notes
    assert to_truth(reading.part()).notes == ()


def test_an_empty_set_is_truth_without_objects(tmp_path):
    truth = to_truth(read_dataset(yolo(tmp_path, {"a": "", "b": None})).part())
    assert (len(truth), len(truth.image_ids), truth.category_names) == (0, 2, ("person", "car", "dog"))


@pytest.fixture
def two_splits(tmp_path):
    for name in ("train", "val"):
        coco(tmp_path / name, annotations=[annotation(1), annotation(2, box=(0, 0, 0, 5))])
    table = tmp_path / "data.toml"
    table.write_text("".join(f'[{name}]\nannotations = "{name}/instances.json"\n' for name in ("train", "val")))
    return table


def test_the_truth_of_a_coco_split_is_that_of_its_file(two_splits):
    found = read_truth(two_splits)
    file = two_splits.parent / "val" / "instances.json"
    assert (found.name, found.names, found.root) == ("val", ("train", "val"), file.parent / "images")
    assert found.truth.same_as(load_truth(file))
    assert len(found.truth) == 2  # a box without area counts in COCO's protocol, but is no usable object
    assert read_truth(file).truth.same_as(found.truth)


def test_only_the_file_of_the_split_is_read(two_splits):
    (two_splits.parent / "train" / "instances.json").write_text("{")
    assert len(read_truth(two_splits, "val").truth) == 2
    with pytest.raises(DataError, match="not valid JSON"):
        read_truth(two_splits, "train")
    with pytest.raises(OptionError, match="no part 'test'; the data set has: train, val"):
        read_truth(two_splits, "test")


def test_a_file_without_images_is_no_truth(tmp_path):
    with pytest.raises(DataError, match="no usable pictures"):
        read_truth(coco(tmp_path, images=[], annotations=[]))
