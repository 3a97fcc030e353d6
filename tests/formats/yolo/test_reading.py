"""YOLO folders: data.yaml, label files, and what can be wrong with them."""

import numpy as np
import pytest
from data_sets import picture, turned, yolo
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.errors import DataError
from lucidbox.datasets import ProblemKind, read_dataset, scan
from lucidbox.formats.yolo.label_files import label_path
from lucidbox.formats.yolo.labels import LabelReader


def test_boxes_become_pixels_of_each_picture(tmp_path):
    file = yolo(tmp_path, {"a": "0 0.5 0.5 0.25 0.5\n\n2 0.125 0.25 0.25 0.5\n", "b": None, "c": ""})
    reading = read_dataset(tmp_path)
    part = reading.part("train")
    assert reading.problems == ()
    assert reading.notes == (f"{file}: train: 1 of 3 pictures have no label file; they have no objects",)
    assert part.file_names == ("a.png", "b.png", "c.png")
    assert part.sizes.tolist() == [[64, 48]] * 3
    assert part.classes.tolist() == [0, 2]
    assert part.boxes_xywh.tolist() == [[24, 12, 16, 24], [0, 0, 16, 24]]
    assert part.areas.tolist() == [384, 384]
    assert part.category_ids.tolist() == [0, 1, 2]


def test_a_turned_picture_has_the_size_that_viewers_show(tmp_path):
    yolo(tmp_path, {})
    turned(tmp_path / "images" / "train" / "t.jpg", 64, 48)
    assert read_dataset(tmp_path).part().sizes.tolist() == [[48, 64]]


def test_label_path_follows_the_last_images_folder():
    from pathlib import Path

    assert label_path(Path("/images/set/images/a/x.jpg")) == Path("/images/set/labels/a/x.txt")
    assert label_path(Path("/set/x.y.jpg")) == Path("/set/x.y.txt")
    assert label_path(Path("/set/images.jpg")) == Path("/set/images.txt")


BAD_LINES = {
    "0 0.5 0.5 0.2": (ProblemKind.COLUMNS, "4 columns; a box has 5 (class cx cy w h)"),
    "0 0.5 0.5 0.2 0.2 0.9": (ProblemKind.COLUMNS, "6 columns; a box has 5"),
    "0,0.5,0.5,0.2,0.2": (ProblemKind.SEPARATOR, "'0,0.5,0.5,0.2,0.2': write blanks between numbers"),
    "0 0,5 0,5 0,2 0,2": (ProblemKind.SEPARATOR, "'0,5': write blanks between numbers and points in them"),
    "0;0.5;0.5;0.2;0.2": (ProblemKind.SEPARATOR, "'0;0.5;0.5;0.2;0.2'"),
    "person 0.5 0.5 0.2 0.2": (ProblemKind.WRONG_TYPE, "'person' is not a number"),
    "0.5 0.5 0.5 0.2 0.2": (ProblemKind.WRONG_TYPE, "class: must be a whole number, got 0.5"),
    "3 0.5 0.5 0.2 0.2": (ProblemKind.CLASS_RANGE, "class: 3 is not in 0 to 2"),
    "-1 0.5 0.5 0.2 0.2": (ProblemKind.CLASS_RANGE, "class: -1 is not in 0 to 2"),
    "0 0.5 nan 0.2 0.2": (ProblemKind.NOT_FINITE, "cy: nan is not a finite number"),
    "inf 0.5 0.5 0.2 0.2": (ProblemKind.NOT_FINITE, "class: inf is not a finite number"),
    "0 0.5 0.5 0.2 -0.2": (ProblemKind.EMPTY_BOX, "h: has a negative size: w 0.2, h -0.2"),
    "0 0.5 0.5 0 0.2": (ProblemKind.EMPTY_BOX, "w: has no area: w 0, h 0.2"),
    "0 1.2 0.5 0.2 0.2": (ProblemKind.NOT_A_SHARE, "cx: 1.2 is not in 0..1"),
    "0 0.5 -0.1 0.2 0.2": (ProblemKind.NOT_A_SHARE, "cy: -0.1 is not in 0..1"),
    "0 320 240 64 48": (ProblemKind.NOT_A_SHARE, "cx: 320 is not in 0..1; are these pixels?"),
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_an_unusable_line_is_one_problem_and_the_others_are_read(tmp_path, line):
    yolo(tmp_path, {"a": f"1 0.5 0.5 0.5 0.5\n{line}\n"})
    reading = scan(tmp_path)
    (problem,) = reading.problems
    kind, message = BAD_LINES[line]
    assert (problem.kind, problem.left_out) == (kind, True)
    assert str(problem).startswith(f"{tmp_path}/labels/train/a.txt:2: {message}")
    assert reading.part().classes.tolist() == [1]


def test_box_beyond_the_edge_is_told_in_pixels_and_kept(tmp_path):
    yolo(tmp_path, {"a": "0 0.9 0.5 0.3 0.5\n"})
    reading = scan(tmp_path)
    (problem,) = reading.problems
    assert (problem.kind, problem.left_out) == (ProblemKind.OUTSIDE, False)
    assert "partly outside the 64×48 picture: 3.2 px beyond the right edge" in problem.message
    assert len(reading.part().classes) == 1


def test_repeated_line(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.50 0.5 0.2 0.2\n"})
    (problem,) = scan(tmp_path).problems
    assert str(problem).endswith("a.txt:3: the same as line 1")
    assert problem.kind is ProblemKind.DUPLICATE_OBJECT


@given(st.floats(0, 1), st.floats(0, 1), st.integers(4, 12))
def test_rounding_of_written_numbers_is_never_a_box_outside(first, second, decimals):
    low, high = sorted((first, second))
    numbers = [(low + high) / 2, 0.5, high - low, 0.5]
    tokens = [f"{number:.{decimals}f}" for number in numbers]
    if float(tokens[2]) > 0:
        assert LabelReader(1).read(" ".join(["0", *tokens]), 64, 48).problems == ()


@given(st.text(alphabet="0123456789.,-e nai\n\t;", max_size=60))
def test_any_text_is_read_without_a_crash_and_what_is_kept_is_usable(text):
    labels = LabelReader(3).read(text, 64, 48)
    assert ((labels.boxes >= 0) & (labels.boxes <= 1)).all()
    assert (labels.boxes[:, 2:] > 0).all()
    assert ((labels.classes >= 0) & (labels.classes < 3)).all()
    lines = sum(bool(line.split()) for line in text.splitlines())
    assert lines == len(labels.classes) + sum(problem.left_out for problem in labels.problems)


def test_an_outline_becomes_the_box_around_it(tmp_path):
    yolo(tmp_path, {"a": "1 0.25 0.5 0.5 0.25 0.75 0.75\n"})
    reading = scan(tmp_path)
    assert reading.problems == ()
    assert reading.part().boxes_xywh.tolist() == [[16, 12, 32, 24]]
    assert [note.partition("train: ")[2] for note in reading.notes] == ["1 outlines became the boxes around them"]


def test_keypoints_are_not_taken_for_outlines(tmp_path):
    yaml = "train: images/train\nnames: [person]\nkpt_shape: [2, 3]\n"
    yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 1\n0 0.5 0.5 0.5 0.5\n"}, yaml)
    reading = scan(tmp_path)
    (problem,) = reading.problems
    assert "5 columns; with this kpt_shape there must be 11" in problem.message
    assert reading.part().boxes_xywh.tolist() == [[16, 12, 32, 24]]


def test_label_without_picture_and_unreadable_files(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2"})
    labels = tmp_path / "labels" / "train"
    (labels / "gone.txt").write_text("0 0.5 0.5 0.2 0.2")
    (labels / "deep").mkdir()
    (labels / "deep" / "too.txt").write_text("")
    (labels / "classes.txt").write_text("person\ncar\n")
    picture(tmp_path / "images" / "train" / "b.png")
    (labels / "b.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "images" / "train" / "c.jpg").write_bytes(b"no picture")
    (tmp_path / "images" / "train" / "d.jpg").write_bytes(b"")
    found = {(one.kind, one.place.removeprefix(f"{tmp_path}/")): one.message for one in scan(tmp_path).problems}
    assert set(found) == {
        (ProblemKind.ORPHAN_LABEL, "labels/train/gone.txt"),
        (ProblemKind.ORPHAN_LABEL, "labels/train/deep/too.txt"),
        (ProblemKind.UNREADABLE_LABELS, "labels/train/b.txt"),
        (ProblemKind.UNREADABLE_PICTURE, "images/train/c.jpg"),
        (ProblemKind.UNREADABLE_PICTURE, "images/train/d.jpg"),
    }
    assert found[ProblemKind.UNREADABLE_PICTURE, "images/train/d.jpg"] == "is empty"


def test_a_label_without_picture_is_told_once_whatever_the_path(tmp_path, monkeypatch):
    yolo(tmp_path / "set", {"a": "0 0.5 0.5 0.2 0.2"})
    orphan = tmp_path / "set" / "labels" / "train" / "gone.txt"
    orphan.write_text("0 0.5 0.5 0.2 0.2")
    monkeypatch.chdir(tmp_path)
    for path in ("set", "set/data.yaml", "./set/../set", tmp_path / "set"):
        assert [(one.kind, one.place) for one in scan(path).problems] == [(ProblemKind.ORPHAN_LABEL, str(orphan))]


def test_lists_of_pictures(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": "", "c": ""})
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: [val.txt]\nnames: {0: person}\nextra: more.txt\n")
    (tmp_path / "train.txt").write_text("./images/train/a.png\n\nimages/train/b.png\nimages/train/z.png\n")
    (tmp_path / "val.txt").write_text(f"{tmp_path}/images/train/c.png\nimages/train/c.png\n")
    (tmp_path / "more.txt").write_text("images/train/a.png\n")
    reading = scan(tmp_path)
    assert {part.name: part.file_names for part in reading.parts} == {
        "train": ("a.png", "b.png"),
        "val": ("c.png",),
        "extra": ("a.png",),
    }
    assert [(one.kind, one.place) for one in reading.problems] == [
        (ProblemKind.MISSING_PICTURE, f"{tmp_path}/train.txt:3".replace(":3", ":4")),
        (ProblemKind.SAME_PICTURE, f"{tmp_path}/val.txt:2"),
    ]


def test_numbers_in_file_names_are_picture_ids(tmp_path):
    yolo(tmp_path / "numbers", {"000000000802": "", "000000000139": ""})
    assert read_dataset(tmp_path / "numbers").part().image_ids.tolist() == [139, 802]
    yolo(tmp_path / "words", {"12": "", "012": ""})
    assert read_dataset(tmp_path / "words").part().image_ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: [", "data.yaml:1: not valid YAML"),
        ("train: a\ntrain: b\nnames: [x]", "data.yaml:2: not valid YAML: the key train stands twice"),
        (
            "train: a\nnames: !!python/object/apply:os.system [id]",
            "not valid YAML: could not determine a constructor",
        ),
        ("- a", "expected train:, val: and names:"),
        ("names: [x]", "names no part"),
        ("train: images", "names: must be a list of class names"),
        ("train: images\nnames: person", "names: must be a list of class names"),
        ("train: images\nnames: {a: 0}", "keys must be class ids"),
    ],
)
def test_malformed_yaml(tmp_path, yaml, message):
    (tmp_path / "data.yaml").write_text(yaml)
    with pytest.raises(DataError) as error:
        scan(tmp_path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("lines", "field", "message"),
    [
        ("names: [a, b]\nnc: 3", "nc", "is 3, but names has 2 classes"),
        ("names: {0: a, 2: c}", "names", "has no class 1"),
        ("names: [a, no]", "names", "class 1 is False, not text; YAML needs quotes"),
        ("names: [a, b, a]", "names", "class 2 is called 'a' as class 0 is"),
        ("nc: 4", "names", "is missing; the 4 classes are called by their numbers"),
        ("names: [a]\npath: elsewhere", "path", "elsewhere: no such folder"),
        ("names: [a]\nval: images/val", "val", "no such folder or list"),
        ("names: [a]\nval: 3", "val", "must be a folder or a list of pictures, got 3"),
        ("names: [a]\ncategory_ids: [1, 2]", "category_ids", "must be 1 different whole numbers"),
    ],
)
def test_odd_yaml_is_reported_and_read(tmp_path, lines, field, message):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2"}, f"train: images/train\n{lines}\n")
    reading = scan(tmp_path)
    (problem,) = reading.problems
    assert (problem.place, problem.field) == (str(tmp_path / "data.yaml"), field)
    assert message in problem.message
    assert len(reading.part("train").classes) == 1


def test_path_is_the_root_of_parts_and_one_exporters_dots_are_understood(tmp_path):
    yolo(tmp_path / "set", {"a": ""}, "train: ../images/train\nnames: [x]\n")
    assert len(read_dataset(tmp_path / "set").part()) == 1
    (tmp_path / "data.yaml").write_text("path: set\ntrain: images/train\nnames: [x]\n")
    assert len(read_dataset(tmp_path).part()) == 1


def test_category_ids_of_coco_names_and_of_the_file(tmp_path):
    from lucidbox.core.class_names import COCO_IDS, COCO_NAMES

    names = ", ".join(COCO_NAMES)
    yolo(tmp_path / "coco", {"a": ""}, f"train: images/train\nnames: [{names}]\n")
    assert read_dataset(tmp_path / "coco").part().category_ids.tolist() == list(COCO_IDS)
    yolo(tmp_path / "own", {"a": ""}, "train: images/train\nnames: [x, y]\ncategory_ids: [7, 3]\n")
    assert np.array_equal(read_dataset(tmp_path / "own").part().category_ids, [7, 3])


def test_no_usable_picture_is_refused_when_read(tmp_path):
    yolo(tmp_path, {})
    (tmp_path / "images" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="no usable pictures"):
        read_dataset(tmp_path)
