"""Results in Parquet are evaluated as they would be in memory, whatever files they are divided into."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_equality import crowded_problem
from test_streaming import bits

from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.detection_tables import DetectionTable, TableInfo, detection_schema, record_batch
from lucidbox.core.detections import DetectionRow, Detections
from lucidbox.core.errors import DataError
from lucidbox.evaluate import CocoEvaluator, Truth, evaluate, evaluate_table, load_detections

pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'lucidbox[batch]'")


def problem():
    """A truth whose images and categories have names, and a row for each image."""
    truth, predictions = crowded_problem(2, images=9)
    categories = {number: f"class {number}" for number in truth.category_ids.tolist()}
    names = tuple(categories.values())
    files = {number: f"val/{number}.jpg" for number in truth.image_ids.tolist()}
    truth = Truth.from_arrays(
        truth.image_ids[truth.images],
        truth.category_ids[truth.categories],
        truth.boxes_xywh,
        areas=truth.areas,
        crowds=truth.crowds,
        pictures=truth.image_ids,
        categories=categories,
        file_names=files,
    )
    rows = []
    for number in truth.image_ids.tolist():
        mine = predictions[predictions.image_ids == number]
        found = Detections(
            xywh_to_xyxy(mine.boxes_xywh).astype(np.float32),
            mine.scores.astype(np.float32),
            np.searchsorted(truth.category_ids, mine.category_ids),
            names,
        )
        rows.append(DetectionRow(f"s3://bucket/val/{number}.jpg", None, 1, 1, found, None, 1.0))
    return truth, rows, names


def write(folder, parts, names):
    folder.mkdir(exist_ok=True)
    schema = detection_schema(TableInfo(names))
    for number, rows in enumerate(parts):
        with pq.ParquetWriter(folder / f"{number}.parquet", schema) as writer:
            writer.write_batch(record_batch(rows).replace_schema_metadata(schema.metadata))
    return str(folder)


@settings(max_examples=4)
@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_division_into_files_gives_the_same_bits(tmp_path_factory, parts, random):
    truth, rows, names = problem()
    in_memory = CocoEvaluator(truth)
    for number, row in zip(truth.image_ids.tolist(), rows, strict=True):
        in_memory.add(number, row.detections)
    random.shuffle(rows)
    folder = write(tmp_path_factory.mktemp("parts"), [rows[part::parts] for part in range(parts)], names)
    loaded = load_detections(folder, truth)
    assert bits(evaluate(truth, loaded)) == bits(in_memory.summary())
    assert loaded.notes == ()
    # By hand, as other machines would: one file each, sent back, and merged in any order.
    shards = [evaluate_table(DetectionTable(f"{folder}/{part}.parquet"), truth) for part in range(parts)]
    random.shuffle(shards)
    first, *others = (pickle.loads(pickle.dumps(shard)) for shard in shards)
    for other in others:
        first.merge(other)
    assert bits(first.evaluator.summary()) == bits(in_memory.summary())


def test_what_is_missing_is_told(tmp_path):
    truth, rows, names = problem()
    none = Detections.empty(names)
    bad = DetectionRow(rows[0].uri, None, None, None, none, "damaged", None)
    strange = DetectionRow("s3://bucket/other.jpg", None, 1, 1, none, None, 1.0)
    folder = write(tmp_path / "found", [[bad, rows[1]], [strange]], names)
    with pytest.raises(DataError, match=r"1 images are not in truth, such as s3://bucket/other\.jpg; --subset"):
        load_detections(folder, truth)
    notes = " ".join(load_detections(folder, truth, subset=True).notes)
    assert "1 images that truth does not have were left out" in notes
    assert "1 images failed" in notes
    assert "7 images of truth are not in it" in notes


def test_an_image_in_two_files_is_an_error(tmp_path):
    truth, rows, names = problem()
    with pytest.raises(DataError, match="both evaluators"):
        load_detections(write(tmp_path / "twice", [rows, rows[:1]], names), truth)


def test_equal_file_names_are_told_apart_by_their_folders(tmp_path):
    truth = Truth.from_arrays(
        [1, 2], [1, 1], [[0, 0, 9, 9]] * 2, categories={1: "a"}, file_names={1: "a/x.jpg", 2: "b/x.jpg"}
    )
    box = Detections(np.array([[0, 0, 9, 9]], np.float32), np.array([0.5], np.float32), np.array([0]), ("a",))
    row = DetectionRow("/data/b/x.jpg", None, 1, 1, box, None, 1.0)
    loaded = load_detections(write(tmp_path / "one", [[row]], ("a",)), truth)
    assert loaded.image_ids.tolist() == [2]
    with pytest.raises(DataError, match="1 images are not in"):
        load_detections(
            write(tmp_path / "two", [[DetectionRow("x.jpg", None, 1, 1, box, None, 1.0)]], ("a",)), truth
        )
