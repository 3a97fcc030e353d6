"""Counts and measures, by hand and against a count of our own on real data."""

import json
from collections import Counter

import pytest
from data_sets import annotation, coco, image, yolo

from lucidbox.datasets import read_dataset, statistics
from lucidbox.datasets.count import ClassCount, Together


def test_counts_by_hand(tmp_path):
    objects = [
        annotation(1, 1, (0, 0, 20, 10), 1, area=1023),
        annotation(2, 1, (0, 0, 40, 10), 3, area=1024),
        annotation(3, 2, (0, 0, 20, 40), 1, area=9216),
        annotation(4, 2, (0, 0, 64, 48), 3, area=3072, iscrowd=1),
        annotation(5, 2, (1, 0, 20, 40), 1, area=700),
    ]
    counted = statistics(read_dataset(coco(tmp_path, [image(1), image(2), image(3)], objects)).part())
    assert (counted.pictures, counted.empty_pictures, counted.objects, counted.crowds) == (3, 1, 4, 1)
    assert (counted.small, counted.medium, counted.large) == (2, 1, 1)
    assert counted.classes == (
        ClassCount("person", 3, 0, 2),
        ClassCount("car", 1, 1, 2),
        ClassCount("dog", 0, 0, 0),
    )
    assert counted.together == (Together("person", "car", 2),)
    assert counted.picture_sizes == ((64, 48, 3),)
    assert (counted.per_picture.least, counted.per_picture.median, counted.per_picture.most) == (0, 2, 2)
    assert (counted.aspect_ratios.least, counted.aspect_ratios.most) == (0.5, 4)
    assert counted.relative_sizes.least == pytest.approx((20 * 10 / (64 * 48)) ** 0.5)


def test_no_objects_at_all(tmp_path):
    counted = statistics(read_dataset(yolo(tmp_path, {"a": "", "b": None})).part())
    assert (counted.pictures, counted.empty_pictures, counted.objects) == (2, 2, 0)
    assert counted.aspect_ratios.mean == 0


def test_real_data_counted_another_way(golden_file):
    file = golden_file("eval/instances_val2014_100.json")
    document = json.loads(file.read_text())
    counted = statistics(read_dataset(file).part())
    names = {one["id"]: one["name"] for one in document["categories"]}
    single = [one for one in document["annotations"] if not one["iscrowd"]]
    objects = Counter(names[one["category_id"]] for one in single)
    assert {one.name: one.objects for one in counted.classes if one.objects} == objects
    assert counted.small == sum(one["area"] < 1024 for one in single)
    assert counted.crowds == len(document["annotations"]) - len(single)
    pictures = Counter(
        frozenset(pair)
        for number in {one["image_id"] for one in document["annotations"]}
        for present in [
            sorted({names[o["category_id"]] for o in document["annotations"] if o["image_id"] == number})
        ]
        for pair in ((a, b) for i, a in enumerate(present) for b in present[i + 1 :])
    )
    for pair in counted.together:
        assert pictures[frozenset((pair.first, pair.second))] == pair.pictures
    assert counted.together[0].pictures == max(pictures.values())
