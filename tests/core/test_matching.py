"""Greedy matching of two sets of boxes."""

import numpy as np

from lucidbox.core.detections import Detections
from lucidbox.core.matching import match_boxes, match_detections


def squares(*lefts):
    """Boxes of 10 by 10 pixels that begin at these columns."""
    return np.array([[left, 0, left + 10, 10] for left in lefts], np.float64).reshape(-1, 4)


def test_earlier_boxes_choose_first_and_take_the_one_they_overlap_most():
    # IoU is (10 - d) / (10 + d) for a distance d: 1 gives 9/11, 2 gives 8/12.
    first, second = squares(0, 1, 50), squares(2, 1)
    assert match_boxes(first, second, np.ones((3, 2), bool)) == ([0, 1], [1, 0])


def test_other_classes_and_small_overlaps_do_not_match():
    first, second = squares(0, 4), squares(0, 0)
    assert match_boxes(first, second, np.array([[False, True], [True, True]])) == ([0], [1])
    assert match_boxes(first, second, np.array([[False, True], [True, True]]), least_iou=6 / 14) == (
        [0, 1],
        [1, 0],
    )


def test_nothing_matches_nothing():
    assert match_boxes(squares(), squares(), np.zeros((0, 0), bool)) == ([], [])
    assert match_boxes(squares(), squares(1), np.zeros((0, 1), bool)) == ([], [])
    assert match_boxes(squares(1), squares(), np.zeros((1, 0), bool)) == ([], [])


def test_detections_choose_by_score_not_by_row():
    names = ("cat", "dog")
    first = Detections(squares(2, 0).astype(np.float32), np.array([0.2, 0.9], np.float32), np.array([0, 0]), names)
    second = Detections(squares(1).astype(np.float32), np.array([0.5], np.float32), np.array([0]), names)
    assert match_detections(first, second) == ([1], [0])
