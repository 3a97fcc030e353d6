"""Deletion and insertion, with engines whose answers are known."""

import numpy as np
import pytest

from explainable import Unmoved
from lucidbox.engines import Prediction
from lucidbox.explain import curves as c
from lucidbox.explain.fills import UNSEEN
from lucidbox.explain.place import as_heat, centred_gaussian, rectangles
from lucidbox.explain.targets import Target
from models import RedFinder, picture

RED = (40, 30, 60, 50)
TARGET = Target(1, 1, RED)


class Whiteness:
    """One box that scores the share of white pixels: every point of a curve is known."""

    name, precision = "whiteness", "fp32"

    def __init__(self, scale=1.0):
        self.scale, self.inferences = scale, 0

    def __call__(self, images):
        self.inferences += len(images)
        share = (images[..., 0] == 255).mean(axis=(1, 2)) * self.scale
        boxes = np.tile(np.array(RED, np.float32), (len(images), 1, 1))
        return Prediction(boxes, np.stack([share, share], axis=1)[:, None].astype(np.float32))


def areas(engine, pixels, heat, targets=(TARGET,)):
    return c.curves(engine, c.canvas_of(engine, pixels), heat, list(targets))


def test_a_map_on_the_object_is_more_faithful_than_its_opposite():
    """The engine finds nothing but red: with the red hidden the score is gone at once."""
    pixels = picture(96, 96, RED)
    heat = np.zeros((96, 96), np.float32)
    heat[30:50, 40:60] = 1
    (good,), (bad,) = areas(RedFinder(), pixels, heat), areas(RedFinder(), pixels, 1 - heat)
    assert good[0] < 0.1 < 0.8 < bad[0]
    assert good[1] > 0.9 > 0.3 > bad[1]


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_the_areas_by_hand_at_high_and_at_low_scores(scale):
    """A white left half on black, which is hottest: what is white is 1/2 less what was hidden, over 1/2."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 255
    heat = np.linspace(2, 1, 80, dtype=np.float32)[None].repeat(40, axis=0)
    shares = (np.arange(13) / 12) ** 2
    engine = Whiteness(scale)
    canvas = c.canvas_of(engine, pixels)
    blurred = (canvas.show(np.ones((40, 80), bool))[..., 0] == 255).mean()
    ((deletion, insertion),) = c.curves(engine, canvas, heat, [TARGET])
    assert deletion == pytest.approx(np.trapezoid(np.maximum(0.5 - shares, 0) / 0.5, shares), abs=0.01)
    # Shown again from the left, over a blurred picture that is white at the far left at most.
    assert insertion == pytest.approx(np.trapezoid(np.clip(shares / 0.5, blurred / 0.5, 1), shares), abs=0.03)
    assert engine.inferences == 3 + 2 * (len(c.SHARES) - 2)


def test_scores_are_relative_to_the_pictures_own():
    """An engine that always gives the same answer: nothing hidden or shown matters, both areas are 1."""
    (found,) = areas(Unmoved(RED), picture(64, 64, (0, 0, 9, 9)), np.ones((64, 64), np.float32))
    assert found == (pytest.approx(1), pytest.approx(1))


def test_a_blind_map_gains_what_the_better_of_gaussian_and_rectangles_does():
    pixels, engine = picture(96, 96, RED), RedFinder()
    canvas = c.canvas_of(engine, pixels, UNSEEN)
    (gaussian,) = c.curves(engine, canvas, centred_gaussian(96, 96, RED), [TARGET])
    blocks = as_heat(-rectangles(96, 96, RED), RED)
    (other,) = c.curves(engine, canvas, blocks, [TARGET], ordered=True)
    blind = c.blind_of(engine, canvas, TARGET)
    assert blind.gain == max(c.gained(gaussian), c.gained(other)) > 0.5
    assert c.beyond_place(engine, blind, blocks, TARGET, True) == c.gained(other) - blind.gain <= 0
    gaussian = centred_gaussian(96, 96, RED)
    assert c.beyond_place(engine, blind, gaussian, TARGET, False) <= 0


def test_cold_pixels_follow_by_distance_unless_the_heat_is_an_order():
    heat = np.zeros((1, 6), np.float32)
    heat[0] = (1, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4)
    assert np.array_equal(c.ranks_of(heat)[0] * 6, (0, 1, 2, 3, 4, 5))
    assert np.array_equal(c.ranks_of(heat, ordered=True)[0] * 6, (0, 5, 4, 3, 2, 1))


def test_of_no_score_nothing_is_left():
    assert areas(Unmoved(RED, 0.0), picture(64, 64, RED), np.ones((64, 64), np.float32)) == [(0, 0)]


def test_targets_with_one_map_share_its_inferences():
    engine, heat = Whiteness(), np.ones((64, 64), np.float32)
    pixels, other = np.full((64, 64, 3), 255, np.uint8), Target(0, 0, (40, 30, 60, 40))
    both = areas(engine, pixels, heat, [TARGET, other])
    assert engine.inferences == 3 + 2 * (len(c.SHARES) - 2)
    assert [both[0]] == areas(engine, pixels, heat)
    assert [both[1]] == areas(engine, pixels, heat, [other])
