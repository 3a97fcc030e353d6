"""The check: all problems of annotations and pictures, nothing changed."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from data_sets import annotation, coco, contents, image, picture, turned, yolo

from lucidbox.core.errors import OptionError
from lucidbox.datasets import ProblemKind, check


def found_in(report):
    return [(problem.kind, problem.place.rpartition("/")[2], problem.message) for problem in report.problems]


def test_broken_pictures_are_listed_each_once_and_nothing_is_changed(tmp_path):
    images = [image(number) for number in range(1, 7)]
    coco(tmp_path, images, [annotation(1)])
    folder = tmp_path / "images"
    (folder / "002.png").unlink()
    (folder / "003.png").write_bytes((folder / "003.png").read_bytes()[:-500])
    (folder / "004.png").write_bytes(b"<html>not found</html>")
    picture(folder / "005.png", 60, 48)
    picture(folder / "unlisted.png", 10, 10)
    before = contents(tmp_path)
    report = check(tmp_path)
    assert contents(tmp_path) == before
    found = found_in(report)
    assert [one[:2] for one in found] == [
        (ProblemKind.MISSING_PICTURE, "002.png"),
        (ProblemKind.UNREADABLE_PICTURE, "003.png"),
        (ProblemKind.UNREADABLE_PICTURE, "004.png"),
        (ProblemKind.PICTURE_SIZE, "005.png"),
    ]
    assert "truncated" in found[1][2]
    assert "not a picture" in found[2][2]
    assert found[3][2] == "is 60×48, annotated as 64×48"
    assert report.parts == (("all", 6, 1),)
    assert report.counts == {
        ProblemKind.UNREADABLE_PICTURE: 2,
        ProblemKind.MISSING_PICTURE: 1,
        ProblemKind.PICTURE_SIZE: 1,
    }
    assert report.notes == (f"{folder}: 1 pictures have no entry",)


def test_without_decoding_only_the_starts_are_looked_at(tmp_path):
    coco(tmp_path, [image(1), image(2), image(3), image(4)])
    folder = tmp_path / "images"
    (folder / "001.png").write_bytes((folder / "001.png").read_bytes()[:-500])
    (folder / "002.png").unlink()
    (folder / "003.png").write_bytes(b"")
    picture(folder / "004.png", 64, 40)
    assert found_in(check(tmp_path, decode=False)) == [
        (ProblemKind.MISSING_PICTURE, "002.png", "no such file"),
        (ProblemKind.UNREADABLE_PICTURE, "003.png", "is empty"),
        (ProblemKind.PICTURE_SIZE, "004.png", "is 64×40, annotated as 64×48"),
    ]


@pytest.mark.parametrize("decode", [True, False])
def test_a_size_before_turning_is_explained(tmp_path, decode):
    coco(tmp_path, [image(1, file_name="t.jpg"), image(2, 48, 64, file_name="u.jpg")], [])
    for name in ("t.jpg", "u.jpg"):
        turned(tmp_path / "images" / name, 64, 48)
    (tmp_path / "images" / "u.jpg").write_bytes((tmp_path / "images" / "u.jpg").read_bytes() + b"\0")
    ((kind, place, message),) = found_in(check(tmp_path, decode=decode))
    assert (kind, place) == (ProblemKind.PICTURE_SIZE, "t.jpg")
    assert message.startswith("is 48×64, annotated as 64×48: the size before its EXIF orientation 6 is applied")


def test_copies_of_a_picture_in_two_parts(tmp_path):
    yaml = "train: images/train\nval: images/val\nnames: [a, b, c]\n"
    yolo(tmp_path, {"a": "", "b": ""}, yaml)
    for name in ("val/c.png", "val/d.png"):
        picture(tmp_path / "images" / name, seed=9)
        (tmp_path / "images" / name).with_suffix(".txt").write_text("")
    shutil.copy(tmp_path / "images/train/b.png", tmp_path / "images/val/c.png")
    ((kind, place, message),) = found_in(check(tmp_path))
    assert (kind, place) == (ProblemKind.SAME_PICTURE, "c.png")
    assert message == f"in val: the same picture as {tmp_path}/images/train/b.png in train"


def test_a_picture_listed_in_two_parts(tmp_path):
    yolo(tmp_path, {"a": "", "b": ""}, "train: images/train\nval: val.txt\nnames: [a, b, c]\n")
    (tmp_path / "val.txt").write_text("images/train/b.png\n")
    ((kind, place, _),) = found_in(check(tmp_path))
    assert (kind, place) == (ProblemKind.SAME_PICTURE, "b.png")


def test_problems_of_a_shared_folder_are_told_once(tmp_path):
    yolo(tmp_path, {"a": "", "b": ""}, "train: t.txt\nval: v.txt\nnames: [a, b, c]\n")
    (tmp_path / "t.txt").write_text("images/train/a.png\n")
    (tmp_path / "v.txt").write_text("images/train/b.png\n")
    (tmp_path / "labels" / "train" / "x.txt").write_text("")
    assert [one[:2] for one in found_in(check(tmp_path))] == [(ProblemKind.ORPHAN_LABEL, "x.txt")]


def test_yolo_pictures_are_decoded(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": ""})
    file = tmp_path / "images" / "train" / "a.png"
    file.write_bytes(file.read_bytes()[:-500])
    assert [one[:2] for one in found_in(check(tmp_path))] == [(ProblemKind.UNREADABLE_PICTURE, "a.png")]
    assert check(tmp_path, decode=False).problems == ()


def test_a_data_yaml_that_cannot_be_understood_is_a_problem(tmp_path):
    (tmp_path / "data.yaml").write_text("train: [")
    (problem,) = check(tmp_path).problems
    assert problem.kind is ProblemKind.STRUCTURE
    assert str(problem).startswith(f"{tmp_path}/data.yaml:1: not valid YAML")
    with pytest.raises(OptionError):
        check(tmp_path / "absent")


def test_one_broken_part_does_not_hide_the_other(tmp_path):
    coco(tmp_path / "b", annotations=[annotation(1, box=(0, 0, 0, 0))])
    (tmp_path / "a.json").write_text('{"images"')
    (tmp_path / "data.toml").write_text(
        '[train]\nannotations = "a.json"\n[val]\nannotations = "b/instances.json"\nimages = "b/images"\n'
    )
    assert [problem.kind for problem in check(tmp_path).problems] == [ProblemKind.STRUCTURE, ProblemKind.EMPTY_BOX]


def test_all_problems_of_a_damaged_real_set_are_found(coco_folder, tmp_path):
    """Damage of known kinds, planted in real annotations, comes back with its entry."""
    import json

    document = json.loads((coco_folder / "instances.json").read_text())
    each = min(10, len(document["annotations"]) // 6)
    rows = np.random.default_rng(3).permutation(len(document["annotations"]))[: 6 * each].tolist()
    damage = [
        lambda one: one["bbox"].__setitem__(2, 0),
        lambda one: one.update(image_id=-5),
        lambda one: one.update(category_id=12),
        lambda one: one.update(bbox=one["bbox"][:3]),
        lambda one: one["bbox"].__setitem__(0, float("nan")),
        lambda one: one.pop("bbox"),
    ]
    for index, row in enumerate(rows):
        damage[index % len(damage)](document["annotations"][row])
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(document))
    folder = coco_folder / "images" if (coco_folder / "images").exists() else coco_folder
    report = check(file, folder, decode=False)
    assert sorted(int(one.place.partition("[")[2].partition("]")[0]) for one in report.problems) == sorted(rows)
    assert report.counts == dict.fromkeys(
        (ProblemKind.EMPTY_BOX, ProblemKind.WRONG_TYPE, ProblemKind.NOT_FINITE, ProblemKind.MISSING_FIELD), each
    ) | {ProblemKind.UNKNOWN_ID: 2 * each}
    assert report.parts == (("all", len(document["images"]), len(document["annotations"]) - 6 * each),)


def test_a_real_set_is_whole(coco_folder):
    assert replace(check(coco_folder), parts=()).problems == ()
