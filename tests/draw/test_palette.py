"""Class colours: stable, all different, and with letters that can be read on them."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.draw.palette import palette, text_colour

byte = st.integers(0, 255)


def contrast(first, second):
    """WCAG 2.2's contrast ratio, from its text."""

    def luminance(colour):
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_first_colours_are_okabe_and_itos():
    assert [palette(index) for index in range(3)] == [(213, 94, 0), (86, 180, 233), (240, 228, 66)]


def test_colours_are_the_same_in_every_release():
    """Users compare pictures made months apart: these may not change."""
    assert [palette(index) for index in (7, 8, 20, 79)] == [
        (115, 0, 253),
        (161, 0, 92),
        (138, 0, 161),
        (69, 161, 138),
    ]


def test_asking_out_of_order_changes_nothing():
    late = palette(500)
    assert palette(500) == late
    assert len({palette(index) for index in range(501)}) == 501


def test_no_colour_twice_before_the_grid_is_used_up():
    assert len({palette(index) for index in range(1348)}) == 1348
    assert palette(1348) == palette(0)


@pytest.mark.parametrize(("count", "least"), [(7, 25), (20, 15), (80, 7)])
def test_colours_are_far_apart_in_cielab(count, least):
    """CIE76 differences, in which 2.3 is just noticeable, measured in another space than we choose in."""
    colours = np.array([[palette(index) for index in range(count)]], np.float32) / 255
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2Lab)[0]
    assert min(np.linalg.norm(a - b) for a, b in combinations(lab, 2)) > least


@given(byte, byte, byte)
def test_letters_have_contrast_on_every_colour(red, green, blue):
    background = (red, green, blue)
    other = {(0, 0, 0): (255, 255, 255), (255, 255, 255): (0, 0, 0)}[text_colour(background)]
    assert contrast(text_colour(background), background) >= contrast(other, background) - 1e-9
    assert contrast(text_colour(background), background) > 4.5
