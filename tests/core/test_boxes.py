import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lucidbox.core.boxes import (
    areas,
    cxcywh_to_xywh,
    overlapping_pairs,
    pairwise_iou,
    xywh_to_cxcywh,
    xywh_to_xyxy,
    xyxy_to_xywh,
)


def box(*sides):
    return np.array([sides], dtype=np.float64)


def test_half_overlap_is_a_third():
    assert pairwise_iou(box(0, 0, 2, 2), box(1, 0, 3, 2)).item() == pytest.approx(1 / 3)


def test_equal_boxes_have_iou_one_and_touching_ones_zero():
    assert pairwise_iou(box(1, 2, 3, 4), box(1, 2, 3, 4)).item() == 1
    assert pairwise_iou(box(0, 0, 1, 1), box(1, 0, 2, 1)).item() == 0


def test_two_points_have_iou_zero_not_nan():
    assert pairwise_iou(box(5, 5, 5, 5), box(5, 5, 5, 5)).item() == 0


def test_far_apart_on_both_axes_is_zero():
    # Both differences are negative: their product must not count as an overlap.
    assert pairwise_iou(box(0, 0, 1, 1), box(9, 9, 10, 10)).item() == 0


def test_area_of_two_by_three():
    assert areas(box(1, 1, 3, 4)).tolist() == [6]


def test_one_box_in_three_formats():
    xyxy, xywh, cxcywh = box(10, 20, 14, 26), box(10, 20, 4, 6), box(12, 23, 4, 6)
    assert np.array_equal(xyxy_to_xywh(xyxy), xywh)
    assert np.array_equal(xywh_to_cxcywh(xywh), cxcywh)


@given(arrays(np.float64, (5, 4), elements=st.integers(-1000, 1000).map(float)))
def test_there_and_back(boxes):
    assert np.array_equal(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes)
    assert np.array_equal(cxcywh_to_xywh(xywh_to_cxcywh(boxes)), boxes)


@given(
    arrays(np.float64, (4, 4), elements=st.floats(0, 100)),
    arrays(np.float64, (6, 4), elements=st.floats(0, 100)),
)
def test_iou_is_symmetric(first, second):
    first[:, 2:] += first[:, :2]
    second[:, 2:] += second[:, :2]
    assert np.allclose(pairwise_iou(first, second), pairwise_iou(second, first).T)


@given(
    arrays(np.float64, (5, 4), elements=st.integers(0, 12).map(float)),
    arrays(np.float64, (6, 4), elements=st.integers(0, 12).map(float)),
)
def test_overlapping_pairs_are_all_pairs_of_positive_iou(first, second):
    first[:, 2:] += first[:, :2]
    second[:, 2:] += second[:, :2]
    rows, columns, iou = overlapping_pairs(first, second)
    every = pairwise_iou(first, second)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(
        map(tuple, np.argwhere(every > 0).tolist())
    )
    assert np.allclose(iou, every[rows, columns])
    assert (np.diff(rows) >= 0).all()
