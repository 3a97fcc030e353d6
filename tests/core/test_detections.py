import json

import numpy as np
import pytest

from lucidbox.core.class_names import COCO_NAMES
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError


@pytest.fixture
def three():
    return Detections(
        np.array([[0, 0, 10, 20], [5, 5, 6.5, 7.25], [1, 2, 3, 4]], np.float32),
        np.array([0.9, 0.5, 0.25], np.float32),
        np.array([0, 2, 0]),
        COCO_NAMES,
    )


def test_indexing_gives_detections_again(three):
    assert len(three) == 3
    assert three[0].labels == ["person"]
    assert three[-1].scores.tolist() == [0.25]
    assert three[1:].labels == ["car", "person"]
    assert three[three.classes == 0].scores.tolist() == [pytest.approx(0.9), 0.25]
    assert three[[2, 0]].boxes[0].tolist() == [1, 2, 3, 4]
    assert len(three[[]]) == 0
    assert [one.labels[0] for one in three] == ["person", "car", "person"]


def test_an_index_outside_is_an_error(three):
    with pytest.raises(IndexError, match="detection 3 does not exist: there are 3"):
        three[3]


def test_it_is_frozen(three):
    with pytest.raises(AttributeError):
        three.boxes = None


def test_equality_is_by_value(three):
    assert three == three[:]
    assert three != three[:2]
    assert three != "three"


def test_json_names_box_score_class_and_label(three):
    first = json.loads(three.to_json())[1]
    assert list(first) == ["box", "score", "class", "label"]
    assert first == {"box": [5, 5, 6.5, 7.25], "score": 0.5, "class": 2, "label": "car"}


def test_coco_form_is_left_top_width_height_in_the_91_numbering(three):
    entry = three.to_coco(42)[1]
    assert entry == {"image_id": 42, "category_id": 3, "bbox": [5, 5, 1.5, 2.25], "score": 0.5}


def test_coco_form_of_own_classes():
    found = Detections(np.ones((1, 4), np.float32), np.ones(1, np.float32), np.array([1]), ("hat", "vest"))
    assert found.to_coco(1)[0]["category_id"] == 1
    assert found.to_coco(1, category_ids=[7, 9])[0]["category_id"] == 9
    with pytest.raises(OptionError, match="1 category ids given for 2 classes"):
        found.to_coco(1, category_ids=[7])


@pytest.mark.filterwarnings("ignore")
def test_supervision_takes_it(three):
    supervision = pytest.importorskip("supervision")
    theirs = three.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert np.array_equal(theirs.xyxy, three.boxes)
    assert np.array_equal(theirs.confidence, three.scores)
    assert theirs.class_id.tolist() == [0, 2, 0]
    assert list(theirs["class_name"]) == ["person", "car", "person"]
    assert len(theirs[theirs.confidence > 0.4]) == 2
    assert len(Detections.empty(COCO_NAMES).to_supervision()) == 0
