"""COCO files as tools write them: what can be meant in one way only is read so, and counted in notes."""

import json

import numpy as np
import pytest
from data_sets import CATEGORIES, annotation, coco, image, picture

from lucidbox.core.errors import DataError
from lucidbox.datasets import ProblemKind, read_dataset, scan, split
from lucidbox.evaluate import evaluate, load_predictions, load_truth
from lucidbox.evaluate.categories import map_classes
from lucidbox.formats.coco.outlines import box_around

SPELLINGS = {
    "fractions": (1.0, 3.0, "have image_id as a fraction (1.0); the whole number is taken"),
    "numerals": ("1", "3", "have image_id as text; the number in it is taken"),
}


def both(file):
    """The objects that data sets and the evaluation read, which are the same, and the notes, which are, too."""
    part, truth = read_dataset(file), load_truth(file)
    one = part.part()
    columns = (one.image_ids[one.pictures], one.category_ids[one.classes], one.boxes_xywh, one.crowds)
    rows = np.argsort(truth.images, kind="stable")
    objects = truth[rows]
    found = (
        truth.image_ids[objects.images], truth.category_ids[objects.categories], objects.boxes_xywh, objects.crowds
    )  # fmt: skip
    for ours, theirs in zip(columns, found, strict=True):
        assert ours.tolist() == theirs.tolist()
    assert [note for note in part.notes if "coco_url" not in note] == list(truth.notes)
    return [column.tolist() for column in columns], [note.partition(": ")[2] for note in truth.notes]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ids_of_another_spelling(tmp_path, spelling):
    picture_id, category, note = SPELLINGS[spelling]
    columns, notes = both(coco(tmp_path, annotations=[annotation(1, picture_id, category=category)]))
    assert columns[:2] == [[1], [3]]
    assert f"1 of 1 annotations {note}" in notes


def test_ids_that_are_words_match_in_all_files(tmp_path):
    images = [image(0, id="ab-1", file_name="a.png"), image(0, id="ab-2", file_name="b.png")]
    annotations = [annotation("x", "ab-2", category="c1"), annotation("y", "ab-1", category="c2")]
    categories = [{"id": "c1", "name": "cat"}, {"id": "c2", "name": "dog"}]
    file = coco(tmp_path, images, annotations, categories=categories)
    both(file)
    part = read_dataset(file).part()
    assert [part.names[one] for one in part.classes.tolist()] == ["dog", "cat"]
    results = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 0.9}
        for one in annotations
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = load_truth(file)
    assert evaluate(truth, load_predictions(tmp_path / "results.json", truth)).stats[0] == pytest.approx(1)


@pytest.mark.parametrize("count", [3, 40_000])
def test_results_with_ids_as_fractions(tmp_path, count):
    entries = [{"image_id": 1.0, "category_id": 1.0, "bbox": [1.5, 2, 3, 4], "score": 0.5}] * count
    (tmp_path / "results.json").write_text(json.dumps(entries))
    truth = load_truth(coco(tmp_path))
    found = load_predictions(tmp_path / "results.json", truth)
    assert found.image_ids.dtype == np.int64
    assert found.image_ids.tolist() == [1] * count


def test_null_is_absent(tmp_path):
    bare = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": None, "area": None}
    columns, notes = both(coco(tmp_path, annotations=[bare, annotation(2, iscrowd=1.0)]))
    assert columns[3] == [False, True]
    assert notes == [
        "1 of 2 annotations have no area; width times height is taken",
        "1 of 2 annotations have no iscrowd; they are taken for single objects",
        "1 of 2 annotations have iscrowd as a fraction (1.0); the whole number is taken",
    ]


def test_annotations_without_id_get_numbers_that_are_free(tmp_path):
    objects = [annotation(2), annotation(9, box=(0, 0, 5, 5)), annotation(9, box=(9, 9, 5, 5))]
    del objects[1]["id"], objects[2]["id"]
    file = coco(tmp_path, annotations=objects)
    _, notes = both(file)
    assert notes == ["2 of 3 annotations have no id; they are numbered"]
    assert read_dataset(file).part().annotation_ids.tolist() == [2, 1, 3]
    split(file, tmp_path / "parts", {"all": 1.0})
    assert len(read_dataset(tmp_path / "parts").part().classes) == 3


def test_boxes_from_segmentations(tmp_path):
    outlines = [[[10, 20, 30, 20, 20, 40]], {"size": [48, 64], "counts": [48 * 2 + 5, 3, 45, 3, 48 * 60 - 8]}]
    objects = [annotation(number, segmentation=one, area=6) for number, one in enumerate([*outlines, [], None], 1)]
    for one in objects:
        del one["bbox"]
    file = coco(tmp_path, annotations=objects[:2])
    columns, notes = both(file)
    assert columns[2] == [[10, 20, 20, 20], [2, 5, 2, 3]]
    assert notes == ["2 of 2 annotations have no bbox; the box around their segmentation is taken"]
    found = scan(coco(tmp_path / "more", annotations=objects))
    assert [(one.kind, one.field) for one in found.problems] == [(ProblemKind.MISSING_FIELD, "bbox")] * 2


@pytest.mark.parametrize(
    "damaged",
    [
        [[1, 2, 3]],
        [["a", 2, 3, 4]],
        {"size": [0, 5], "counts": [1, 2]},
        {"size": 3},
        {"counts": "x"},
        5,
        "text",
        [[]],
    ],
)
def test_damaged_segmentations_have_no_box(damaged):
    assert box_around(damaged) is None


def test_masks_as_compressed_text():
    mask = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(5)
    for _ in range(50):
        pixels = np.asfortranarray(random.random((9, 14)) < random.choice([0.02, 0.4, 0.97]), np.uint8)
        encoded = mask.encode(pixels)
        found = box_around({"size": [9, 14], "counts": encoded["counts"].decode()})
        assert found == (mask.toBbox(encoded).tolist() if pixels.any() else None)


def test_lvis_names_files_by_url(tmp_path):
    picture(tmp_path / "val2017" / "000000000139.jpg")
    entry = {
        "id": 139,
        "coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg",
        "width": 64,
        "height": 48,
    }
    file = tmp_path / "lvis_v1_val.json"
    file.write_text(json.dumps({"images": [entry], "annotations": [annotation(1, 139)], "categories": CATEGORIES}))
    both(file)
    assert read_dataset(file).notes == (f"{file}: 1 of 1 images have no file_name; the end of coco_url is taken",)
    assert read_dataset(file).part().path(0).is_file()
    assert load_truth(file).file_names == ("val2017/000000000139.jpg",)


STATED = {
    "s3://bucket/set/v1/a.png": "a.png",
    "https://host/x/images/v1/a%20b.png?token=3": "v1/a b.png",
    "images\\v1\\a.png": "v1/a.png",
    "C:\\Users\\me\\a.png": "a.png",
    "/else/where/a.png": "a.png",
}


@pytest.mark.parametrize("stated", STATED)
def test_files_are_found_by_the_end_of_their_names(tmp_path, stated):
    picture(tmp_path / "images" / STATED[stated])
    file = tmp_path / "instances.json"
    document = {"images": [image(1, file_name=stated)], "annotations": [annotation(1)], "categories": CATEGORIES}
    file.write_text(json.dumps(document))
    reading = read_dataset(file)
    assert reading.part().path(0).is_file()
    assert reading.notes == (
        f"{file}: 1 of 1 pictures are found by the end of their names, {stated} as {reading.part().file_names[0]}",
    )
    split(file, tmp_path / "parts", {"all": 1.0})
    assert json.loads((tmp_path / "parts" / "all.json").read_text())["images"][0]["file_name"] == stated


def test_two_pictures_are_not_found_in_one_file(tmp_path):
    picture(tmp_path / "images" / "a.png")
    images = [image(1, file_name="x/a.png"), image(2, file_name="y/a.png")]
    document = {"images": images, "annotations": [], "categories": CATEGORIES}
    (tmp_path / "instances.json").write_text(json.dumps(document))
    assert read_dataset(tmp_path).part().file_names == ("x/a.png", "y/a.png")


def test_of_categories_of_one_name_the_one_with_annotations_is_taken(tmp_path):
    twins = [{"id": 0, "name": "cat", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "cat"}]
    file = coco(tmp_path, categories=twins)
    reading = read_dataset(file)
    assert reading.problems == ()
    assert (reading.part().names, reading.part().category_ids.tolist()) == (("cat",), [1])
    assert "1 of 2 categories have the name of another and no annotations" in reading.notes[0]
    assert map_classes(["cat"], load_truth(file)).categories.tolist() == [1]
    assert map_classes(["cat"], load_truth(file)).notes == ()
    assert read_dataset(
        coco(tmp_path / "empty", annotations=[], categories=twins)
    ).part().category_ids.tolist() == [1]
    busy = [annotation(1), annotation(2, category=0)]
    with pytest.raises(DataError, match="several categories are called 'cat'"):
        map_classes(["cat"], load_truth(coco(tmp_path / "busy", annotations=busy, categories=twins)))


def test_crowds_everywhere_and_boxes_below_a_pixel_are_told(tmp_path):
    tiny_one = annotation(2, box=(0.1, 0.1, 0.5, 0.6), area=0.3, iscrowd=1)
    file = coco(tmp_path, annotations=[annotation(1, iscrowd=1), tiny_one])
    tiny, crowds = scan(file).problems
    assert (tiny.kind, crowds.kind) == (ProblemKind.TINY_BOX, ProblemKind.CROWD)
    assert [tiny.left_out, crowds.left_out] == [False, False]
    assert "are these shares of 1?" in tiny.message
    assert crowds.message.startswith("all 2 annotations have iscrowd 1")
    assert any("all 2 annotations have iscrowd 1" in note for note in load_truth(file).notes)
