"""Conversions: a round trip gives the same boxes; what a form cannot hold is counted."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from data_sets import annotation, coco, contents, image, yolo
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import DataError, OptionError, OutputError
from lucidbox.datasets import check, convert, read_dataset


def rows(part):
    """What a part says, without the order and numbers of objects."""
    return sorted(
        (part.image_ids[picture], part.file_names[picture], part.names[number], part.category_ids[number], *box)
        for picture, number, box in zip(
            part.pictures.tolist(), part.classes.tolist(), part.boxes_xywh.round(6).tolist(), strict=True
        )
    )


@st.composite
def boxes_in_a_picture(draw):
    left, right = sorted(draw(st.lists(st.integers(0, 640_000), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.integers(0, 480_000), min_size=2, max_size=2, unique=True)))
    return [left / 1e4, top / 1e4, (right - left) / 1e4, (bottom - top) / 1e4]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(boxes_in_a_picture(), st.sampled_from([1, 3, 18])), max_size=8, unique_by=str))
def test_to_yolo_and_back_gives_the_same_boxes(objects):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        entries = [
            annotation(n, 1 + n % 2, box, cat, area=box[2] * box[3]) for n, (box, cat) in enumerate(objects, 1)
        ]
        file = coco(place / "in", [image(1), image(2)], entries)
        first = convert(file, place / "yolo", "yolo")
        second = convert(first.file, place / "coco", "coco")
        assert rows(read_dataset(second.file).part()) == rows(read_dataset(file).part())
        assert dict(first.losses).keys() <= {"annotation ids"}


def test_real_data_there_and_back(coco_folder, tmp_path):
    source = coco_folder
    done = convert(source, tmp_path / "yolo", "yolo")
    original = read_dataset(source).part()
    kept = original.keep_objects(~original.crowds)
    losses = dict(done.losses)
    assert losses.get("crowds (left out)", 0) == original.crowds.sum()
    assert losses["images.license"] == len(original)
    assert "box edges beyond the picture (cut there)" not in losses
    assert (done.pictures, done.objects, done.missing) == (len(original), len(kept.classes), ())
    assert check(done.file).problems == ()
    back = convert(done.file, tmp_path / "coco", "coco")
    # Names that are numbers, as COCO's are, give an image its number back.
    fields = slice(0 if all(Path(name).stem.isdecimal() for name in original.file_names) else 1, None)
    found, wanted = (sorted(row[fields] for row in rows(part)) for part in (read_dataset(back.file).part(), kept))
    assert found == wanted
    categories = json.loads((source / "instances.json").read_text())["categories"]
    written = json.loads((tmp_path / "coco" / "train.json").read_text())["categories"]
    assert written == [{"id": one["id"], "name": one["name"]} for one in categories]


def test_yolo_to_coco_and_back_gives_the_same_labels(tmp_path):
    labels = {"a": "0 0.5 0.5 0.25 0.5\n2 0.123456 0.4 0.2 0.1\n", "b": "", "c": None}
    file = yolo(tmp_path / "in", labels, "train: images/train\nval: images/train\nnames: [person, car, dog]\n")
    coco_set = convert(file, tmp_path / "coco", "coco")
    yolo_set = convert(coco_set.file, tmp_path / "yolo", "yolo")
    for name in ("train", "val"):
        assert (tmp_path / "yolo" / "labels" / name / "a.txt").read_text() == labels["a"]
        assert (tmp_path / "yolo" / "labels" / name / "c.txt").read_text() == ""
    assert dict(yolo_set.losses).keys() == {"annotation ids"}


def test_what_yolo_cannot_hold_is_counted(tmp_path):
    objects = [
        annotation(1, 1, (0, 0, 10, 10), area=55.5),
        annotation(2, 1, (0, 0, 30, 30), iscrowd=1, area=900),
        annotation(3, 2, (-4, 40, 14, 20), area=280, segmentation=[[1, 2, 3, 4]]),
    ]
    images = [image(5, file_name="a.png"), image(1), image(2, license=3)]
    done = convert(coco(tmp_path / "in", images, objects), tmp_path / "out", "yolo")
    assert dict(done.losses) == {
        "crowds (left out)": 1,
        "areas other than width × height": 1,
        "box edges beyond the picture (cut there)": 1,
        "picture ids (pictures are known by name)": 3,
        "annotation ids": 2,
        "images.license": 1,
        "annotations.segmentation": 1,
    }
    assert (
        tmp_path / "out" / "labels" / "train" / "002.txt"
    ).read_text() == "0 0.078125 0.916666666667 0.15625 0.166666666667\n"
    assert check(done.file).problems == ()


def test_pictures_are_linked_or_copied(tmp_path):
    file = coco(tmp_path / "in")
    source = tmp_path / "in" / "images" / "001.png"
    convert(file, tmp_path / "linked", "yolo")
    link = tmp_path / "linked" / "images" / "train" / "001.png"
    assert link.is_symlink()
    assert link.samefile(source)
    convert(file, tmp_path / "copied", "yolo", placing="copy")
    copy = tmp_path / "copied" / "images" / "train" / "001.png"
    assert not copy.is_symlink()
    assert copy.read_bytes() == source.read_bytes()


def test_names_of_parts(tmp_path):
    for name in ("train2017", "val2017", "odd"):
        made = coco(tmp_path / "in" / "made", [image(1)])
        (tmp_path / "in" / "annotations").mkdir(exist_ok=True)
        made.rename(tmp_path / "in" / "annotations" / f"instances_{name}.json")
        (tmp_path / "in" / "made" / "images").rename(tmp_path / "in" / name)
    done = convert(tmp_path / "in", tmp_path / "out", "yolo")
    assert [(part.name, len(part)) for part in read_dataset(done.file).parts] == [
        ("train", 1),
        ("val", 1),
        ("odd", 1),
    ]
    alone = coco(tmp_path / "alone")
    assert read_dataset(convert(alone, tmp_path / "test", "yolo", name="test").file).part().name == "test"


def test_pictures_that_would_share_a_label_file_get_names_of_their_own(tmp_path):
    images = [image(1, file_name="a.png"), image(2, file_name="a.jpg"), image(3, file_name="deep/a.png")]
    done = convert(coco(tmp_path / "in", images, [annotation(4, 2), annotation(5, 3)]), tmp_path / "out", "yolo")
    part = read_dataset(done.file).part()
    objects = {name: len(part.classes[part.objects(index)]) for index, name in enumerate(part.file_names)}
    assert objects == {"a.png": 0, "a-2.jpg": 1, "deep/a.png": 1}


def test_a_name_that_leads_out_of_the_folder_does_not(tmp_path):
    images = [image(1, file_name="../images/x.png")]
    convert(coco(tmp_path / "in", images, []), tmp_path / "out", "yolo")
    assert sorted(contents(tmp_path / "out")) == [
        "data.yaml",
        "images/train/images/x.png",
        "images/train/labels/x.txt",
    ]


def test_missing_pictures_are_left_out_and_named(tmp_path):
    file = coco(tmp_path / "in", [image(1), image(2)], [annotation(1), annotation(2, 2)])
    (tmp_path / "in" / "images" / "002.png").unlink()
    done = convert(file, tmp_path / "out", "yolo")
    assert done.missing == (tmp_path / "in" / "images" / "002.png",)
    assert (done.pictures, done.objects) == (1, 1)


def test_a_size_that_is_not_stated_is_read_from_the_picture(tmp_path):
    bare = {"id": 1, "file_name": "001.png"}
    convert(coco(tmp_path / "in", [bare], [annotation(1, 1, (16, 12, 32, 24))]), tmp_path / "out", "yolo")
    assert (tmp_path / "out" / "labels" / "train" / "001.txt").read_text() == "0 0.5 0.5 0.5 0.5\n"


def test_refusals_leave_nothing(tmp_path):
    file = coco(tmp_path / "in")
    with pytest.raises(OptionError, match="has the format coco already"):
        convert(file, tmp_path / "out", "coco")
    (tmp_path / "in" / "images").rename(tmp_path / "away")
    with pytest.raises(DataError, match="name it with --images"):
        convert(file, tmp_path / "out", "yolo")
    with pytest.raises(OutputError, match="never overwritten"):
        convert(file, tmp_path / "away", "yolo", images=tmp_path / "away")
    yolo(tmp_path / "two", {"a": ""}, "train: images/train\nval: images/train\nnames: [x]\n")
    with pytest.raises(OptionError, match="has 2 parts, which keep their names"):
        convert(tmp_path / "two", tmp_path / "out", "coco", name="x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["away", "in", "two"]


def test_an_error_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    file = coco(tmp_path / "in")
    monkeypatch.setattr(os, "symlink", full)
    with pytest.raises(OutputError, match="the disk is full"):
        convert(file, tmp_path / "out", "yolo")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_boxes_are_cut_to_what_is_inside(tmp_path):
    done = convert(coco(tmp_path / "in", None, [annotation(1, box=(60, -8, 20, 16))]), tmp_path / "out", "yolo")
    np.testing.assert_allclose(read_dataset(done.file).part().boxes_xywh, [[60, 0, 4, 8]], atol=1e-9)
