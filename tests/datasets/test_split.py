"""Splits: a partition, stratified, the same for the same seed; only new files."""

import json

import numpy as np
import pytest
from data_sets import CATEGORIES, annotation, coco, contents, image, yolo
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError, OutputError
from lucidbox.datasets import check, parse_shares, read_dataset, scan, split
from lucidbox.datasets.stratify import stratify

SHARES = {"train": 0.75, "val": 0.25}


@st.composite
def presences(draw):
    pictures, classes = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    seed = draw(st.integers(0, 1000))
    return np.random.default_rng(seed).random((pictures, classes)) < draw(st.floats(0, 0.6))


@given(presences(), st.integers(0, 5), st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.6, 0.3, 0.1), (1.0,)]))
def test_every_picture_goes_to_one_part_whatever_their_order(presence, seed, shares):
    keys = [f"{number}.jpg" for number in range(len(presence))]
    owners = stratify(presence, shares, keys, seed)
    assert ((owners >= 0) & (owners < len(shares))).all()
    order = np.random.default_rng(seed).permutation(len(keys))
    assert np.array_equal(stratify(presence[order], shares, [keys[one] for one in order], seed), owners[order])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_with_one_class_a_picture_at_most_the_shares_are_exact_to_one_picture(many, few, seed):
    presence = np.zeros((many + few, 2), bool)
    presence[:many, 0] = presence[many:, 1] = True
    owners = stratify(presence, (0.7, 0.3), [str(number) for number in range(many + few)], seed)
    for column, count in ((0, many), (1, few)):
        assert abs((owners[presence[:, column]] == 0).sum() - 0.7 * count) <= 1


def test_real_classes_keep_their_shares_better_than_by_chance(golden_file):
    part = read_dataset(golden_file("eval/instances_val2014_100.json")).part()
    presence = part.presence()[:, part.presence().sum(axis=0) >= 4]
    counts = presence.sum(axis=0)
    owners = stratify(part.presence(), (0.75, 0.25), part.file_names, 0)

    def deviation(chosen):
        return np.abs(presence[chosen].sum(axis=0) / counts - 0.25).mean()

    chance = [
        deviation(np.random.default_rng(seed).permutation(len(part)) < round(0.25 * len(part)))
        for seed in range(20)
    ]
    assert deviation(owners == 1) < 0.9 * min(chance)
    assert abs((owners == 1).mean() - 0.25) < 0.04


def test_another_seed_gives_another_split(golden_file):
    part = read_dataset(golden_file("eval/instances_val2014_100.json")).part()
    first, second = (stratify(part.presence(), (0.5, 0.5), part.file_names, seed) for seed in (1, 2))
    assert (first != second).any()


def test_coco_entries_are_kept_whole(tmp_path):
    images = [image(number, license=number % 3) for number in range(1, 9)]
    objects = [annotation(number, number % 8 + 1, (number, 4, 10, 20), score=number) for number in range(1, 17)]
    file = coco(tmp_path / "in", images, objects, info={"year": 2017})
    before = contents(tmp_path / "in")
    done = split(file, tmp_path / "out", SHARES, seed=3)
    assert contents(tmp_path / "in") == before
    parts = {name: json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in SHARES}
    whole = json.loads(file.read_text())
    for section in ("images", "annotations"):
        both = [one for part in parts.values() for one in part[section]]
        assert sorted(both, key=lambda one: one["id"]) == sorted(whole[section], key=lambda one: one["id"])
    for part in parts.values():
        assert part["info"] == {"year": 2017}
        assert part["categories"] == whole["categories"]
        assert {one["image_id"] for one in part["annotations"]} <= {one["id"] for one in part["images"]}
    assert [len(part) for part in done.parts] == [6, 2]
    again = read_dataset(done.file)
    assert again.part("val").path(0).is_file()
    assert again.part("train").image_ids.tolist() == done.parts[0].image_ids.tolist()


def test_what_is_called_left_out_is_in_no_part(tmp_path):
    images = [image(number) for number in range(1, 5)]
    good = [annotation(number, number) for number in range(1, 5)]
    categories = [*CATEGORIES, {"id": 3, "name": "cat"}, {"id": True, "name": "bike"}]
    bad_images = [image(1, file_name="b.png"), image(2), {"id": 2}, image(9, file_name=""), "text"]
    bad_objects = [
        annotation(1, 2, (1, 1, 4, 4)),  # an id used before
        annotation(True, 2, (2, 2, 4, 4)),
        annotation(10, 3, (1, 1, -4, 4)),
        annotation(11, 3, (1, 1, 4)),
        annotation(12, 70, (1, 1, 4, 4)),
        annotation(13, 3, (1, 1, 4, 4), 2),
        annotation(14, 3),  # the same object as annotation 3
        7,
    ]
    file = coco(tmp_path / "in", bad_images[2:4] + images + bad_images, good + bad_objects, categories=categories)
    done = split(file, tmp_path / "out", {"a": 0.5, "b": 0.5})
    assert sum(problem.left_out for problem in done.reading.problems) == 17
    written = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in "ab"]
    for section, wanted in (("images", images), ("annotations", good)):
        assert sorted((one for part in written for one in part[section]), key=lambda one: one["id"]) == wanted
    assert [part["categories"] for part in written] == [CATEGORIES] * 2
    assert not scan(done.file).problems


def test_what_is_merely_odd_is_in_the_parts(tmp_path):
    images = [image(1), image(2, width=0)]
    objects = [annotation(1, 1, (60, 4, 10, 20)), annotation(2, 2, area=0, **{"": 3})]
    file = coco(tmp_path / "in", images, objects, categories=[*CATEGORIES, {"id": 20, "name": "dog"}])
    done = split(file, tmp_path / "out", {"a": 0.5, "b": 0.5})
    assert not [problem for problem in done.reading.problems if problem.left_out]
    written = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in "ab"]
    assert sorted((one for part in written for one in part["annotations"]), key=lambda one: one["id"]) == objects
    assert all(part["categories"] == json.loads(file.read_text())["categories"] for part in written)


def test_the_same_seed_writes_the_same_files(tmp_path):
    file = coco(tmp_path / "in", [image(number) for number in range(1, 9)], [annotation(1), annotation(2, 4)])
    for name in ("a", "b"):
        split(file, tmp_path / name, SHARES, seed=5)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_yolo_parts_are_lists_of_pictures_where_they_are(tmp_path):
    file = yolo(tmp_path / "in", {f"p{number}": f"{number % 3} 0.5 0.5 0.2 0.2\n" for number in range(9)})
    before = contents(tmp_path / "in")
    done = split(file, tmp_path / "out", {"train": 0.667, "rest": 0.333})
    assert contents(tmp_path / "in") == before
    reading = read_dataset(done.file)
    names = [set(reading.part(name).file_names) for name in ("train", "rest")]
    assert names[0] | names[1] == {f"p{number}.png" for number in range(9)}
    assert not names[0] & names[1]
    assert np.bincount(reading.part("rest").classes).tolist() == [1, 1, 1]
    assert check(done.file).problems == ()


def test_which_of_several_parts_is_split_must_be_said(tmp_path):
    yolo(tmp_path / "in", {"a": "", "b": ""}, "train: images/train\nval: images/train\nnames: [x]\n")
    with pytest.raises(OptionError, match="several parts; the data set has: train, val; choose one with --part"):
        split(tmp_path / "in", tmp_path / "out", SHARES)
    assert len(split(tmp_path / "in", tmp_path / "out", SHARES, part="val").whole) == 2


def test_nothing_is_overwritten_and_nothing_is_left_after_an_error(tmp_path):
    file = coco(tmp_path / "in", [image(1), image(2)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="exists already and is never overwritten"):
        split(file, tmp_path / "out", SHARES)
    with pytest.raises(OutputError, match="a file of this name is in the way"):
        split(file, file / "out", SHARES)
    with pytest.raises(OptionError, match="1 pictures cannot make 2 parts"):
        split(coco(tmp_path / "one"), tmp_path / "new", SHARES)
    assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("one/")} == before
    assert not list(tmp_path.glob(".lucidbox*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train", "expected NAME=SHARE"),
        ("train=x", "expected NAME=SHARE"),
        ("train=0.8,val=0.3", "add up to 1.1"),
        ("train=0.5,train=0.5", "is named twice"),
        ("train=1.5,val=-0.5", "must have a share above 0"),
        ("train=nan", "must have a share above 0"),
        ("../x=1", "cannot be a part's name"),
        ("names=1", "cannot be a part's name"),
        ("=1", "cannot be a part's name"),
    ],
)
def test_bad_shares(text, message):
    with pytest.raises(OptionError, match=message):
        parse_shares(text)


def test_good_shares():
    assert parse_shares("train=0.7, val=0.2,test=0.1") == {"train": 0.7, "val": 0.2, "test": 0.1}
