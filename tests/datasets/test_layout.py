"""Which files a path stands for."""

import json

import pytest
from data_sets import annotation, coco, image, picture, yolo

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets import ProblemKind, read_dataset, scan


def test_official_coco_folders(tmp_path):
    for name in ("train2017", "val2017"):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        made = coco(tmp_path / "made").rename(tmp_path / "annotations" / f"instances_{name}.json")
        assert made.is_file()
        picture(tmp_path / name / "001.png")
    reading = read_dataset(tmp_path)
    assert [(part.name, part.root) for part in reading.parts] == [
        ("train2017", tmp_path / "train2017"),
        ("val2017", tmp_path / "val2017"),
    ]


def test_pictures_beside_an_exported_json(tmp_path):
    file = coco(tmp_path / "train")
    file.rename(tmp_path / "train" / "_annotations.coco.json")
    (tmp_path / "train" / "images" / "001.png").rename(tmp_path / "train" / "001.png")
    (part,) = read_dataset(tmp_path).parts
    assert (part.name, part.root) == ("train", tmp_path / "train")


def test_the_folder_with_most_pictures_is_taken(tmp_path):
    file = coco(tmp_path / "set", [image(number) for number in range(1, 6)])
    for stray in (tmp_path / "set" / "001.png", tmp_path / "images" / "002.png"):
        picture(stray)
    assert read_dataset(file).part().root == tmp_path / "set" / "images"


def test_an_absolute_name_speaks_for_no_folder(tmp_path):
    elsewhere = picture(tmp_path / "elsewhere" / "x.png")
    file = coco(tmp_path / "set", [image(1), image(2)])
    document = json.loads(file.read_text())
    for absolute, root in (([0], tmp_path / "set" / "images"), ([0, 1], tmp_path / "set")):
        for index in absolute:
            document["images"][index]["file_name"] = str(elsewhere)
        file.write_text(json.dumps(document))
        part = read_dataset(file).part()
        assert part.root == root
        assert part.path(0) == elsewhere
        assert part.path(1).is_file()


def test_names_that_are_in_no_usual_place_give_no_folder(tmp_path):
    file = coco(tmp_path / "set", [image(1)])
    (tmp_path / "set" / "images").rename(tmp_path / "away")
    assert scan(file).part().root is None


def test_toml_names_parts(tmp_path):
    coco(tmp_path / "a")
    coco(tmp_path / "b", [image(3)], [annotation(1, 3)])
    (tmp_path / "data.toml").write_text(
        '[train]\nannotations = "a/instances.json"\nimages = "a/images"\n[val]\nannotations = "b/instances.json"\n'
    )
    for given in (tmp_path, tmp_path / "data.toml"):
        reading = read_dataset(given)
        assert reading.part("train").image_ids.tolist() == [1]
        assert reading.part("val").root == tmp_path / "b" / "images"
        with pytest.raises(OptionError, match="several parts; the data set has: train, val"):
            reading.part()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no parts"),
        ("[train", "cannot be read as TOML"),
        ("train = 3", "train: must be a table"),
        ("[train]\nimages = 'x'", "annotations must be a path"),
        ("[train]\nannotations = 'x'\nimage = 'y'", r"\[train\]: unknown key image"),
        ("[train]\nannotations = 5", "annotations must be a path"),
    ],
)
def test_malformed_toml(tmp_path, text, message):
    (tmp_path / "data.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path)


def test_missing_folder_of_pictures_is_a_problem_but_annotations_are_read(tmp_path):
    coco(tmp_path / "a")
    (tmp_path / "data.toml").write_text('[train]\nannotations = "a/instances.json"\nimages = "nowhere"\n')
    reading = read_dataset(tmp_path)
    (problem,) = reading.problems
    assert problem.kind is ProblemKind.FOLDER
    assert "nowhere: no such folder" in problem.message
    with pytest.raises(DataError, match="--images"):
        reading.part().path(0)


def test_nothing_or_too_much_to_choose_from(tmp_path):
    with pytest.raises(OptionError, match="no such file or folder"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(OptionError, match=r"no data set in this folder; looked for data\.yaml"):
        read_dataset(tmp_path)
    coco(tmp_path)
    (tmp_path / "instances.json").rename(tmp_path / "first.json")
    (tmp_path / "second.json").write_text("{}")
    with pytest.raises(OptionError, match=r"several files could be meant \(first.json, second.json\)"):
        read_dataset(tmp_path)
    yolo(tmp_path, {"a": ""})
    with pytest.raises(OptionError, match=r"several files could be meant \(data.yaml, first.json"):
        read_dataset(tmp_path)


def test_images_goes_with_one_json(tmp_path):
    file = coco(tmp_path / "coco")
    (tmp_path / "coco" / "images").rename(tmp_path / "elsewhere")
    assert scan(file).part().root is None
    assert scan(file, tmp_path / "elsewhere").problems == ()
    with pytest.raises(OptionError, match=r"--images .*: no such folder"):
        read_dataset(file, tmp_path / "absent")
    with pytest.raises(OptionError, match="goes with one COCO JSON"):
        read_dataset(yolo(tmp_path / "yolo", {"a": ""}), tmp_path)
