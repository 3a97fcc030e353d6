"""Pairs are listed without missing any, and their IoU is pycocotools' to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from lucidbox.evaluate.overlaps import Boxes, iou_of_pairs, list_pairs, rows_of_runs


def random_boxes(random, count):
    boxes = random.uniform(-50, 400, (count, 4))
    boxes[:, 2:] = np.exp(random.uniform(-3, 6, (count, 2)))
    boxes[random.random(count) < 0.05, 2] = 0
    return boxes


def test_iou_has_the_same_bits_as_pycocotools():
    random = np.random.default_rng(0)
    found, truth = random_boxes(random, 300), random_boxes(random, 200)
    crowds = random.random(200) < 0.3
    expected = mask.iou(found, truth, crowds.astype(np.uint8))
    rows, columns = (one.ravel() for one in np.mgrid[:300, :200])
    ious = iou_of_pairs(Boxes.from_xywh(found)[rows], Boxes.from_xywh(truth)[columns], crowds[columns])
    assert np.array_equal(ious.reshape(300, 200), expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.5, 0.75, 1.0]), st.sampled_from([1.0, 1e-9, 1e9]))
def test_no_pair_at_or_above_the_threshold_is_missed(seed, lowest, scale):
    random = np.random.default_rng(seed)
    truth = random_boxes(random, 12)
    found = np.concatenate([truth + random.normal(0, 0.2, truth.shape), truth, random_boxes(random, 16)])
    found[:, 2:] = np.maximum(found[:, 2:], 0)
    found, truth, crowds = found * scale, truth * scale, random.random(12) < 0.2
    expected = mask.iou(found, truth, crowds.astype(np.uint8))
    starts, counts = np.zeros(12, int), np.full(12, len(found))
    pairs = list_pairs(Boxes.from_xywh(found), starts, counts, Boxes.from_xywh(truth), crowds, lowest)
    listed = np.zeros_like(expected)
    listed[pairs.detections, pairs.truths] = pairs.ious
    assert np.array_equal(listed, np.where(expected >= lowest, expected, 0))


def test_many_pairs_are_cut_into_chunks_without_loss(monkeypatch):
    random = np.random.default_rng(5)
    truth, found = random_boxes(random, 40), random_boxes(random, 500)
    crowds = np.zeros(40, bool)
    starts, counts = np.sort(random.integers(0, 250, 40)), random.integers(0, 250, 40)
    arguments = (Boxes.from_xywh(found), starts, counts, Boxes.from_xywh(truth), crowds, 0.01)
    whole = list_pairs(*arguments)
    monkeypatch.setattr("lucidbox.evaluate.overlaps._CHUNK", 100)
    pieces = list_pairs(*arguments)
    assert len(whole.ious) > 20
    for field in ("detections", "truths", "ious"):
        assert np.array_equal(getattr(whole, field), getattr(pieces, field))


def test_rows_of_runs():
    assert rows_of_runs(np.array([5, 9, 2]), np.array([2, 1, 0])).tolist() == [5, 6, 9]
    assert rows_of_runs(np.zeros(0, int), np.zeros(0, int)).tolist() == []


def test_half_overlap_by_hand():
    found, truth = (Boxes.from_xywh(np.array([one], np.float64)) for one in ([0, 0, 2, 2], [1, 0, 2, 2]))
    assert iou_of_pairs(found, truth, np.array([False]))[0] == pytest.approx(1 / 3)
    assert iou_of_pairs(found, truth, np.array([True]))[0] == pytest.approx(1 / 2)
