import numpy as np
import pytest

from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import PADDING
from lucidbox.explain import fills as f
from models import picture

RED = (40, 30, 60, 50)


@pytest.fixture
def pixels():
    return picture(96, 96, RED)


def everything(pixels):
    return np.ones(pixels.shape[:2], bool)


@pytest.mark.parametrize("name", f.FILLS)
def test_what_is_not_hidden_stays_and_the_picture_itself_too(name, pixels):
    before, hidden = pixels.copy(), np.zeros((96, 96), bool)
    hidden[20:60, 30:70] = True
    filled = f.fill_of(name, pixels)(hidden)
    assert np.array_equal(filled[~hidden], pixels[~hidden])
    assert not np.array_equal(filled[hidden], pixels[hidden])
    assert np.array_equal(pixels, before)
    assert np.array_equal(f.fill_of(name, pixels)(~everything(pixels)), pixels)


def test_grey_is_the_letterboxs(pixels):
    assert (f.fill_of("grey", pixels)(everything(pixels)) == PADDING).all()


def test_a_blur_keeps_the_light_and_no_outline(pixels):
    blurred = f.fill_of("blur", pixels)(everything(pixels))
    assert blurred.mean() == pytest.approx(pixels.mean(), rel=0.02)
    steps = np.abs(np.diff(blurred[..., 0].astype(int), axis=1))
    assert steps.max() < (255 - 60) / 4  # the edge, in one step before


def test_the_mean_colour_by_hand():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (200, 100, 4)
    assert (f.fill_of("mean", pixels)(everything(pixels)) == (50, 25, 1)).all()


def test_inpainting_continues_what_borders_the_hidden_part(pixels):
    """The red square is hidden with a margin: what stands in for it knows nothing of red."""
    hidden = np.zeros((96, 96), bool)
    hidden[26:54, 36:64] = True
    filled = f.fill_of("inpaint", pixels)(hidden)
    around = pixels[10:20, 10:20].reshape(-1, 3).mean(axis=0)
    assert np.abs(filled[hidden] - around).max() < 30


def test_a_fill_that_does_not_exist_is_told(pixels):
    with pytest.raises(OptionError, match="fill 'noise' is unknown; choose one of grey, blur, mean, inpaint"):
        f.fill_of("noise", pixels)
