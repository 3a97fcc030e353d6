import numpy as np
import pytest

from lucidbox import Detector
from lucidbox.core.errors import OptionError
from lucidbox.engines import Prediction
from lucidbox.explain.scene import look
from lucidbox.explain.why_not import near_anchors, spelled

BOXES = [(0, 0, 40, 40), (2, 0, 42, 40), (100, 0, 140, 40), (50, 50, 90, 90), (0, 0, 40, 30)]
SCORES = [(0.9, 0.0), (0.8, 0.1), (0.1, 0.0), (0.4, 0.7), (0.26, 0.0)]


class Fixed:
    name, precision = "fixed", "fp32"

    def __call__(self, images):
        return Prediction(np.array([BOXES], np.float32), np.array([SCORES], np.float32))


@pytest.fixture
def scene():
    detector = Detector(Fixed(), ("cat", "dog"), size=(160, 160))
    return look(detector, np.zeros((160, 160, 3), np.uint8))


def first(scene, place, class_id=0, **limits):
    return near_anchors(scene, place, class_id, scene.detector._limits(limits))[0]


def test_too_low_a_score(scene):
    near = first(scene, (100, 0, 140, 40))
    assert near.anchor == 2
    assert near.iou == pytest.approx(1)
    assert near.box == (100, 0, 140, 40)
    assert near.fate == "score 0.100 is not above 0.25"


def test_small_scores_are_not_said_to_be_zero():
    assert [spelled(score) for score in (0.26, 0.0005, 0.00012)] == ["0.260", "0.001", "1e-04"]


def test_suppressed_tells_by_what(scene):
    near = first(scene, (20, 0, 60, 40))  # nearest by score × IoU is the second box
    assert near.anchor == 1
    assert "suppressed by a box that overlaps it and scores 0.900" in near.fate
    assert near.suppressor == (0, 0, 40, 40)
    assert near.to_dict()["suppressor"] == [0, 0, 40, 40]


def test_answered_as_another_class(scene):
    near = first(scene, (50, 50, 90, 90))
    assert near.fate == "answered as dog, whose score 0.700 is higher"
    assert (near.best, near.best_score) == ("dog", pytest.approx(0.7))


def test_detected_and_crowded_out_and_not_asked_for(scene):
    assert first(scene, (0, 0, 40, 40)).fate == "detected"
    assert first(scene, (50, 50, 90, 90), 1, max_det=1).fate == "beyond the best 1 boxes"
    assert first(scene, (0, 0, 40, 40), classes="dog").fate == "its class is not among those asked for"


def test_best_first_and_no_more_than_there_are(scene):
    near = near_anchors(scene, (0, 0, 40, 40), 0, scene.detector.limits, 99)
    ranking = [one.score * one.iou for one in near]
    assert len(near) == len(BOXES)
    assert ranking == sorted(ranking, reverse=True)


def test_an_anchor_that_fits_comes_before_a_sure_neighbour(scene):
    """The last box scores 0.26 and is the only one to overlap the place by half."""
    near = near_anchors(scene, (0, 0, 40, 19), 0, scene.detector.limits)
    assert [one.anchor for one in near[:2]] == [4, 0]
    assert [round(one.iou, 3) for one in near[:2]] == [0.633, 0.475]
    assert near[0].score * near[0].iou < near[1].score * near[1].iou


def test_where_no_score_is_above_zero_the_best_overlap_is_nearest(scene):
    """Dogs score 0 at the first, third and fifth anchor."""
    near = near_anchors(scene, (100, 0, 140, 30), 1, scene.detector.limits)
    assert near[0].anchor == 2
    assert near[0].iou == pytest.approx(0.75)


@pytest.mark.parametrize("place", [(5, 5, 5, 9), (9, 5, 5, 9), (0, float("nan"), 5, 9)])
def test_no_box(place, scene):
    with pytest.raises(OptionError, match="left < right"):
        first(scene, place)


def test_outside_the_picture(scene):
    with pytest.raises(OptionError, match="outside the picture, which is 160×160"):
        first(scene, (200, 0, 300, 50))
