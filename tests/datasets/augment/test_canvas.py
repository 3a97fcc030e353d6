import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.datasets.augment import Augmentation, Sample
from lucidbox.datasets.augment.canvas import compose, fitted, intersection, letterboxed
from lucidbox.datasets.augment.geometry import Affine, random_affine
from lucidbox.datasets.augment.mosaic import mosaic_tiles, random_centre
from lucidbox.detect.letterbox import PADDING, fit

SIZE = 64


def test_overlap_by_hand():
    assert intersection((0, 0, 10, 10), (5, -3, 20, 4)) == (5, 0, 10, 4)


@given(st.integers(1, 200), st.integers(1, 200))
@settings(deadline=None)
def test_fitted_then_letterboxed_is_the_letterbox(painting, height, width):
    sample = painting.picture(height, width)
    sample = Sample(sample.image, np.array([[0, 0, width, height]], np.float32), np.zeros(1, np.int64))
    frame = fit((height, width), (SIZE, SIZE), square=True)
    small = fitted(sample, SIZE)
    tile = letterboxed(small, SIZE)
    drawn = np.full((SIZE, SIZE, 3), PADDING, np.uint8)
    left, top, right, bottom = tile.visible
    drawn[top:bottom, left:right] = small.image
    np.testing.assert_array_equal(drawn, frame.apply(sample.image))
    np.testing.assert_allclose(small.boxes, [[0, 0, frame.resized[1], frame.resized[0]]], rtol=1e-6)


def test_boxes_that_are_no_numbers_are_dropped(painting):
    boxes = np.array([[1, 2, np.nan, 4], [0, 0, np.inf, 5], [1, 2, 30, 40]], np.float32)
    sample = fitted(Sample(painting.picture(64, 64).image, boxes, np.arange(3)), SIZE)
    assert sample.boxes.tolist() == [[1, 2, 30, 40]]
    assert sample.classes.tolist() == [2]


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_four_pictures_meet_at_the_centre(painting, seed):
    rng = np.random.default_rng(seed)
    samples = [painting.picture(*shape, seed=seed) for shape in ((64, 40), (64, 64), (30, 64), (64, 1))]
    x, y = random_centre(rng, SIZE)
    tiles = mosaic_tiles(samples, [0, 1, 2, 3], (x, y), SIZE, (0, 0, 2 * SIZE, 2 * SIZE))
    assert min(x, y) >= 32
    assert max(x, y) <= 96
    corners = [(tile.left, tile.top) for tile in tiles]
    assert corners == [(x - 40, y - 64), (x, y - 64), (x - 64, y), (x, y)]
    assert tiles[0].visible[2:] == (x, y)
    assert (tiles[1].visible[0], tiles[1].visible[3]) == (x, y)
    assert (tiles[2].visible[2], tiles[2].visible[1]) == (x, y)
    assert tiles[3].visible[:2] == (x, y)
    for tile, sample in zip(tiles, samples, strict=True):
        assert tile.sample.image.shape == sample.image.shape
        left, top, right, bottom = tile.visible
        assert 0 <= left < right <= 128
        assert 0 <= top < bottom <= 128


def test_centres_are_uniform():
    rng = np.random.default_rng(0)
    centres = np.array([random_centre(rng, 32) for _ in range(4000)])
    assert (centres.min(), centres.max()) == (16, 48)
    assert np.abs(centres.mean(axis=0) - 32).max() < 5 * 9.5 / 4000**0.5


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_pictures_that_are_not_read_would_not_have_been_seen(painting, seed):
    rng = np.random.default_rng(seed)
    samples = [painting.picture(64, 64, seed=number) for number in range(4)]
    samples = [
        Sample(sample.image, np.array([[1, 1, 63, 63]], np.float32), np.zeros(1, np.int64)) for sample in samples
    ]
    centre = random_centre(rng, SIZE)
    affine = random_affine(rng, Augmentation(scale=0.7), 2 * SIZE, SIZE)
    needed = mosaic_tiles(samples, range(4), centre, SIZE, affine.window)
    every = mosaic_tiles(samples, range(4), centre, SIZE, (0, 0, 2 * SIZE, 2 * SIZE))
    some, whole = compose(needed, affine, SIZE), compose(every, affine, SIZE)
    np.testing.assert_array_equal(some.image, whole.image)
    np.testing.assert_array_equal(some.boxes, whole.boxes)


def test_some_pictures_are_not_read(painting):
    samples = [painting.picture(64, 64)] * 4
    tiles = mosaic_tiles(samples, range(4), (90, 40), SIZE, (20, 50, 80, 110))
    assert [(tile.left, tile.top) for tile in tiles] == [(26, 40)]


def one_box(image, *box):
    return Sample(image, np.array([box], np.float32), np.zeros(1, np.int64))


def test_boxes_are_cut_to_their_picture_before_anything(painting):
    outside = one_box(painting.picture(40, 64).image, -30, 10, 40, 99)
    still = random_affine(np.random.default_rng(0), Augmentation(scale=0.0, translate=0.0), SIZE, SIZE)
    # The picture lies in rows 12 to 52 of the letterbox.
    assert compose([letterboxed(outside, SIZE)], still, SIZE).boxes.tolist() == [[0, 22, 40, 52]]


def test_a_box_that_only_became_smaller_is_kept(painting):
    quarter = Affine(np.array([[0.25, 0, 0], [0, 0.25, 0]]), 0.25, (0, 0, 256, 256), upright=True)
    tile = letterboxed(one_box(painting.picture(64, 64).image, 4, 8, 44, 48), SIZE)
    assert compose([tile], quarter, SIZE).boxes.tolist() == [[1, 2, 11, 12]]


def test_a_box_of_which_a_tenth_is_left_is_dropped(painting):
    large = Affine(np.array([[2.0, 0, -64], [0, 2, 0]]), 2.0, (32, 0, 64, 32), upright=True)
    # Columns from 32 on are seen: 2 of 20, then 2 of 10.
    tile = letterboxed(one_box(painting.picture(64, 64).image, 14, 4, 34, 30), SIZE)
    assert len(compose([tile], large, SIZE).boxes) == 0
    tile = letterboxed(one_box(painting.picture(64, 64).image, 24, 4, 34, 30), SIZE)
    assert compose([tile], large, SIZE).boxes.tolist() == [[0, 8, 4, 60]]


def test_nothing_on_the_canvas_is_grey():
    still = random_affine(np.random.default_rng(0), Augmentation(), SIZE, SIZE)
    sample = compose([], still, SIZE)
    assert (sample.image == PADDING).all()
    assert sample.boxes.shape == (0, 4)
    assert sample.classes.dtype == np.int64
