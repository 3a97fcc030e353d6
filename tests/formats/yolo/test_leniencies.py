"""YOLO folders as other tools and other machines leave them: what can be meant in one way only is read so."""

import os

import pytest
from data_sets import picture, yolo

from lucidbox.core.errors import DataError
from lucidbox.datasets import ProblemKind, read_dataset, scan
from lucidbox.formats.yolo.labels import LabelReader, keypoints_after_boxes

ROW = "0 0.5 0.5 0.2 0.2\n"


def write(folder, yaml, labels, pictures):
    """A data.yaml, label files and pictures, by paths below the folder."""
    for name in pictures:
        picture(folder / name, seed=len(name))
    for name in labels:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(ROW)
    if yaml:
        (folder / "data.yaml").write_text(yaml)
    return folder


def counts(path):
    return {part.name: (len(part), len(part.classes)) for part in scan(path).parts}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/above/set/train/a.jpg", "images/above/set/train/a.txt"),
        ("set/Images/a.jpg", "set/Labels/a.txt"),
        ("set/IMAGES/v1/a.jpg", "set/labels/v1/a.txt"),
        ("set/JPEGImages/a.jpg", "set/labels/a.txt"),
        ("set/images/a.jpg", "set/labels/a.TXT"),
        ("set/images/a.jpg", "set/images/a.txt"),
        ("set/images/images/a.jpg", "set/labels/images/a.txt"),
        ("set/images/images/a.jpg", "set/images/labels/a.txt"),
    ],
)
def test_places_of_labels(tmp_path, image, label):
    folder = os.path.dirname(image)  # noqa: PTH120
    write(tmp_path, f"train: {folder}\nnames: [x]\n", [label], [image])
    reading = scan(tmp_path)
    assert reading.problems == ()
    assert len(reading.part().classes) == 1


def test_the_usual_place_counts_where_there_are_several(tmp_path):
    write(tmp_path, "train: images\nnames: [x]\n", ["labels/a.txt"], ["images/a.jpg"])
    (tmp_path / "images" / "a.txt").write_text(ROW * 1 + "0 0.1 0.1 0.1 0.1\n")
    assert counts(tmp_path) == {"train": (1, 1)}


def test_a_part_without_any_label_file_is_a_problem_that_says_where_was_looked(tmp_path):
    write(
        tmp_path,
        "train: a/images\nval: b/images\nnames: [x]\n",
        ["a/labels/1.txt"],
        ["a/images/1.jpg", "b/images/2.jpg"],
    )
    (problem,) = scan(tmp_path).problems
    assert (problem.kind, problem.field) == (ProblemKind.NO_LABELS, "val")
    assert "none of its 1 pictures has a label file; looked in " in problem.message
    assert f"{tmp_path}/b/labels" in problem.message


def test_folders_that_are_links_are_entered_once(tmp_path):
    write(tmp_path / "store", "", ["labels/b.txt"], ["images/b.jpg"])
    write(tmp_path / "set", "train: images\nnames: [x]\n", ["labels/a.txt"], ["images/a.jpg"])
    (tmp_path / "set" / "images" / "more").symlink_to(tmp_path / "store" / "images")
    (tmp_path / "store" / "images" / "circle").symlink_to(tmp_path / "set" / "images")
    reading = scan(tmp_path / "set")
    assert reading.problems == ()
    assert reading.part().file_names == ("a.jpg", "more/b.jpg")
    assert len(reading.part().classes) == 2


@pytest.mark.parametrize("key", ["valid", "validation", "Val", "dev"])
def test_val_by_other_names(tmp_path, key):
    write(
        tmp_path,
        f"train: images/t\n{key}: images/v\nnames: [x]\n",
        ["labels/t/a.txt", "labels/v/b.txt"],
        ["images/t/a.jpg", "images/v/b.jpg"],
    )
    reading = read_dataset(tmp_path)
    assert len(reading.part("val").classes) == len(reading.part(key).classes) == 1
    assert reading.notes == (f"{tmp_path}/data.yaml: {key}: is taken for val:",)


def test_other_keys_that_name_folders_are_told(tmp_path):
    yaml = "train: images/t\nminival: images/v\nval: images/v\nvalid: images/t\nnames: [x]\n"
    yaml += "licence: free\nroot: .\nlogs: runs\nbase: images\n"
    write(tmp_path, yaml, ["labels/t/a.txt", "labels/v/b.txt"], ["images/t/a.jpg", "images/v/b.jpg"])
    (tmp_path / "runs").mkdir()
    reading = scan(tmp_path)
    assert [(one.field, one.left_out) for one in reading.problems] == [("minival", True), ("valid", True)]
    assert [part.name for part in reading.parts] == ["train", "val"]
    (tmp_path / "data.yaml").write_text("minival: images/v\nnames: [x]\n")
    with pytest.raises(DataError, match=r"names no part; .*; minival names folders"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "yaml",
    [
        "path: proj\ntrain: images/t",
        "path: data/proj\ntrain: images/t",
        "path: /content/somewhere/proj\ntrain: images/t",
        "path: work/proj\ntrain: work/proj/images/t",
        "train: proj/images/t",
        "train: data/proj/images/t",
        "train: /gone/proj/images/t",
        "train: images\\t",
        "path: .\\\ntrain: images\\t",
        "train: [images\\t]",
        "train: ../../images/t",
        "path: ..\ntrain: images/t",
    ],
)
def test_paths_of_other_machines(tmp_path, monkeypatch, yaml):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "proj"
    write(folder, f"{yaml}\nnames: [x]\n", ["labels/t/a.txt"], ["images/t/a.jpg"])
    reading = scan(folder)
    assert reading.problems == ()
    assert len(reading.part("train").classes) == 1


def test_a_part_that_is_missing_is_not_replaced_by_another_folder(tmp_path):
    write(
        tmp_path / "val",
        "train: images/t\nval: val\ntest: val/images/x\nnames: [x]\n",
        ["labels/t/a.txt"],
        ["images/t/a.jpg"],
    )
    reading = scan(tmp_path / "val")
    assert counts(tmp_path / "val") == {"train": (1, 1), "val": (0, 0), "test": (0, 0)}
    assert [one.field for one in reading.problems] == ["val", "test"]


def test_list_entries_are_relative_to_the_list_or_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["images/t/a.jpg", "images/t/b.jpg", "images/t/c.jpg", "images/t/d.jpg"]
    write(tmp_path / "set", "train: lists/t.txt\nnames: [x]\n", [f"labels/t/{one}.txt" for one in "abcd"], names)
    (tmp_path / "set" / "lists").mkdir()
    lines = ["../images/t/a.jpg", "images/t/b.jpg", "set/images/t/c.jpg", "images\\t\\d.jpg"]
    (tmp_path / "set" / "lists" / "t.txt").write_text("\n".join(lines))
    assert counts(tmp_path / "set") == {"train": (4, 4)}
    assert scan(tmp_path / "set").problems == ()


def test_class_names_by_text_keys(tmp_path):
    yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.2"}, "train: images/train\nnames: {'0': cat, '1': dog}\n")
    assert read_dataset(tmp_path).part().names == ("cat", "dog")


def test_label_studio(tmp_path):
    write(tmp_path, "", ["labels/a.txt"], ["images/a.jpg"])
    (tmp_path / "classes.txt").write_text("cat\nblue dog\n")
    (tmp_path / "notes.json").write_text('{"categories": []}')
    for path in (tmp_path, tmp_path / "classes.txt"):
        reading = read_dataset(path)
        assert reading.problems == ()
        assert (reading.part().names, len(reading.part().classes)) == (("cat", "blue dog"), 1)


@pytest.mark.parametrize("lists", [True, False])
def test_cvat(tmp_path, lists):
    names = ["obj_train_data/a.jpg", "obj_valid_data/deep/b.jpg"]
    write(tmp_path, "", [name.replace(".jpg", ".txt") for name in names], names)
    (tmp_path / "obj.names").write_text("cat\n")
    if lists:
        text = "classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = x/\n"
        (tmp_path / "obj.data").write_text(text)
        for part, name in zip(("train", "valid"), names, strict=True):
            (tmp_path / f"{part}.txt").write_text(f"data/{name}\n")
    assert counts(tmp_path) == {"train": (1, 1), "val": (1, 1)}
    assert scan(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("row", "box"),
    [
        ("0 0.5 0.5 1.000001 0.5", [0.5, 0.5, 1, 0.5]),
        ("0 -0.000001 0.5 0.1 0.1", [0, 0.5, 0.1, 0.1]),
        ("0 0.5 1.009 0.1 0.1", [0.5, 1, 0.1, 0.1]),
    ],
)
def test_numbers_within_a_hundredth_are_clipped(row, box):
    labels = LabelReader(1).read(row, 64, 48)
    assert labels.boxes.tolist() == [box]
    assert not any(problem.left_out for problem in labels.problems)
    assert LabelReader(1).read("0 1.02 0.5 0.1 0.1", 64, 48).boxes.tolist() == []


def test_a_box_below_a_pixel_is_told_and_kept(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.01 0.01"})
    reading = scan(tmp_path)
    (problem,) = reading.problems
    assert str(problem) == f"{tmp_path}/labels/train/a.txt: is below a pixel: width 0.64, height 0.48"
    assert (problem.kind, problem.left_out, len(reading.part().classes)) == (ProblemKind.TINY_BOX, False, 1)


def test_classes_from_one_get_a_hint(tmp_path):
    file = yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.2\n3 0.5 0.5 0.2 0.2\n2 0.1 0.1 0.1 0.1\n"})
    hint = "class 3 occurs 1 times and class 0 never: do the numbers begin at 1? YOLO's begin at 0"
    assert scan(file).notes == (f"{file}: train: {hint}",)
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n3 0.5 0.5 0.2 0.2\n"})
    assert scan(file).notes == ()


POSES = {
    "visibility": "0 0.5 0.5 0.4 0.6 0.4 0.4 2 0.6 0.7 1\n0 0.3 0.3 0.2 0.2 0.31 0.3 2 0 0 0\n",
    "visibility of three": "0 0.5 0.5 0.4 0.6 0.4 0.4 2 0.6 0.7 1 0.5 0.5 0\n",
    "points alone": "0 0.5 0.5 0.4 0.6 0.4 0.4 0.6 0.7\n0 0.3 0.3 0.2 0.2 0.25 0.3 0.35 0.38\n",
    "among boxes": "0 0.5 0.5 0.4 0.6\n0 0.5 0.5 0.4 0.6 0.4 0.4 2 0.6 0.7 1\n",
}


@pytest.mark.parametrize("case", POSES)
def test_keypoints_that_no_one_states_do_not_become_outlines(tmp_path, case):
    file = yolo(tmp_path, {"a": POSES[case]})
    reading = scan(file)
    assert not any(problem.left_out and "same" not in problem.message for problem in reading.problems)
    assert reading.part().boxes_xywh[0].tolist() == pytest.approx([0.3 * 64, 0.2 * 48, 0.4 * 64, 0.6 * 48])
    assert "are taken for boxes with keypoints after them" in reading.notes[0]


OUTLINES = {
    "triangle": "0 0.25 0.5 0.5 0.25 0.75 0.75",
    "small": "0 0.4 0.4 0.5 0.4 0.45 0.5",
    "corners": "0 0.4 0.4 0.5 0.4 0.5 0.5 0.4 0.5",
    "large corners": "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9",
    "of several lengths": "0 0.5 0.5 0.4 0.6 0.4 0.4 0.6 0.7\n0 0.5 0.5 0.4 0.6 0.4 0.4",
    "boxes": "0 0.5 0.5 0.4 0.6",
}


@pytest.mark.parametrize("case", OUTLINES)
def test_outlines_stay_outlines(case):
    assert keypoints_after_boxes([OUTLINES[case]]) == 0
