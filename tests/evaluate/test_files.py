"""COCO files: what is read, what is defaulted and said, and what is refused with file, entry and field."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from lucidbox.core.errors import DataError
from lucidbox.evaluate import Predictions, Truth, evaluate, load_predictions, load_truth, save_predictions

TRUTH = {
    "images": [{"id": 7, "file_name": "seven.jpg"}, {"id": 3}],
    "categories": [{"id": 90, "name": "brush"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 20], "area": 150.5, "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 90, "bbox": [5.5, 5, 30, 20], "area": 600, "iscrowd": 1},
    ],
}
FOUND = [
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 21], "score": 0.75},
    {"image_id": 3, "category_id": 90, "bbox": [5, 5, 30.25, 20], "score": 1},
]


@pytest.fixture
def files(tmp_path):
    """Write truth and results, changed by a function, and give both paths."""

    def write(change_truth=lambda truth: truth, change_found=lambda found: found):
        truth, found = tmp_path / "truth.json", tmp_path / "found.json"
        for path, document, change in ((truth, TRUTH, change_truth), (found, FOUND, change_found)):
            document = copy.deepcopy(document)
            changed = change(document)
            path.write_text(changed if isinstance(changed, str) else json.dumps(changed or document))
        return truth, found

    return write


def set_in(*keys, value):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


def delete_in(*keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


def test_what_is_read(files):
    truth_path, found_path = files()
    truth = load_truth(truth_path)
    assert truth.image_ids.tolist() == [3, 7]
    assert truth.file_names == ("", "seven.jpg")
    assert (truth.category_ids.tolist(), truth.category_names) == ([1, 90], ("person", "brush"))
    assert (truth.images.tolist(), truth.categories.tolist()) == ([1, 0], [0, 1])
    assert truth.boxes_xywh.tolist() == [[0, 0, 10, 20], [5.5, 5, 30, 20]]
    assert (truth.areas.tolist(), truth.crowds.tolist(), truth.notes) == ([150.5, 600], [False, True], ())
    found = load_predictions(found_path, truth)
    assert found.image_ids.tolist() == [7, 3]
    assert found.boxes_xywh.tolist() == [[0, 0, 10, 21], [5, 5, 30.25, 20]]
    assert found.scores.tolist() == [0.75, 1]


def test_absent_area_and_iscrowd_are_defaulted_and_counted(files):
    def change(truth):
        del truth["annotations"][1]["area"], truth["annotations"][1]["iscrowd"]

    truth = load_truth(files(change)[0])
    assert (truth.areas.tolist(), truth.crowds.tolist()) == ([150.5, 600], [False, False])
    assert len(truth.notes) == 2
    assert "1 of 2 annotations have no area; width times height is taken" in truth.notes[0]
    assert "1 of 2 annotations have no iscrowd; they are taken for single objects" in truth.notes[1]


TRUTH_FAULTS = [
    (
        set_in("annotations", 1, "image_id", value=[3]),
        r"annotations: entry 1: image_id must be a whole number, got \[3\]",
    ),
    (set_in("annotations", 1, "image_id", value=3.5), "entry 1: image_id must be a whole number, got 3.5"),
    (set_in("annotations", 0, "image_id", value=True), "entry 0: image_id must be a whole number, got true"),
    (set_in("annotations", 0, "image_id", value=2**70), "entry 0: image_id must be a whole number"),
    (set_in("annotations", 1, "image_id", value=4), "entry 1: image_id 4 is no picture"),
    (set_in("annotations", 0, "category_id", value=2), "entry 0: category_id 2 is no category"),
    (set_in("annotations", 0, "bbox", value=[1, 2, 3]), r"entry 0: bbox must be four numbers .* got \[1, 2, 3\]"),
    (set_in("annotations", 0, "bbox", value=[1, 2, "3", 4]), "entry 0: bbox must be four numbers"),
    (set_in("annotations", 0, "bbox", value=None), "entry 0: bbox must be four numbers .* got null"),
    (set_in("annotations", 0, "bbox", value=[0, 0, -1, 4]), "entry 0: bbox .* has a negative width or height"),
    (set_in("annotations", 1, "bbox", value=[0, float("nan"), 1, 4]), "entry 1: bbox .* is not finite"),
    (set_in("annotations", 1, "bbox", value=[0, 10**400, 1, 4]), "entry 1: bbox .* is not finite"),
    (set_in("annotations", 0, "area", value="big"), 'entry 0: area must be a number, got "big"'),
    (set_in("annotations", 0, "area", value=float("inf")), "entry 0: area Infinity is not a finite number"),
    (set_in("annotations", 0, "iscrowd", value=2), "entry 0: iscrowd must be 0 or 1, got 2"),
    (set_in("annotations", 1, "id", value=1), "entry 1: id 1 was used by an earlier entry"),
    (delete_in("annotations", 1, "bbox"), "entry 1: the field bbox is missing"),
    (set_in("annotations", 1, value=[1]), r"entry 1: must be an object, got \[1\]"),
    (set_in("annotations", value={}), "annotations must be a list, got an object"),
    (delete_in("images"), "the field images is missing; is this a COCO annotation file"),
    (set_in("images", 1, "id", value=7), "images: entry 1: id 7 was used by an earlier entry"),
    (set_in("images", 0, value="x"), "images: entry 0: must be an object"),
    (set_in("categories", 1, "id", value=90), "categories: entry 1: id 90 was used by an earlier entry"),
    (set_in("categories", 0, "id", value=None), "categories: entry 0: id must be a whole number, got null"),
    (lambda truth: [1], "expected an object with images, annotations, categories"),
    (lambda truth: "", "truth.json: the file is empty"),
    (lambda truth: " \n", "truth.json: the file is empty"),
    (lambda truth: "{", "truth.json: not valid JSON: .* line 1, column 2"),
    (lambda truth: json.dumps(truth)[:-40], "not valid JSON: .* is the file whole"),
]


@pytest.mark.parametrize(("change", "message"), TRUTH_FAULTS, ids=range(len(TRUTH_FAULTS)))
def test_faults_of_annotations(files, change, message):
    path = files(change)[0]
    with pytest.raises(DataError, match=f"truth.json.*{message.removeprefix('truth.json')}"):
        load_truth(path)


FOUND_FAULTS = [
    (set_in(1, "image_id", value="4"), "entry 1: image_id 4 is no picture of the annotations"),
    (set_in(1, "image_id", value=44), "entry 1: image_id 44 is no picture of the annotations"),
    (set_in(0, "category_id", value=5), "entry 0: category_id 5 is no category of the annotations"),
    (set_in(0, "bbox", value=[1, 2, 3]), r"entry 0: bbox must be four numbers .* got \[1, 2, 3\]"),
    (set_in(0, "bbox", value=[1, 2, True, 3]), "entry 0: bbox must be four numbers"),
    (set_in(1, "bbox", value=[1, 2, 3, -4.0]), "entry 1: bbox .* has a negative width or height"),
    (set_in(1, "bbox", value=[1, float("-inf"), 3, 4]), "entry 1: bbox .* is not finite"),
    (set_in(0, "bbox", value=[1, 2, 1e300, 1e300]), "entry 0: bbox .* is larger than 1e"),
    (set_in(1, "score", value=float("nan")), "entry 1: score NaN is not a finite number"),
    (set_in(0, "score", value=float("inf")), "entry 0: score Infinity is not a finite number"),
    (set_in(0, "score", value="0.5"), 'entry 0: score must be a number, got "0.5"'),
    (set_in(0, "score", value=False), "entry 0: score must be a number, got false"),
    (delete_in(1, "score"), "entry 1: the field score is missing"),
    (set_in(0, value=None), "entry 0: must be an object, got null"),
    (
        lambda found: {"predictions": found},
        "expected a list of entries, got an object with the fields predictions",
    ),
    (lambda found: "", "the file is empty"),
    (lambda found: json.dumps(found)[:-20], "not valid JSON"),
    (lambda found: json.dumps(found) + "]", "not valid JSON"),
]


@pytest.mark.parametrize(("change", "message"), FOUND_FAULTS, ids=range(len(FOUND_FAULTS)))
def test_faults_of_results(files, change, message):
    truth_path, path = files(change_found=change)
    with pytest.raises(DataError, match=f"found.json.*{message}"):
        load_predictions(path, load_truth(truth_path))


def test_a_fault_far_into_a_large_file_is_named_by_its_number(files, monkeypatch):
    monkeypatch.setattr("lucidbox.formats.json_text.PIECE", 500)

    def change(found):
        many = [dict(found[0]) for _ in range(300)]
        many[271]["score"] = None
        return many

    truth_path, path = files(change_found=change)
    with pytest.raises(DataError, match="entry 271: score must be a number, got null"):
        load_predictions(path, load_truth(truth_path))


@pytest.mark.parametrize(
    "extra", [{"note": "a }, { b"}, {"parts": [{"x": 1}, {"y": [{}, {}]}]}, {"mask": {"size": [1, 2]}}]
)
def test_pieces_cut_in_an_awkward_place_lose_nothing(files, monkeypatch, extra):
    truth_path, path = files(
        change_found=lambda found: [found[index % 2] | extra | {"score": index} for index in range(50)]
    )
    truth = load_truth(truth_path)
    whole = load_predictions(path, truth)
    for size in (1, 60, 333, 2000):
        monkeypatch.setattr("lucidbox.formats.json_text.PIECE", size)
        again = load_predictions(path, truth)
        assert again.scores.tolist() == list(range(50))
        assert np.array_equal(again.boxes_xywh, whole.boxes_xywh)


def test_nothing_found_is_a_result(files):
    truth_path, path = files(change_found=lambda found: "[]")
    truth = load_truth(truth_path)
    found = load_predictions(path, truth)
    assert len(found) == 0
    assert evaluate(truth, found).stats[0] == 0


def test_a_subset_is_counted_and_said(files):
    def change(found):
        found += [dict(found[0], image_id=44), dict(found[0], category_id=5), dict(found[0], image_id=45)]

    truth_path, path = files(change_found=change)
    truth = load_truth(truth_path)
    found = load_predictions(path, truth, subset=True)
    assert len(found) == 2
    assert "2 detections on pictures that the annotations do not have were left out" in found.notes[0]
    assert "1 detections of categories that the annotations do not have were left out" in found.notes[1]
    assert evaluate(truth, found).notes == found.notes


def test_unreadable_paths(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read: No such file"):
        load_truth(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match="cannot be read"):
        load_truth(tmp_path)


def test_written_results_read_back(files, tmp_path):
    truth_path, path = files(change_found=set_in(0, "score", value=0.123456789))
    truth = load_truth(truth_path)
    found = load_predictions(path, truth)
    save_predictions(tmp_path / "out.json", found)
    again = load_predictions(tmp_path / "out.json", truth)
    assert again.scores.tolist() == [0.12346, 1]
    assert np.array_equal(again.boxes_xywh, found.boxes_xywh)
    assert np.array_equal(again.image_ids, found.image_ids)


ARRAY_FAULTS = [
    (lambda: Predictions.from_arrays(["1"], [1], [[0, 0, 1, 1]], [0.5]), "image_id must be whole numbers"),
    (lambda: Predictions.from_arrays([1.5], [1], [[0, 0, 1, 1]], [0.5]), "image_id must be whole numbers"),
    (lambda: Predictions.from_arrays([1], [1, 2], [[0, 0, 1, 1]], [0.5]), "category_id must be 1 numbers"),
    (lambda: Predictions.from_arrays([1], [1], [[0, 0, 1]], [0.5]), "bbox must be four numbers an entry"),
    (lambda: Predictions.from_arrays([1, 2], [1, 2], [[0, 0, 1, 1]], [0.5, 1]), "1 boxes for 2 entries"),
    (lambda: Predictions.from_arrays([1], [1], [[0, 0, 1, 1]], [np.nan]), "entry 0: score nan"),
    (lambda: Predictions.from_arrays([1], [1], [[0, 0, 1, 1]], ["a"]), "score must be numbers"),
    (lambda: Truth.from_arrays([1], [1], [[0, 0, 1, 1]], crowds=[1, 0]), "crowd flags for 1 objects"),
    (lambda: Truth.from_arrays([1], [1], [[0, 0, 1, 1]], pictures=[2]), "image_id 1 is no picture"),
    (
        lambda: Truth.from_arrays([1, 1], [1, 1], [[0, 0, 1, 1]] * 2, annotation_ids=[4, 4]),
        "entry 1: id 4 was used",
    ),
]


@pytest.mark.parametrize(("make", "message"), ARRAY_FAULTS, ids=range(len(ARRAY_FAULTS)))
def test_faults_of_arrays(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_ids_far_apart_are_found():
    ids = np.array([-(2**62), 5, 2**62])
    truth = Truth.from_arrays(ids, [1, 1, 1], [[0, 0, 9, 9]] * 3)
    found = Predictions.from_arrays(ids[::-1], [1, 1, 1], [[0, 0, 9, 9]] * 3, [0.5] * 3)
    assert evaluate(truth, found).stats[0] == pytest.approx(1)
    with pytest.raises(DataError, match="entry 0: image_id 6 is no picture"):
        evaluate(truth, Predictions.from_arrays([6], [1], [[0, 0, 9, 9]], [0.5]))


@pytest.mark.slow
def test_ten_million_detections():
    random = np.random.default_rng(0)
    count, pictures = 10_000_000, 20_000
    corners, sizes = random.uniform(0, 500, (2, count, 2))
    truth = Truth.from_arrays(
        np.arange(pictures), np.arange(pictures) % 80, np.full((pictures, 4), 100.0), pictures=np.arange(pictures)
    )
    found = Predictions.from_arrays(
        random.integers(0, pictures, count), random.integers(0, 80, count), np.concatenate([corners, sizes], 1),
        random.random(count),
    )  # fmt: skip
    assert 0 < evaluate(truth, found).stats[8] < 1


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("score", "0.5", "score must be a number"),
        ("score", None, "score must be a number"),
        ("score", True, "score must be a number"),
        ("image_id", 1.5, "image_id must be a whole number"),
        ("image_id", None, "image_id must be a whole number"),
        ("category_id", False, "category_id must be a whole number"),
        ("bbox", [1, 2, 3], "bbox must be four numbers"),
        ("bbox", [1, 2, 3, "4"], "bbox must be four numbers"),
        ("bbox", [1, 2, 3, True], "bbox must be four numbers"),
        ("bbox", [[1], 2, 3, 4], "bbox must be four numbers"),
    ],
)
def test_a_wrong_value_far_into_a_large_file_is_found(field, value, wanted, tmp_path):
    """Files of more than a megabyte are read in pieces, and most checks are left to the arrays."""
    truth = Truth.from_arrays([1], [1], [[0, 0, 5, 5]])
    entry = {"image_id": 1, "category_id": 1, "bbox": [1.5, 2.5, 3.5, 4.5], "score": 0.5}
    entries = [entry] * 30_000
    entries[25_000] = entry | {field: value}
    (tmp_path / "large.json").write_text(json.dumps(entries))
    assert (tmp_path / "large.json").stat().st_size > 2**21
    with pytest.raises(DataError, match=f"entry 25000: {wanted}"):
        load_predictions(tmp_path / "large.json", truth)


@pytest.mark.parametrize("end", ["},]", "},\n]", "}, ,]"])
def test_a_comma_after_the_last_entry_is_refused_wherever_pieces_end(files, monkeypatch, end):
    truth_path, path = files()
    truth, text = load_truth(truth_path), Path(path).read_text()
    Path(path).write_text(text.rstrip()[:-2] + end)
    entry = len(json.dumps(json.loads(text)[0]))
    for size in (1, entry - 2, entry, 2 * entry - 2, 2 * entry, 1 << 20):
        monkeypatch.setattr("lucidbox.formats.json_text.PIECE", size)
        with pytest.raises(DataError, match="not valid JSON"):
            load_predictions(path, truth)
