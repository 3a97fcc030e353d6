"""Each kind of pixel, by hand: what goes in, what must come out."""

import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import ImageError, OptionError
from lucidbox.images.pixels import from_pillow, to_rgb
from models import unchecked_shapes


def test_grey_is_repeated_in_both_forms():
    grey = np.array([[0, 7], [128, 255]], np.uint8)
    expected = [[[0, 0, 0], [7, 7, 7]], [[128, 128, 128], [255, 255, 255]]]
    assert to_rgb(grey).tolist() == expected
    assert to_rgb(grey[:, :, None]).tolist() == expected


def test_bgr_is_turned_around_and_rgb_is_not():
    assert to_rgb(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[1, 2, 3]]]
    assert to_rgb(np.array([[[1, 2, 3]]], np.uint8), "bgr").tolist() == [[[3, 2, 1]]]
    assert to_rgb(np.array([[[1, 2, 3, 255]]], np.uint8), "bgr").tolist() == [[[3, 2, 1]]]


def test_plain_rgb_is_not_copied():
    pixels = np.zeros((4, 5, 3), np.uint8)
    assert np.shares_memory(to_rgb(pixels), pixels)


def test_input_is_never_changed():
    pixels = np.array([[[10, 20, 30, 40]]], np.uint8)
    pixels.setflags(write=False)
    to_rgb(pixels, "bgr")
    assert pixels.tolist() == [[[10, 20, 30, 40]]]


def test_alpha_lies_over_white():
    # 0: white; 255: itself; 51 is a fifth: (100 + 4 · 255) / 5 = 224.
    pixels = np.array([[[100, 100, 100, 0], [100, 100, 100, 255], [100, 0, 255, 51]]], np.uint8)
    assert to_rgb(pixels).tolist() == [[[255, 255, 255], [100, 100, 100], [224, 204, 255]]]


def test_alpha_is_rounded_to_the_nearest_for_every_value_and_alpha():
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([value, value, value, alpha], axis=2).astype(np.uint8)
    exact = (value * alpha + 255.0 * (255 - alpha)) / 255
    assert np.abs(to_rgb(pixels)[:, :, 0] - exact).max() <= 0.5


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_give_their_high_byte(order):
    deep = np.array([[0, 255, 256, 40000, 65535]], order)
    assert to_rgb(deep)[0, :, 0].tolist() == [0, 0, 1, 156, 255]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_of_0_to_1_become_0_to_255(kind):
    assert to_rgb(np.array([[0, 0.25, 0.5, 1]], kind))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_booleans_are_black_and_white():
    assert to_rgb(np.array([[False, True]]))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 20, 30), np.uint8), "shape (3, 20, 30)"),
        (np.zeros((2, 20, 30, 3), np.uint8), "shape (2, 20, 30, 3)"),
        (np.zeros(5, np.uint8), "shape (5,)"),
        (np.zeros((20, 30, 2), np.uint8), "shape (20, 30, 2)"),
        (np.zeros((0, 30, 3), np.uint8), "shape (0, 30, 3)"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), np.uint32), "uint32"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.full((2, 2), 255.0), "255"),
        (np.full((2, 2), -0.1), "-0.1"),
        (np.full((2, 2), np.nan), "nan"),
        (np.full((2, 2), np.inf), "inf"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(array, message):
    with pytest.raises(ImageError, match=r"^mine: ") as caught:
        to_rgb(array, name="mine")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pillow_images_of_every_mode():
    shown = {
        "1": (1, [255, 255, 255]),
        "L": (9, [9, 9, 9]),
        "LA": ((9, 0), [255, 255, 255]),
        "RGB": ((1, 2, 3), [1, 2, 3]),
        "RGBA": ((1, 2, 3, 0), [255, 255, 255]),
        "RGBX": ((1, 2, 3, 0), [1, 2, 3]),
        "CMYK": ((255, 0, 51, 0), [0, 255, 204]),
        "I;16": (0x1234, [0x12, 0x12, 0x12]),
        "F": (1.0, [255, 255, 255]),
    }
    for mode, (color, expected) in shown.items():
        assert from_pillow(Image.new(mode, (2, 1), color)).tolist() == [[expected, expected]], mode


def test_black_ink_darkens_cmyk():
    # 255 · (1 - 0) · (1 - 51/255) = 204
    assert from_pillow(Image.new("CMYK", (1, 1), (0, 0, 0, 51))).tolist() == [[[204, 204, 204]]]


@pytest.mark.parametrize("mode", ["I", "LAB", "HSV"])
def test_pillow_modes_without_a_rule_are_refused(mode):
    with pytest.raises(ImageError, match=f"kind {mode}"):
        from_pillow(Image.new(mode, (1, 1)))


def test_an_unknown_order_of_channels_is_refused():
    with unchecked_shapes(), pytest.raises(OptionError, match=r"^color 'xyz' is not known; say 'rgb' or 'bgr'$"):
        to_rgb(np.zeros((2, 2, 3), np.uint8), "xyz")
