import numpy as np
import pytest

from lucidbox.core.errors import OptionError
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor
from lucidbox.engines import Prediction
from lucidbox.explain.near_anchors import near_anchors, spelled

BOXES = [(0, 0, 40, 40), (2, 0, 42, 40), (100, 0, 140, 40), (50, 50, 90, 90), (0, 0, 40, 30)]
SCORES = [(0.9, 0.0), (0.8, 0.1), (0.1, 0.0), (0.4, 0.7), (0.26, 0.0)]


class Fixed:
    name, precision = "fixed", "fp32"

    def __call__(self, images):
        return Prediction(np.array([BOXES], np.float32), np.array([SCORES], np.float32))


@pytest.fixture
def raw():
    predictor = Predictor(Fixed(), ("cat", "dog"), size=(160, 160))
    return predictor.infer([np.zeros((160, 160, 3), np.uint8)])[0]


def near_of(raw, place, class_id=0, count=5, **limits):
    return near_anchors(raw, ("cat", "dog"), place, class_id, Limits(**limits), count)


def first(raw, place, class_id=0, **limits):
    return near_of(raw, place, class_id, **limits)[0]


def test_too_low_a_score(raw):
    near = first(raw, (100, 0, 140, 40))
    assert near.anchor == 2
    assert near.iou == pytest.approx(1)
    assert near.box == (100, 0, 140, 40)
    assert near.fate == "score 0.100 is not above 0.25"


def test_small_scores_are_not_said_to_be_zero():
    assert [spelled(score) for score in (0.26, 0.0005, 0.00012)] == ["0.260", "0.001", "1e-04"]


def test_suppressed_tells_by_what(raw):
    near = first(raw, (20, 0, 60, 40))  # nearest by score × IoU is the second box
    assert near.anchor == 1
    assert "suppressed by a box that overlaps it and scores 0.900" in near.fate
    assert near.suppressor == (0, 0, 40, 40)
    assert near.to_dict()["suppressor"] == [0, 0, 40, 40]


def test_answered_as_another_class(raw):
    near = first(raw, (50, 50, 90, 90))
    assert near.fate == "answered as dog, whose score 0.700 is higher"
    assert (near.best, near.best_score) == ("dog", pytest.approx(0.7))


def test_detected_and_crowded_out_and_not_asked_for(raw):
    assert first(raw, (0, 0, 40, 40)).fate == "detected"
    assert first(raw, (50, 50, 90, 90), 1, max_det=1).fate == "beyond the best 1 boxes"
    assert first(raw, (0, 0, 40, 40), classes=(1,)).fate == "its class is not among those asked for"


def test_best_first_and_no_more_than_there_are(raw):
    near = near_of(raw, (0, 0, 40, 40), 0, 99)
    ranking = [one.score * one.iou for one in near]
    assert len(near) == len(BOXES)
    assert ranking == sorted(ranking, reverse=True)


def test_an_anchor_that_fits_comes_before_a_sure_neighbour(raw):
    """The last box scores 0.26 and is the only one to overlap the place by half."""
    near = near_of(raw, (0, 0, 40, 19), 0)
    assert [one.anchor for one in near[:2]] == [4, 0]
    assert [round(one.iou, 3) for one in near[:2]] == [0.633, 0.475]
    assert near[0].score * near[0].iou < near[1].score * near[1].iou


def test_where_no_score_is_above_zero_the_best_overlap_is_nearest(raw):
    """Dogs score 0 at the first, third and fifth anchor."""
    near = near_of(raw, (100, 0, 140, 30), 1)
    assert near[0].anchor == 2
    assert near[0].iou == pytest.approx(0.75)


@pytest.mark.parametrize("place", [(5, 5, 5, 9), (9, 5, 5, 9), (0, float("nan"), 5, 9)])
def test_no_box(place, raw):
    with pytest.raises(OptionError, match="left < right"):
        first(raw, place)


def test_outside_the_picture(raw):
    with pytest.raises(OptionError, match="outside the picture, which is 160×160"):
        first(raw, (200, 0, 300, 50))
