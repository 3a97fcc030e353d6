import colorsys

import numpy as np
import pytest

from lucidbox.datasets.augment.colour import change_colours, random_gains

ONE = np.ones(3)


def pixels(seed=0, count=400):
    return np.random.default_rng(seed).integers(0, 256, (1, count, 3), dtype=np.uint8)


def test_gains_of_one_change_nothing():
    image = pixels()
    np.testing.assert_array_equal(change_colours(image, ONE), image)
    assert random_gains(np.random.default_rng(0), 0.0, 0.0, 0.0).tolist() == [1, 1, 1]


def test_the_way_there_and_back_moves_colours_little():
    image = pixels()
    moved = change_colours(image, np.array([1, 1, 1 + 1e-9]))
    assert np.abs(moved.astype(int) - image).max() <= 10


@pytest.mark.parametrize(
    "gains", [(1.0, 1.0, 0.6), (1.0, 0.5, 1.0), (1.0, 1.7, 1.4), (0.9, 1.0, 1.0), (1.3, 0.8, 1.1)]
)
def test_against_the_textbook(gains):
    image = pixels(1)
    image = image[image.min(axis=2) < image.max(axis=2) - 60][None]  # the hue of grey is anything
    changed = change_colours(image, np.array(gains))
    expected = []
    for pixel in image[0] / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        hue, saturation, value = (gain * part for gain, part in zip(gains, (hue, saturation, value), strict=True))
        expected.append(colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1)))
    # Hue has 180 steps: a half of one is up to 4 levels of a channel; and everything is rounded down.
    assert np.abs(changed[0] - 255 * np.array(expected)).max() <= 16
    assert np.abs(changed[0] - 255 * np.array(expected)).mean() <= 3


def test_value_of_grey_by_hand():
    grey = np.full((2, 2, 3), 200, np.uint8)
    assert (change_colours(grey, np.array([1, 1, 0.5])) == 100).all()
    assert (change_colours(grey, np.array([1, 1, 1.4])) == 255).all()


def test_no_saturation_is_grey():
    changed = change_colours(pixels(), np.array([1.0, 0.0, 1.0]))
    assert (changed.max(axis=2) == changed.min(axis=2)).all()


def test_gains_fill_their_ranges():
    rng = np.random.default_rng(0)
    gains = np.array([random_gains(rng, 0.015, 0.7, 0.4) for _ in range(2000)])
    np.testing.assert_allclose(gains.min(axis=0), [0.985, 0.3, 0.6], atol=0.01)
    np.testing.assert_allclose(gains.max(axis=0), [1.015, 1.7, 1.4], atol=0.01)
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 0.1


def test_the_picture_is_not_written_into():
    image = pixels()
    image.flags.writeable = False
    changed = change_colours(image, np.array([1.01, 1.2, 0.9]))
    assert not np.array_equal(changed, image)
