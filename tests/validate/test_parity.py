import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError
from lucidbox.core.matching import match_detections
from lucidbox.detect.nms import Limits
from lucidbox.validate.parity import Collector, Differences, Parity, Tolerances

NAMES = ("cat", "dog")


def found(*rows):
    """Detections of rows: box, score, class."""
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return Detections(boxes, scores, np.array([row[2] for row in rows], np.int64), NAMES)


def test_boxes_match_within_a_class_the_best_first_and_once():
    first = found(([0, 0, 10, 10], 0.9, 0), ([1, 0, 11, 10], 0.8, 0), ([50, 50, 60, 60], 0.7, 1))
    second = found(([0, 0, 10, 11], 0.9, 0), ([50, 50, 60, 60], 0.7, 0))
    # The second cat overlaps the only cat, too, but that is taken; the dog's place holds a cat.
    assert match_detections(first, second) == ([0], [0])
    assert match_detections(first, found()) == ([], [])


def test_movements_are_the_furthest_side_and_the_score():
    collector = Collector(Limits(conf=0.25), margin=0.01)
    collector.add(found(([0, 0, 10, 10], 0.9, 0)), found(([0, 0.5, 10, 10.25], 0.875, 0)))
    parity = collector.parity(None)
    assert (parity.boxes.maximum, parity.scores.maximum) == (0.5, pytest.approx(0.025))
    assert parity.unmatched == (0, 0)


def test_a_box_barely_above_the_threshold_may_be_missing():
    collector = Collector(Limits(conf=0.25), margin=0.01)
    collector.add(found(([0, 0, 10, 10], 0.255, 0)), found())
    collector.add(found(), found(([0, 0, 10, 10], 0.27, 0)))
    parity = collector.parity(None)
    assert (parity.marginal, parity.unmatched, parity.detections) == (1, (0, 1), (1, 1))


def test_a_box_that_a_full_picture_had_no_room_for_may_be_missing():
    collector = Collector(Limits(conf=0.25, max_det=1), margin=0.01)
    collector.add(found(([0, 0, 10, 10], 0.805, 0)), found(([50, 50, 60, 60], 0.8, 0)))
    assert collector.parity(None).marginal == 2
    collector.add(found(([0, 0, 10, 10], 0.9, 0)), found(([50, 50, 60, 60], 0.8, 0)))
    assert collector.parity(None).unmatched == (1, 0)


def test_comparing_nothing_is_no_agreement():
    collector = Collector(Limits(), margin=0.01)
    collector.add(found(), found())
    with pytest.raises(DataError, match=r"nothing was found above 0\.25 in 1 pictures"):
        collector.parity(None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"boxes": Differences(0, 0, 1.5)}, "a box moved by 1.5 px, more than 1"),
        ({"boxes": Differences(0, 0, float("nan"))}, "a box moved by nan"),
        ({"scores": Differences(0, 0, 0.02)}, "a score moved by 0.02, more than 0.01"),
        ({"unmatched": (1, 0)}, "1 boxes are found by one only"),
        ({"ap": (0.43, 0.42)}, "AP differs by 0.0100, more than 0.005"),
    ],
)
def test_each_tolerance_is_held(changes, words):
    still = {
        "boxes": Differences(0, 0, 1.0),
        "scores": Differences(0, 0, 0.01),
        "unmatched": (0, 0),
        "ap": (0.430, 0.426),
    }
    parity = Parity(pictures=1, detections=(1, 1), matched=1, marginal=0, **{**still, **changes})
    reasons = parity.disagreements(Tolerances())
    assert len(reasons) == (words is not None)
    assert words is None or words in reasons[0]
