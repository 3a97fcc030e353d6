"""Opening data sets for training: what is left out is reported, and nothing wrong gets through."""

import json
import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from data_sets import CATEGORIES, NAMES, annotation, coco, contents, image, picture, turned, yolo
from PIL import Image

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets import ProblemKind, count_by_kind, read_dataset, to_truth
from lucidbox.datasets.augment import contact_sheet
from lucidbox.datasets.training.data import describe_data, identity, open_data
from lucidbox.evaluate import Truth


def coco_pair(folder, train=None, val=None, images=None, **changes):
    """A TOML of two COCO files; by default of two pictures with an object each. ``changes`` are train's."""
    images = [image(1), image(2)] if images is None else images
    objects = [annotation(1), annotation(2, 2, category=3)]
    coco(folder / "train", images, objects if train is None else train, **changes)
    val_document = {"annotations": objects} if val is None else val
    coco(folder / "val", [image(1), image(2)], **val_document)
    file = folder / "data.toml"
    file.write_text(
        '[train]\nannotations = "train/instances.json"\nimages = "train/images"\n'
        '[val]\nannotations = "val/instances.json"\nimages = "val/images"\n'
    )
    return file


def yolo_pair(folder, labels, val=None):
    """A data.yaml with train and val."""
    for seed, (stem, text) in enumerate({"v": "0 .5 .5 .2 .2"}.items() if val is None else val.items()):
        picture(folder / "images" / "val" / f"{stem}.png", seed=100 + seed)
        file = folder / "labels" / "val" / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    names = ", ".join(NAMES)
    return yolo(folder, labels, f"train: images/train\nval: images/val\nnames: [{names}]\n")


def kinds(data):
    return {kind: count for kind, count in count_by_kind(data.problems).items() if kind != ProblemKind.FOLDER}


def test_both_parts_of_coco_files(tmp_path):
    data = open_data(coco_pair(tmp_path))
    assert (data.train.name, data.val.name, data.names) == ("train", "val", NAMES)
    assert (len(data.train), len(data.val), data.problems) == (2, 2, ())
    assert data.train.classes.tolist() == [0, 1]
    assert data.read_val(1).shape == (48, 64, 3)
    assert np.array_equal(data.read_val(0), data.train_pictures[0])  # the fixture's pictures are alike


def test_both_parts_of_yolo_files(tmp_path):
    data = open_data(yolo_pair(tmp_path, {"a": "1 .5 .5 .25 .5\n2 .1 .1 .1 .1", "b": None}))
    assert (len(data.train), data.train.classes.tolist(), data.names) == (2, [1, 2], NAMES)
    assert data.train.boxes_xywh[0].tolist() == pytest.approx([24, 12, 16, 24])
    assert len(to_truth(data.val)) == 1


def test_official_and_exported_folders(tmp_path):
    for name in ("train2017", "val2017"):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        coco(tmp_path / "made").rename(tmp_path / "annotations" / f"instances_{name}.json")
        picture(tmp_path / name / "001.png")
    assert open_data(tmp_path).val.name == "val2017"


@pytest.mark.parametrize("names", [("train", "valid"), ("train", "validation"), ("train", "val", "test")])
def test_parts_are_known_by_the_beginning_of_their_names(tmp_path, names):
    for name in names:
        coco(tmp_path / name).rename(tmp_path / name / "_annotations.coco.json")
        (tmp_path / name / "images" / "001.png").rename(tmp_path / name / "001.png")
    assert open_data(tmp_path).val.name == names[1]


def test_without_a_part_for_validation_the_remedy_is_named(tmp_path):
    file = coco(tmp_path / "set")
    with pytest.raises(OptionError, match=r"no part train \(it has: all\).*lucidbox data split .* NEW/data\.toml"):
        open_data(file)
    with pytest.raises(OptionError, match=r"no part val \(it has: train\).*lucidbox data split .* NEW/data\.yaml"):
        open_data(yolo(tmp_path / "yolo", {"a": "0 .5 .5 .2 .2"}))


def test_the_remedy_works(tmp_path):
    from lucidbox.datasets import split

    file = coco(tmp_path / "set", [image(n) for n in range(1, 11)], [annotation(n, n) for n in range(1, 11)])
    made = split(file, tmp_path / "new", {"train": 0.9, "val": 0.1})
    data = open_data(made.file)
    assert (len(data.train), len(data.val)) == (9, 1)


def test_two_parts_that_could_be_meant(tmp_path):
    file = coco_pair(tmp_path)
    file.write_text(file.read_text().replace("[val]", "[val1]") + '[val2]\nannotations = "val/instances.json"\n')
    with pytest.raises(OptionError, match=r"several parts could be meant for val \(train, val1, val2\)"):
        open_data(file)


# --- bad labels: each is reported and left out, its picture stays ---------------------------------------------

BAD_LINES = {
    "class out of range": ("3 .5 .5 .2 .2", ProblemKind.CLASS_RANGE),
    "negative class": ("-1 .5 .5 .2 .2", ProblemKind.CLASS_RANGE),
    "NaN": ("0 .5 nan .2 .2", ProblemKind.NOT_FINITE),
    "outside": ("0 1.5 .5 .2 .2", ProblemKind.NOT_A_SHARE),
    "missing column": ("0 .5 .5 .2", ProblemKind.COLUMNS),
    "no width": ("0 .5 .5 0 .2", ProblemKind.EMPTY_BOX),
    "text": ("person .5 .5 .2 .2", ProblemKind.WRONG_TYPE),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_of_a_label_file(tmp_path, case):
    line, kind = BAD_LINES[case]
    before = yolo_pair(tmp_path, {"a": f"1 .5 .5 .2 .2\n{line}\n", "b": line})
    files = contents(tmp_path)
    data = open_data(before)
    assert (len(data.train), data.train.classes.tolist()) == (2, [1])  # the picture without objects stays, too
    assert kinds(data) == {kind: 2}
    assert [problem.left_out for problem in data.problems] == [True, True]
    assert contents(tmp_path) == files


BAD_OBJECTS = {
    "class out of range": ({"category": 7}, ProblemKind.UNKNOWN_ID),
    "NaN": ({"box": (4, 4, math.nan, 5)}, ProblemKind.NOT_FINITE),
    "outside": ({"box": (70, 4, 5, 5)}, ProblemKind.OUTSIDE),
    "missing column": ({"box": (4, 4, 5)}, ProblemKind.WRONG_TYPE),
    "no height": ({"box": (4, 4, 5, 0)}, ProblemKind.EMPTY_BOX),
}


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_a_bad_object_of_a_coco_file(tmp_path, case):
    changes, kind = BAD_OBJECTS[case]
    file = coco_pair(tmp_path, [annotation(1), annotation(2, **changes), annotation(3, 2, **changes)])
    data = open_data(file)
    assert (len(data.train), data.train.classes.tolist(), kinds(data)) == (2, [0], {kind: 2})


def test_boxes_are_clipped_for_training_only(tmp_path):
    beyond = [annotation(1, box=(-6, 40, 20, 20)), annotation(2, box=(10.1, 5.7, 20.3, 11.9))]
    data = open_data(coco_pair(tmp_path, beyond, {"annotations": beyond}))
    assert data.train.boxes_xywh.tolist() == [
        [0, 40, 14, 8],
        [10.1, 5.7, 20.3, 11.9],
    ]
    assert data.val.boxes_xywh.tolist() == [[-6, 40, 20, 20], [10.1, 5.7, 20.3, 11.9]]
    assert kinds(data) == {ProblemKind.OUTSIDE: 2}


def test_a_box_outside_a_picture_of_unstated_size_is_found_and_left_out(tmp_path):
    images = [image(1, width=..., height=...), image(2)]
    images[0] = {key: value for key, value in images[0].items() if value is not ...}
    objects = [annotation(1, box=(70, 4, 5, 5)), annotation(2, box=(60, 4, 10, 5)), annotation(3, 2)]
    data = open_data(coco_pair(tmp_path, objects, images=images))
    assert data.train.sizes.tolist() == [[64, 48]] * 2
    assert data.train.boxes_xywh.tolist() == [[60, 4, 4, 5], [4, 4, 10, 20]]
    (outside,) = [problem for problem in data.problems if problem.kind is ProblemKind.OUTSIDE]
    assert outside.left_out
    assert str(outside).endswith("001.png: object 1: less than 0.01 px of it is in the 64×48 picture: 70, 4, 5, 5")


def test_crowds_are_not_learnt_from_but_validated_with(tmp_path):
    objects = [annotation(1), annotation(2, box=(0, 0, 60, 40), iscrowd=1)]
    data = open_data(coco_pair(tmp_path, objects, {"annotations": objects}))
    assert data.train.crowds.tolist() == [False]
    assert data.val.crowds.tolist() == [False, True]
    assert any(note.endswith("1 crowd regions are not learnt from") for note in data.notes)


# --- bad pictures: each is reported and left out ---------------------------------------------------------------


def damaged(path):
    path.write_bytes(b"not a picture")


def resized(path):
    picture(path, 48, 64)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: path.unlink(), ProblemKind.MISSING_PICTURE),
        (damaged, ProblemKind.UNREADABLE_PICTURE),
        (lambda path: path.write_bytes(b""), ProblemKind.UNREADABLE_PICTURE),
        (resized, ProblemKind.PICTURE_SIZE),
    ],
)
def test_a_bad_picture_of_a_coco_file(tmp_path, damage, kind):
    file = coco_pair(tmp_path)
    damage(tmp_path / "train" / "images" / "001.png")
    data = open_data(file)
    assert data.train.file_names == ("002.png",)
    assert data.train.classes.tolist() == [1]
    assert kinds(data) == {kind: 1}
    assert data.problems[0].left_out
    assert str(tmp_path / "train" / "images" / "001.png") in str(data.problems[0])
    assert data.train_pictures.name(0).endswith("002.png")


def test_a_bad_picture_of_the_val_part_is_left_out_of_the_truth(tmp_path):
    file = coco_pair(tmp_path)
    damaged(tmp_path / "val" / "images" / "002.png")
    truth = to_truth(open_data(file).val)
    assert truth.image_ids.tolist() == [1]


def test_a_bad_picture_of_a_yolo_data_set(tmp_path):
    file = yolo_pair(tmp_path, {"a": "0 .5 .5 .2 .2", "b": "1 .5 .5 .2 .2"})
    damaged(tmp_path / "images" / "train" / "a.png")
    data = open_data(file)
    assert (data.train.file_names, data.train.classes.tolist()) == (("b.png",), [1])
    assert kinds(data) == {ProblemKind.UNREADABLE_PICTURE: 1}


def test_a_missing_picture_of_a_yolo_list(tmp_path):
    yolo_pair(tmp_path, {"a": "0 .5 .5 .2 .2", "b": "1 .5 .5 .2 .2"})
    (tmp_path / "list.txt").write_text("images/train/a.png\nimages/train/gone.png\n")
    (tmp_path / "data.yaml").write_text("train: list.txt\nval: images/val\nnames: [person, car, dog]\n")
    data = open_data(tmp_path / "data.yaml")
    assert (data.train.file_names, kinds(data)) == (("a.png",), {ProblemKind.MISSING_PICTURE: 1})


def test_a_picture_turned_by_exif_is_as_large_as_a_viewer_shows_it(tmp_path):
    images = [image(1, width=48, height=64, file_name="t.jpg"), image(2)]
    file = coco_pair(tmp_path, images=images)
    turned(tmp_path / "train" / "images" / "t.jpg", 64, 48)
    data = open_data(file)
    assert data.problems == ()
    assert data.train_pictures[0].shape == (64, 48, 3)


def test_warnings_about_metadata_stay_inside(tmp_path, monkeypatch):
    """Here they would be errors; elsewhere, lines of Pillow's on standard error."""
    file = coco_pair(tmp_path)
    opened = Image.open

    def warning(*arguments, **options):
        warnings.warn("odd metadata", UserWarning, stacklevel=2)
        return opened(*arguments, **options)

    monkeypatch.setattr(Image, "open", warning)
    assert open_data(file).problems == ()


def test_when_nothing_is_left(tmp_path):
    file = coco_pair(tmp_path)
    for path in (tmp_path / "train" / "images").iterdir():
        damaged(path)
    with pytest.raises(DataError, match=r"train: no usable picture to learn from; 2 problems.*001\.png"):
        open_data(file)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_without_any_object(tmp_path, part):
    file = coco_pair(tmp_path, *([[]] if part == "train" else [None, {"annotations": []}]))
    with pytest.raises(DataError, match=rf"{part}: no usable object to (learn from|validate with)$"):
        open_data(file)


def test_an_empty_data_set(tmp_path):
    file = coco_pair(tmp_path, [], images=[])
    with pytest.raises(DataError, match="no usable picture to learn from"):
        open_data(file)
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "data.yaml").write_text("train: images\nval: images\nnames: [a]\n")
    with pytest.raises(DataError, match="no usable pictures"):
        open_data(tmp_path / "empty")


def test_pictures_that_are_nowhere(tmp_path):
    file = coco_pair(tmp_path)
    (tmp_path / "data.toml").write_text(file.read_text().replace('images = "train/images"\n', ""))
    for path in (tmp_path / "train" / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"pictures was not found; name it in a TOML: \[train\]"):
        open_data(file)


# --- classes ---------------------------------------------------------------------------------------------------


def test_chosen_classes_are_renumbered_in_their_order_and_empty_pictures_stay(tmp_path):
    objects = [annotation(1), annotation(2, category=18), annotation(3, 2, category=3)]
    data = open_data(coco_pair(tmp_path, objects), classes=["dog", "0"])
    assert data.names == data.val.names == ("dog", "person")
    assert data.train.classes.tolist() == [1, 0]
    assert data.train.category_ids.tolist() == data.val.category_ids.tolist() == [18, 1]
    assert len(data.train) == 2
    assert any("train: 1 of 3 objects are of classes not chosen" in note for note in data.notes)
    truth = to_truth(data.val)
    assert dict(zip(truth.category_ids.tolist(), truth.category_names, strict=True)) == {1: "person", 18: "dog"}


def test_one_class_only(tmp_path):
    data = open_data(yolo_pair(tmp_path, {"a": "0 .5 .5 .2 .2\n1 .5 .5 .2 .2"}), classes=["person"])
    assert (data.names, data.train.classes.tolist()) == (("person",), [0])
    assert describe_data(data) == "1 pictures, 1 objects, 1 class, person"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["persn"], r"^--classes: class 'persn' is not in .*did you mean person"),
        (["3"], r"ids run from 0 to 2"),
        (["car", "1"], "car is named twice"),
        ([], "no class is named"),
    ],
)
def test_unknown_classes(tmp_path, classes, message):
    with pytest.raises(OptionError, match=message):
        open_data(coco_pair(tmp_path), classes=classes)


def test_chosen_classes_without_any_object(tmp_path):
    with pytest.raises(DataError, match="train: no usable object to learn from"):
        open_data(coco_pair(tmp_path), classes=["dog"])


def test_parts_that_list_classes_differently_are_matched_by_name(tmp_path):
    other = [{"id": 5, "name": "car"}, {"id": 9, "name": "person"}]
    val = {"annotations": [annotation(1, category=5), annotation(2, 2, category=9)], "categories": other}
    data = open_data(coco_pair(tmp_path, val=val))
    assert data.val.names == NAMES
    assert data.val.classes.tolist() == [1, 0]
    assert to_truth(data.val).category_ids.tolist() == [1, 3, 18]
    assert any("matched by name" in note for note in data.notes)


def test_classes_of_val_that_train_does_not_know(tmp_path):
    more = [*CATEGORIES, {"id": 20, "name": "zebra"}, {"id": 21, "name": "unused"}]
    val = {"annotations": [annotation(1), annotation(2, 2, category=20)], "categories": more}
    file = coco_pair(tmp_path, val=val)
    with pytest.raises(DataError, match=r"objects of classes that train does not know: zebra; train knows person"):
        open_data(file)
    assert open_data(file, classes=["person"]).val.classes.tolist() == [0]


def test_two_classes_of_one_name_cannot_be_matched(tmp_path):
    twins = [{"id": 1, "name": "car"}, {"id": 3, "name": "car"}]
    val = {"annotations": [annotation(1), annotation(2, category=3)], "categories": twins}
    with pytest.raises(DataError, match="several classes are called 'car'"):
        open_data(coco_pair(tmp_path, val=val))


def test_classes_nothing_is_to_be_learnt_of_are_told(tmp_path):
    assert any("has no object of 1 classes: dog" in note for note in open_data(coco_pair(tmp_path)).notes)


def test_pictures_in_both_parts_are_told(tmp_path):
    file = coco_pair(tmp_path)
    file.write_text(file.read_text().replace("val/", "train/"))
    assert any("2 pictures are in train and val alike" in note for note in open_data(file).notes)


def test_the_form_of_boxes_is_for_hub_data_sets(tmp_path):
    with pytest.raises(OptionError, match=r"boxes xyxy: goes with hf: data sets"):
        open_data(coco_pair(tmp_path), boxes="xyxy")


# --- identity --------------------------------------------------------------------------------------------------


def test_identity_changes_with_what_is_learnt_and_with_nothing_else(tmp_path):
    data = open_data(coco_pair(tmp_path / "a"))
    assert len(identity(data.train)) == 64
    moved = open_data(coco_pair(tmp_path / "b", val={"annotations": [annotation(1)]}))
    assert identity(moved.train) == identity(data.train)
    part = data.train
    boxes = part.boxes_xywh.copy()
    boxes[0, 0] = np.nextafter(boxes[0, 0], 99)
    changes = [
        {"names": ("person", "car", "cat")},
        {"file_names": ("001.png", "003.png")},
        {"sizes": part.sizes + 1},
        {"boxes_xywh": boxes},
        {"classes": part.classes[::-1].copy()},
        {"pictures": np.array([0, 0])},
    ]
    changed = [identity(replace(part, **one)) for one in changes]
    assert len({identity(part), *changed}) == len(changes) + 1


def test_identity_does_not_confuse_names(tmp_path):
    data = open_data(coco_pair(tmp_path))
    one, other = (
        replace(data, train=replace(data.train, names=names)) for names in (("ab", "c", "d"), ("a", "bc", "d"))
    )
    assert identity(one.train) != identity(other.train)


def test_description(tmp_path):
    assert describe_data(open_data(coco_pair(tmp_path))) == "2 pictures, 2 objects, 3 classes"


def test_real_data(shared, tmp_path):
    (tmp_path / "data.toml").write_text(
        "".join(
            f"[{part}]\nannotations = {json.dumps(str(shared(f'data/{name}/instances.json')))}\n"
            f"images = {json.dumps(str(shared(f'data/{name}/images')))}\n"
            for part, name in (("train", "coco-train"), ("val", "coco-val-150"))
        )
    )
    data = open_data(tmp_path / "data.toml")
    assert describe_data(data) == "3572 pictures, 34038 objects, 80 classes"
    assert (len(data.val), data.problems) == (150, ())
    whole = read_dataset(shared("data/coco-train")).part()
    assert np.abs(data.train.boxes_xywh - whole.boxes_xywh).max() < 0.011  # clipped by no more than was rounded
    assert isinstance(to_truth(data.val), Truth)


def test_splits_show_their_counts_and_their_pictures(tmp_path, monkeypatch):
    path = coco_pair(tmp_path)
    reading, data = read_dataset(path), open_data(path)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", reading._repr_html_())
    assert cells == ["train", "2", "2", "3", "val", "2", "2", "3"]
    html = data._repr_html_()
    assert html.count("2 images, 2 objects, 3 classes") == 2
    assert re.findall(r"<td[^>]*>(.*?)</td>", html)[:6] == ["person", "1", "1", "car", "1", "1"]
    shown = []
    monkeypatch.setattr("lucidbox.datasets.training.data.show", shown.append)
    data.show(count=5, size=64)
    assert np.array_equal(shown[0], contact_sheet([*map(data.samples(64).__getitem__, range(2))], data.names, 4))
