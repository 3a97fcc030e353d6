import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.datasets.augment import Augmentation, Sample
from lucidbox.datasets.augment.geometry import (
    Affine,
    clip_boxes,
    flip_horizontal,
    flip_vertical,
    kept,
    move_boxes,
    random_affine,
)

TURNING = Augmentation(degrees=30.0, shear=8.0)


def boxes(*rows):
    return np.array(rows, np.float64).reshape(-1, 4)


def test_published_ranges_are_reached_and_not_left():
    rng, settings = np.random.default_rng(0), Augmentation()
    drawn = [random_affine(rng, settings, 640, 320) for _ in range(2000)]
    scales = np.array([affine.scale for affine in drawn])
    # The canvas's centre, 320, 320, goes to the output's centre, 160, 160, give or take a tenth of 320.
    centres = np.array([affine.matrix @ [320, 320, 1] for affine in drawn]) - 160
    assert 0.499 <= scales.min() < 0.51
    assert 1.49 < scales.max() <= 1.505
    assert 31 < np.abs(centres).max() <= 32 + 0.75 + 1e-9  # half a pixel of the canvas is 0.75 of the output
    assert np.abs(centres.mean(axis=0)).max() < 2
    assert abs(scales.mean() - 1) < 0.03


@pytest.mark.parametrize("scale", [0.5, 0.99])
def test_windows_stay_small(scale):
    rng = np.random.default_rng(0)
    for _ in range(500):
        affine = random_affine(rng, Augmentation(scale=scale), 640, 320)
        left, top, right, bottom = affine.window
        assert max(right - left, bottom - top) <= 4 * 320
        assert affine.upright or scale > 0.75  # the published settings never need the slow way


def test_turned_maps_have_the_published_parts():
    rng, settings = np.random.default_rng(1), Augmentation(degrees=20.0, scale=0.3, translate=0.0)
    angles = []
    for _ in range(500):
        affine = random_affine(rng, settings, 640, 320)
        linear = affine.matrix[:, :2]
        np.testing.assert_allclose(linear @ linear.T, affine.scale**2 * np.eye(2), atol=1e-12)
        assert np.linalg.det(linear) > 0
        np.testing.assert_allclose(affine.matrix @ [320, 320, 1], [160, 160])
        angles.append(np.degrees(np.arctan2(linear[1, 0], linear[0, 0])))
    assert 19 < max(angles) <= 20
    assert -20 <= min(angles) < -19


def test_shear_by_its_tangent():
    settings = Augmentation(shear=60.0, scale=0.0)
    drawn = [random_affine(np.random.default_rng(seed), settings, 64, 64).matrix for seed in range(300)]
    shears = np.array([[matrix[0, 1], matrix[1, 0]] for matrix in drawn])
    assert np.tan(np.radians(57)) < np.abs(shears).max() <= np.tan(np.radians(60))
    np.testing.assert_allclose([[matrix[0, 0], matrix[1, 1]] for matrix in drawn], 1)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None)
def test_the_quick_way_gives_the_pixels_of_the_warp(painting, seed):
    canvas = painting.picture(128, 128, seed).image
    affine = random_affine(np.random.default_rng(seed), Augmentation(scale=0.3), 128, 64)
    left, top, right, bottom = affine.window
    warped = Affine(affine.matrix, affine.scale, (0, 0, 128, 128), upright=False).apply(canvas, 64)
    if min(left, top) >= 0 and max(right, bottom) <= 128:
        quick = affine.apply(canvas[top:bottom, left:right], 64)
        # Not at the edges: there the warp still sees pixels outside the window.
        difference = np.abs(quick.astype(int) - warped)[2:-2, 2:-2]
        assert difference.max() <= 4


def test_a_quarter_turn_is_exact():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    quarter = Affine(np.array([[0.0, 1, 0], [-1, 0, 16]]), 1.0, (0, 0, 16, 16), upright=False)
    np.testing.assert_array_equal(quarter.apply(image, 16), np.rot90(image))
    np.testing.assert_allclose(move_boxes(boxes((1, 2, 5, 4)), quarter), [[2, 11, 4, 15]])


def test_boxes_enclose_their_turned_corners():
    eighth = Affine(np.array([[1.0, 1, 0], [-1, 1, 0]]), 2**0.5, (0, 0, 9, 9), upright=False)
    np.testing.assert_allclose(move_boxes(boxes((0, 0, 2, 1)), eighth), [[0, -2, 3, 1]])
    assert move_boxes(boxes(), eighth).shape == (0, 4)


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), True),
        ((0, 0, 10, 10), (0, 0, 2, 10), False),  # 2 pixels are not more than 2
        ((0, 0, 10, 10), (0, 0, 2.1, 10), True),
        ((0, 0, 10, 10), (0, 0, 10, 2), False),
        ((0, 0, 30, 10), (0, 0, 3, 10), False),  # a tenth is not more than a tenth
        ((0, 0, 29, 10), (0, 0, 3, 10), True),
        ((0, 0, 300, 3), (0, 0, 300, 3), False),  # 100 times as wide as high
        ((0, 0, 299, 3), (0, 0, 299, 3), True),
        ((0, 0, 3, 300), (0, 0, 3, 300), False),
        ((5, 5, 5, 5), (5, 5, 5, 5), False),
    ],
)
def test_kept_by_hand(before, after, answer):
    assert kept(boxes(before), boxes(after)).tolist() == [answer]


def test_clip_by_hand():
    clipped = clip_boxes(boxes((-3, 2, 5, 50), (30, 30, 40, 40)), (1, 3, 20, 25))
    assert clipped.tolist() == [[1, 3, 5, 25], [20, 25, 20, 25]]


@pytest.mark.parametrize("flip", [flip_horizontal, flip_vertical])
def test_flips_are_exact_and_undo_themselves(painting, flip):
    sample = painting.painted(20, 31, (3, 5, 9, 16), (20, 1, 30, 4), classes=(2, 0))
    flipped = flip(sample)
    for box, label in zip(flipped.boxes, flipped.classes, strict=True):
        np.testing.assert_array_equal(painting.found(flipped.image, label), box)
    assert not np.array_equal(flipped.boxes, sample.boxes)
    again = flip(flipped)
    np.testing.assert_array_equal(again.image, sample.image)
    np.testing.assert_array_equal(again.boxes, sample.boxes)


def test_flips_by_hand():
    sample = Sample(np.zeros((10, 40, 3), np.uint8), np.array([[1, 2, 5, 9]], np.float32), np.zeros(1, np.int64))
    assert flip_horizontal(sample).boxes.tolist() == [[35, 2, 39, 9]]
    assert flip_vertical(sample).boxes.tolist() == [[1, 1, 5, 8]]


@given(seed=st.integers(0, 10**6))
@settings(deadline=None)
def test_a_turned_box_is_found_by_its_pixels(painting, seed):
    rng = np.random.default_rng(seed)
    sample = painting.painted(160, 160, (60, 50, 100, 90))
    affine = random_affine(rng, TURNING, 160, 160)
    moved = clip_boxes(move_boxes(sample.boxes.astype(np.float64), affine), (0, 0, 160, 160))[0]
    found = painting.found(affine.apply(sample.image, 160), 0)
    if found is None or (moved[:2] == 0).any() or (moved[2:] == 160).any():
        return  # where a corner is cut off, the box around all corners is larger than what is seen
    assert np.abs(found - moved).max() <= 2
