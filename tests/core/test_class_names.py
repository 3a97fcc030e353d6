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


@pytest.mark.parametrize(("wanted", "hint"), [("unicorn", "unicorn"), ("dgo", "dog"), ("80", "0 to 79")])
def test_unknown_class_is_named_with_a_hint(wanted, hint):
    with pytest.raises(OptionError, match=hint):
        class_ids([wanted], COCO_NAMES)


def test_coco_ids_agree_with_the_official_file(golden_file):
    import json

    categories = json.loads(golden_file("eval/instances_val2014_100.json").read_text())["categories"]
    assert [(entry["name"], entry["id"]) for entry in categories] == list(zip(COCO_NAMES, COCO_IDS, strict=True))
