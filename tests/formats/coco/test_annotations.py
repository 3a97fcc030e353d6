"""COCO JSON: every problem is listed with file, entry and field, and what is usable is read."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from data_sets import CATEGORIES, annotation, coco, image
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets import ProblemKind, read_dataset, scan, statistics, to_truth


def problems_of(tmp_path, *args, **changes):
    """Kind, what follows the file's name, and whether it was left out, of each problem."""
    file = coco(tmp_path, *args, **changes)
    reading = scan(file)
    return [(one.kind, str(one).removeprefix(f"{file}: "), one.left_out) for one in reading.problems]


def test_whole_file_has_no_problem_and_is_read(tmp_path):
    objects = [annotation(7, 2, (0.5, 1, 10, 20), 18, area=150.5), annotation(9, 1, (0, 0, 64, 48), 3, iscrowd=1)]
    part = read_dataset(coco(tmp_path, [image(1), image(2), image(5)], objects)).part()
    assert part.names == ("person", "car", "dog")
    assert part.category_ids.tolist() == [1, 3, 18]
    assert part.image_ids.tolist() == [1, 2, 5]
    assert part.sizes.tolist() == [[64, 48]] * 3
    # In the order of pictures, not of the file.
    assert part.annotation_ids.tolist() == [9, 7]
    assert part.pictures.tolist() == [0, 1]
    assert part.classes.tolist() == [1, 2]
    assert part.boxes_xywh.tolist() == [[0, 0, 64, 48], [0.5, 1, 10, 20]]
    assert part.areas.tolist() == [10, 150.5]
    assert part.crowds.tolist() == [True, False]
    assert [part.objects(picture) for picture in range(3)] == [slice(0, 1), slice(1, 2), slice(2, 2)]
    assert part.path(2) == tmp_path / "images" / "005.png"


BAD_ANNOTATIONS = {
    "no bbox": ({"bbox": ...}, ProblemKind.MISSING_FIELD, "bbox: is missing"),
    "text as image_id": ({"image_id": "5"}, ProblemKind.UNKNOWN_ID, "image_id: 5 is no usable picture"),
    "true as image_id": ({"image_id": True}, ProblemKind.WRONG_TYPE, "image_id: must be a whole number, got true"),
    "fraction as category_id": (
        {"category_id": 1.5},
        ProblemKind.WRONG_TYPE,
        "category_id: must be a whole number, got 1.5",
    ),
    # Parsers disagree on whether this is a whole number too large or a fraction.
    "huge id": ({"image_id": 10**20}, ProblemKind.WRONG_TYPE, "image_id: "),
    "unknown picture": ({"image_id": 5}, ProblemKind.UNKNOWN_ID, "image_id: 5 is no usable picture of this file"),
    "unknown category": (
        {"category_id": 2},
        ProblemKind.UNKNOWN_ID,
        "category_id: 2 is no usable category of this file",
    ),
    "three numbers": ({"bbox": [1, 2, 3]}, ProblemKind.WRONG_TYPE, "bbox: must be four numbers"),
    "text in box": ({"bbox": [1, 2, 3, "4"]}, ProblemKind.WRONG_TYPE, "bbox: must be four numbers"),
    "no list as box": ({"bbox": 3}, ProblemKind.WRONG_TYPE, "bbox: must be four numbers"),
    "NaN": ({"bbox": [1, 2, math.nan, 4]}, ProblemKind.NOT_FINITE, "bbox: [1.0, 2.0, NaN, 4.0] is not finite"),
    "infinite": (
        {"bbox": [1, 2, math.inf, 4]},
        ProblemKind.NOT_FINITE,
        "bbox: [1.0, 2.0, Infinity, 4.0] is not finite",
    ),
    "beyond doubles": (
        {"bbox": [1, 2, 10**400, 4]},
        ProblemKind.NOT_FINITE,
        "bbox: [1.0, 2.0, Infinity, 4.0] is not",
    ),
    "no width": ({"bbox": [1, 2, 0, 4]}, ProblemKind.EMPTY_BOX, "bbox: has no area: width 0, height 4"),
    "negative": ({"bbox": [9, 9, 3, -4]}, ProblemKind.EMPTY_BOX, "bbox: has a negative size: width 3, height -4"),
    "outside": (
        {"bbox": [70, 5, 3, 4]},
        ProblemKind.OUTSIDE,
        "bbox: wholly outside the 64×48 picture: 9 px beyond the right edge",
    ),
    "iscrowd 2": ({"iscrowd": 2}, ProblemKind.CROWD, "iscrowd: must be 0 or 1, got 2"),
    "iscrowd text": ({"iscrowd": "0"}, ProblemKind.WRONG_TYPE, 'iscrowd: must be 0 or 1, got "0"'),
}


@pytest.mark.parametrize("case", BAD_ANNOTATIONS)
def test_an_unusable_annotation_is_one_problem_and_the_others_are_read(tmp_path, case):
    changes, kind, message = BAD_ANNOTATIONS[case]
    bad = {key: value for key, value in (annotation(8) | changes).items() if value is not ...}
    file = coco(tmp_path, annotations=[annotation(7, box=(1, 1, 5, 5)), bad])
    reading = scan(file)
    (problem,) = reading.problems
    assert (problem.kind, problem.left_out) == (kind, True)
    place = f"{file}: annotations[1]" + (" (id 8)" if "id" in bad else "")
    assert str(problem).startswith(f"{place}: {message}")
    assert reading.part().annotation_ids.tolist() == [7]


ODD_ANNOTATIONS = {
    "partly outside": (
        {"bbox": [-2.5, 4, 10, 50]},
        ProblemKind.OUTSIDE,
        "bbox: partly outside the 64×48 picture: 2.5 px beyond the left edge, 6 px beyond the bottom edge",
    ),
    "area of text": ({"area": "9"}, ProblemKind.WRONG_TYPE, 'area: must be a number, got "9"'),
    "area NaN": ({"area": math.nan}, ProblemKind.NOT_FINITE, "area: NaN is not a finite number"),
    "area 0": ({"area": 0}, ProblemKind.AREA, "area: must be positive, got 0.0"),
    "area of another box": ({"area": 500}, ProblemKind.AREA, "area: 500 exceeds the 200 square pixels of its box"),
}


@pytest.mark.parametrize("case", ODD_ANNOTATIONS)
def test_an_odd_annotation_is_reported_and_read(tmp_path, case):
    changes, kind, message = ODD_ANNOTATIONS[case]
    reading = scan(coco(tmp_path, annotations=[annotation(8) | changes]))
    (problem,) = reading.problems
    assert (problem.kind, problem.left_out) == (kind, False)
    assert str(problem).endswith(f"annotations[0] (id 8): {message}")
    part = reading.part()
    assert part.annotation_ids.tolist() == [8]
    usable = {"partly outside": 10, "area of another box": 500}
    assert part.areas.tolist() == [usable.get(case, 200)]


def test_rounding_at_the_edge_is_no_problem(tmp_path):
    assert problems_of(tmp_path, None, [annotation(1, box=(53.99, 27.99, 10.02, 20.02))]) == []
    (found,) = problems_of(tmp_path, None, [annotation(1, box=(53.99, 28, 10.04, 20))])
    assert "0.03 px beyond the right edge" in found[1]


def test_every_repeated_annotation_points_to_the_first(tmp_path):
    objects = [annotation(1), annotation(2, category=3), annotation(3), annotation(4), annotation(5, iscrowd=1)]
    found = problems_of(tmp_path, None, objects)
    assert [(kind, left_out) for kind, _, left_out in found] == [(ProblemKind.DUPLICATE_OBJECT, True)] * 2
    assert found[0][1].startswith("annotations[2] (id 3): bbox: the same")
    assert scan(tmp_path).part().annotation_ids.tolist() == [1, 2, 5]


def test_repeated_ids(tmp_path):
    found = problems_of(
        tmp_path,
        [image(1), image(1, file_name="b.png"), image(2, file_name="001.png")],
        [annotation(4), annotation(4, box=(1, 1, 4, 4))],
        categories=[*CATEGORIES, {"id": 3, "name": "cat"}, {"id": 20, "name": "dog"}],
    )
    same = 'images[2] (001.png): file_name: "001.png" was used by entry 0; they must differ'
    assert found == [
        (ProblemKind.DUPLICATE_ID, "images[1] (b.png): id: 1 was used by entry 0; they must differ", True),
        (ProblemKind.SAME_PICTURE, same, False),
        (ProblemKind.DUPLICATE_ID, "annotations[1] (id 4): id: 4 was used by entry 0; they must differ", True),
        (ProblemKind.DUPLICATE_ID, "categories[3] (id 3): id: 3 was used by entry 1; they must differ", True),
        (
            ProblemKind.CLASS_NAMES,
            'categories[4] (id 20): name: "dog" was used by entry 2; they must differ',
            False,
        ),
    ]
    part = scan(tmp_path).part()
    assert part.file_names == ("001.png", "001.png")
    assert part.names == ("person", "car", "dog", "dog")


def test_image_fields(tmp_path):
    images = [image(1), image(2, width="64"), image(3, height=0), image(4, file_name=""), "text"]
    images.append({"id": 6, "width": 64, "height": 48})
    found = problems_of(tmp_path, images)
    assert [(kind, text) for kind, text, _ in found] == [
        (ProblemKind.WRONG_TYPE, 'images[1] (002.png): width: must be a whole number, got "64"'),
        (ProblemKind.PICTURE_SIZE, "images[2] (003.png): height: must be positive, got 0"),
        (ProblemKind.MISSING_FIELD, "images[3] (id 4): file_name: is empty"),
        (ProblemKind.WRONG_TYPE, 'images[4]: must be an object, got "text"'),
        (ProblemKind.MISSING_FIELD, "images[5] (id 6): file_name: is missing"),
    ]
    part = scan(tmp_path).part()
    assert part.image_ids.tolist() == [1, 2, 3]
    assert part.sizes.tolist() == [[64, 48], [0, 0], [0, 0]]


def test_absent_area_and_iscrowd_are_counted_not_wrong(tmp_path):
    bare = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    reading = scan(coco(tmp_path, annotations=[bare, annotation(2)]))
    assert reading.problems == ()
    assert [note.partition(": ")[2] for note in reading.notes] == [
        "1 of 2 annotations have no area; width times height is taken",
        "1 of 2 annotations have no iscrowd; they are taken for single objects",
    ]
    assert reading.part().areas.tolist() == [12, 10]


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
def test_a_missing_list_is_one_problem_not_one_for_each_reference(tmp_path, section):
    (found,) = problems_of(tmp_path, **{section: ...})
    assert found[:2] == (ProblemKind.STRUCTURE, f"{section}: is missing")
    with pytest.raises(DataError, match=f"{section}: is missing"):
        read_dataset(tmp_path)


def test_all_missing_lists_are_named(tmp_path):
    file = tmp_path / "instances.json"
    file.write_text("{}")
    assert [one.field for one in scan(file).problems] == ["images", "annotations", "categories"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("[]", "expected an object with images, annotations, categories, got []"),
        ('{"images": [', "not valid JSON"),
        ("\xff", "not valid JSON"),
    ],
)
def test_what_is_no_json_is_one_problem(tmp_path, text, message):
    file = tmp_path / "instances.json"
    file.write_bytes(text.encode("latin-1"))
    (problem,) = scan(file).problems
    assert problem.kind is ProblemKind.STRUCTURE
    assert str(problem).startswith(f"{file}: {message}")
    with pytest.raises(DataError, match=r"instances\.json"):
        read_dataset(file)


def test_a_file_cut_anywhere_is_a_problem_not_a_crash(tmp_path):
    whole = coco(tmp_path).read_text()
    file = tmp_path / "cut.json"
    for length in range(1, len(whole), 17):
        file.write_text(whole[:length])
        assert [problem.kind for problem in scan(file).problems] == [ProblemKind.STRUCTURE]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([1, 2, 3, 64]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["id", "image_id", "category_id", "bbox", "area", "iscrowd", "file_name", "width", "height", "name"]
)
DAMAGE = st.lists(st.tuples(st.integers(0, 5), FIELDS, ANYTHING), max_size=6)


@settings(max_examples=80, deadline=None)
@given(DAMAGE, st.lists(st.tuples(st.sampled_from(["images", "annotations", "categories"]), ANYTHING), max_size=1))
def test_any_damage_is_a_list_of_problems_and_what_is_left_is_usable(damage, sections):
    document = {
        "images": [image(1), image(2)],
        "annotations": [annotation(1), annotation(2, 2, category=3)],
        "categories": CATEGORIES,
    }
    document = json.loads(json.dumps(document))
    entries = [*document["images"], *document["annotations"], *document["categories"][:2]]
    for index, field, value in damage:
        entries[index][field] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "instances.json")
        file.write_text(json.dumps(document | dict(sections)))
        reading = scan(file)
    part = reading.part()
    assert all(str(problem).startswith(str(file)) for problem in reading.problems)
    assert np.isfinite(part.boxes_xywh).all()
    assert (part.boxes_xywh[:, 2:] > 0).all()
    assert (part.areas > 0).all()
    assert len(np.unique(part.image_ids)) == len(part)
    assert len(np.unique(part.annotation_ids)) == len(part.classes)
    assert statistics(part).pictures == len(part)
    truth = to_truth(part)
    assert len(truth) == len(part.classes)
    lost = sum(problem.left_out for problem in reading.problems)
    assert len(part) + len(part.classes) + len(part.names) >= (7 - lost if not sections else 0)


def test_fields_that_are_not_read_are_counted(tmp_path):
    objects = [annotation(1, segmentation=[[1, 2, 3]]), annotation(2, box=(1, 1, 9, 9), segmentation=[])]
    part = read_dataset(coco(tmp_path, [image(1, license=4)], objects)).part()
    assert part.unread_fields == (("images.license", 1), ("annotations.segmentation", 1))


def test_unknown_part_is_refused(tmp_path):
    reading = read_dataset(coco(tmp_path))
    with pytest.raises(OptionError, match="no part 'val'; the data set has: all"):
        reading.part("val")


def test_real_data_has_no_problems(coco_folder):
    reading = read_dataset(coco_folder)
    document = json.loads((coco_folder / "instances.json").read_text())
    part = reading.part()
    assert reading.problems == ()
    assert len(part) == len(document["images"])
    assert len(part.classes) == len(document["annotations"])
    assert part.path(0).is_file()
