import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.datasets.augment import Sample
from lucidbox.datasets.augment.mixing import copy_paste, mixup


def sample(image, *boxes, classes=None):
    classes = range(len(boxes)) if classes is None else classes
    return Sample(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(list(classes), np.int64))


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_mixup_by_hand(seed):
    first, second = sample(noise(1), (1, 2, 9, 9)), sample(noise(2), (3, 3, 8, 20), (0, 0, 5, 5), classes=(7, 3))
    share = np.random.default_rng(seed).beta(32, 32)
    mixed = mixup(first, second, np.random.default_rng(seed))
    expected = first.image * share + second.image * (1 - share)
    assert np.abs(mixed.image - expected).max() <= 0.51
    assert mixed.boxes.tolist() == [[1, 2, 9, 9], [3, 3, 8, 20], [0, 0, 5, 5]]
    assert mixed.classes.tolist() == [0, 7, 3]


def test_mixup_with_nothing_in_the_other():
    mixed = mixup(sample(noise(1)), sample(noise(2)), np.random.default_rng(0))
    assert mixed.boxes.shape == (0, 4)
    assert mixed.boxes.dtype == np.float32


@pytest.mark.parametrize(
    ("there", "pasted", "answer"),
    [
        ((0, 0, 10, 10), (7, 0, 20, 10), False),  # covers 30 of 100
        ((0, 0, 10, 10), (7.1, 0, 20, 10), True),  # covers 29
        ((0, 0, 20, 20), (5, 5, 10, 10), True),  # inside, covers 25 of 400
        ((5, 5, 10, 10), (0, 0, 20, 20), False),  # hides it
        ((0, 0, 5, 5), (10, 10, 20, 20), True),
        ((3, 3, 3, 9), (0, 0, 20, 20), True),  # a box of no area cannot be covered
    ],
)
def test_pasted_or_not_by_hand(there, pasted, answer):
    result = copy_paste(sample(noise(1), there), sample(noise(2), pasted, classes=(5,)))
    assert result.classes.tolist() == ([0, 5] if answer else [0])
    np.testing.assert_array_equal(result.boxes[1:], np.array([pasted] * answer, np.float32).reshape(-1, 4))


def test_one_covered_box_is_enough_to_leave_it_out():
    target = sample(noise(1), (0, 0, 20, 20), (12, 12, 14, 14))
    result = copy_paste(target, sample(noise(2), (10, 10, 15, 15), (0, 0, 6, 6), classes=(5, 6)))
    assert result.classes.tolist() == [0, 1, 6]


def test_boxes_that_together_hide_one_are_not_all_pasted():
    target = sample(noise(1), (0, 0, 20, 20))
    quarters = [(0, 0, 10, 10), (10, 0, 20, 10), (0, 10, 10, 20), (20, 20, 24, 24)]  # 25 % each, and none of it
    result = copy_paste(target, sample(noise(2), *quarters, classes=(5, 6, 7, 8)))
    assert result.classes.tolist() == [0, 5, 8]


corner = st.integers(0, 20)
side = st.integers(1, 12)
rectangles = st.lists(
    st.builds(lambda x, y, w, h: (x, y, min(x + w, 24), min(y + h, 24)), corner, corner, side, side), max_size=5
)


@given(rectangles, rectangles)
@settings(deadline=None)
def test_pixels_are_the_sources_in_pasted_boxes_and_the_targets_elsewhere(there, offered):
    target, source = sample(noise(1), *there), sample(noise(2), *offered)
    before = target.image.copy()
    result = copy_paste(target, source)
    inside = np.zeros((24, 24), bool)
    for left, top, right, bottom in result.boxes[len(there) :].astype(int):
        inside[top:bottom, left:right] = True
    np.testing.assert_array_equal(result.image[inside], source.image[inside])
    np.testing.assert_array_equal(result.image[~inside], target.image[~inside])
    np.testing.assert_array_equal(target.image, before)
    for left, top, right, bottom in there:
        assert inside[top:bottom, left:right].mean() < 0.3


def test_a_painted_box_is_found_where_it_was_pasted(painting):
    target = painting.painted(40, 40, (1, 1, 12, 12))
    source = painting.painted(40, 40, (15, 8, 33, 30), classes=(3,))
    result = copy_paste(target, source)
    np.testing.assert_array_equal(painting.found(result.image, 3), result.boxes[1])
    np.testing.assert_array_equal(painting.found(result.image, 0), result.boxes[0])


def test_pixels_under_a_fraction_of_a_box_are_pasted_too():
    black, white = np.zeros((24, 24, 3), np.uint8), np.full((24, 24, 3), 255, np.uint8)
    result = copy_paste(sample(black), sample(white, (3.5, 4.2, 9.1, 24.0)))
    expected = black.copy()
    expected[4:24, 3:10] = 255
    np.testing.assert_array_equal(result.image, expected)
