import numpy as np
import pytest

from lucidbox.core.class_names import COCO_IDS, COCO_NAMES, class_ids, coco_category_ids
from lucidbox.core.errors import OptionError


def test_coco_has_eighty_names_and_ids_up_to_ninety():
    assert len(COCO_NAMES) == len(set(COCO_NAMES)) == 80
    assert len(COCO_IDS) == 80
    assert COCO_IDS[0] == 1
    assert COCO_IDS[-1] == 90
    assert dict(zip(COCO_NAMES, COCO_IDS, strict=True))["stop sign"] == 13


def test_other_names_keep_their_own_ids():
    assert coco_category_ids(["helmet", "vest"]) == [0, 1]


def test_classes_by_name_and_number():
    assert class_ids(["dog", "0", 2], COCO_NAMES) == [16, 0, 2]


def test_a_name_that_is_a_number_wins_over_the_id():
    assert class_ids(["1"], ["7", "8", "1"]) == [2]


def test_a_whole_number_is_an_id_and_a_text_is_a_name():
    names = ("one", "1", "two")
    assert class_ids([1], names) == class_ids(1, names) == class_ids(np.array([1]), names) == [1]
    assert class_ids(["1"], ("7", "8", "1")) == [2]
    assert class_ids([1], ("7", "8", "1")) == class_ids(np.int64(1), ("7", "8", "1")) == [1]


def test_classes_of_one_name_are_all_chosen():
    assert class_ids(["bolt"], ("bolt", "nut", "bolt")) == class_ids("bolt", ("bolt", "nut", "bolt")) == [0, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cup, red", [0]),
        ("cup, red,dog", [0, 2]),
        ("dog,cup, red", [2, 0]),
        ("cup,dog", [1, 2]),
        ("a,b,c", [3]),
        (" dog , 1", [2, 1]),
    ],
)
def test_a_text_of_several_finds_names_that_have_commas(text, expected):
    assert class_ids(text, ("cup, red", "cup", "dog", "a,b,c")) == expected


def test_ids_may_be_a_data_sets_own():
    assert class_ids("90,cat", ("cat", "dog"), [17, 90]) == [1, 0]
    with pytest.raises(OptionError, match="ids run from 17 to 90"):
        class_ids([1], ("cat", "dog"), [17, 90])


@pytest.mark.parametrize("item", [1.5, None, ("a",)])
def test_what_is_neither_name_nor_number_is_refused(item):
    with pytest.raises(OptionError, match="neither a name nor a whole number"):
        class_ids([item], ("a", "b"))


@pytest.mark.parametrize(("wanted", "hint"), [("unicorn", "unicorn"), ("dgo", "dog"), ("80", "0 to 79")])
def test_unknown_class_is_named_with_a_hint(wanted, hint):
    with pytest.raises(OptionError, match=hint):
        class_ids([wanted], COCO_NAMES)


def test_coco_ids_agree_with_the_official_file(golden_file):
    import json

    categories = json.loads(golden_file("eval/instances_val2014_100.json").read_text())["categories"]
    assert [(entry["name"], entry["id"]) for entry in categories] == list(zip(COCO_NAMES, COCO_IDS, strict=True))
