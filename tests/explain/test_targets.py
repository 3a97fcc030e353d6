import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import fit
from lucidbox.detect.nms import detect
from lucidbox.explain.targets import target_of, to_image, to_unit


def test_the_anchor_is_the_one_that_suppression_kept(small):
    _, detector, picture, found = small
    raw = detector.predictor.infer([picture])[0].copy()
    _, kept = detect(raw.boxes, raw.scores, detector.limits)
    assert [target_of(raw, one).anchor for one in found] == kept.anchors.tolist()
    assert [target_of(raw, one).class_id for one in found] == kept.classes.tolist()


def test_a_detection_of_another_picture_is_refused(small):
    _, detector, picture, found = small
    other = Detections(found.boxes[:1] * 0.5 + 3, found.scores[:1] * 0.9 + 0.09, found.classes[:1], found.names)
    with pytest.raises(OptionError, match="no anchor of this model"):
        target_of(detector.predictor.infer([picture])[0].copy(), other)


@pytest.mark.parametrize("rows", [[], [0, 1]])
def test_one_detection_at_a_time(rows, small):
    raw = small[1].predictor.infer([small[2]])[0].copy()
    with pytest.raises(OptionError, match=f"{len(rows)} detections given"):
        target_of(raw, small[3][rows])


def test_an_unknown_side(small):
    with pytest.raises(OptionError, match="left, top, right, bottom"):
        target_of(small[1].predictor.infer([small[2]])[0].copy(), small[3][0], "upper")


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (100, 333), (1000, 700), (8, 8)])
def test_a_spot_comes_back_to_its_place_in_the_picture(size):
    """A map hot at one place of the input is hot at that place of the picture, as boxes are restored."""
    letterbox = fit(size, (640, 640))
    stride = 8
    rows, columns = letterbox.shape[0] // stride, letterbox.shape[1] // stride
    heat = np.zeros((rows, columns), np.float32)
    row, column = rows // 3, columns // 2
    heat[row, column] = 5
    found = to_image(heat, letterbox)
    assert found.shape == size
    assert found.max() == 1
    box = np.array([[column, row, column + 1, row + 1]], np.float32) * stride
    left, top, right, bottom = letterbox.restore(box)[0]
    weights = found.astype(float)
    y = (weights.sum(axis=1) * (np.arange(size[0]) + 0.5)).sum() / weights.sum()
    x = (weights.sum(axis=0) * (np.arange(size[1]) + 0.5)).sum() / weights.sum()
    assert y == pytest.approx((top + bottom) / 2, abs=0.6)
    assert x == pytest.approx((left + right) / 2, abs=0.6)


def test_heat_in_the_padding_is_not_the_pictures():
    letterbox = fit((100, 640), (640, 640))  # padded above and below to 128
    heat = np.zeros(letterbox.shape, np.float32)
    heat[0] = 100
    heat[64, 320] = 1
    found = to_image(heat, letterbox)
    assert found[50, 320] == 1
    assert np.count_nonzero(found) == 1


def test_scaling():
    assert np.array_equal(to_unit(np.array([[-1.0, 0.5, 2.0]])), [[0, 0.25, 1]])
    assert np.array_equal(to_unit(np.zeros((2, 2))), np.zeros((2, 2)))
    assert np.array_equal(to_unit(-np.ones((2, 2))), np.zeros((2, 2)))
    assert np.array_equal(to_unit(np.full((1, 1), 1e-42)), [[0]])
