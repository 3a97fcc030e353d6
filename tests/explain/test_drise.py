import numpy as np
import pytest

from explainable import Unmoved
from lucidbox.core.errors import OptionError
from lucidbox.engines import Prediction
from lucidbox.engines.static_shape import FixedBatchEngine
from lucidbox.explain.curves import canvas_of, curves
from lucidbox.explain.drise import Masking, drise, hide, left_of
from lucidbox.explain.faithfulness import share_inside
from lucidbox.explain.targets import Target

RED = (60, 20, 100, 60)


class Brightness:
    """An engine whose one box scores the mean red of a place: what it looks at is known."""

    name, precision = "brightness", "fp32"

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        mean = images[:, RED[1] : RED[3], RED[0] : RED[2], 0].mean(axis=(1, 2)) / 255
        boxes = np.tile(np.array(RED, np.float32), (len(images), 1, 1))
        return Prediction(boxes, np.stack([mean, mean], axis=1)[:, None].astype(np.float32))


def raw():
    pixels = np.full((96, 160, 3), 114, np.uint8)
    pixels[RED[1] : RED[3], RED[0] : RED[2]] = 255, 0, 0
    return pixels


def test_heat_is_where_the_engine_looks():
    heat = drise(Brightness(), raw(), [Target(0, 1, RED)], Masking(400))[0]
    wide = (RED[0] - 10, RED[1] - 10, RED[2] + 10, RED[3] + 10)  # masks are smooth: a cell is 10 pixels
    assert share_inside(heat, wide) > 2.5 * (60 * 60) / heat.size
    y, x = divmod(int(heat.argmax()), heat.shape[1])
    assert RED[0] <= x < RED[2]
    assert RED[1] <= y < RED[3]
    assert heat.min() == 0


def test_the_seed_decides_and_the_batch_does_not():
    target = [Target(0, 1, RED)]
    first = drise(Brightness(), raw(), target, Masking(50, seed=3))
    assert np.array_equal(first, drise(Brightness(), raw(), target, Masking(50, seed=3)))
    assert not np.array_equal(first, drise(Brightness(), raw(), target, Masking(50, seed=4)))
    assert np.allclose(first, drise(Brightness(), raw(), target, Masking(50, seed=3, batch=7)), atol=1e-3)


def test_every_mask_is_one_inference_shared_by_all_targets():
    engine = Brightness()
    heats = drise(engine, raw(), [Target(0, 1, RED), Target(0, 0, RED)], Masking(50, batch=8))
    assert engine.batches == [8] * 6 + [2]
    assert heats.shape == (2, 96, 160)
    assert np.allclose(heats[0], heats[1])


@pytest.mark.parametrize("taken", [1, 3])
def test_a_graph_of_one_batch_size_explains_as_any_other(taken):
    """Its batches are those that it takes, filled up or divided; maps and curves are the same."""
    engine, free, targets = Brightness(), Brightness(), [Target(0, 1, RED)]
    fixed = FixedBatchEngine(engine, taken)
    heat = drise(fixed, raw(), targets, Masking(10))
    expected = drise(free, raw(), targets, Masking(10))
    assert np.array_equal(heat, expected)
    assert curves(fixed, canvas_of(fixed, raw()), heat[0], targets) == curves(
        free, canvas_of(free, raw()), expected[0], targets
    )
    assert set(engine.batches) == {taken} != set(free.batches)


def test_an_engine_that_never_changes_its_mind_gives_no_heat():
    heat = drise(Unmoved(RED), raw(), [Target(0, 1, RED)], Masking(30))[0]
    assert heat.max() < 1e-4


def test_the_cover_is_where_the_mask_is_not():
    pixels, grey = raw(), np.full((96, 160, 3), 114, np.uint8)

    def hidden(share):
        into = np.empty_like(pixels)
        hide(pixels, np.full((96, 160), share, np.float32), into)
        return into

    assert np.array_equal(hidden(1), pixels)
    assert np.array_equal(hidden(0), grey)
    assert abs(int(hidden(0.5)[30, 70, 0]) - (255 + 114) / 2) <= 1


def test_what_is_left_by_brute_force():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([[0.2, 0.9], [0.6, 0.1], [1.0, 1.0]], np.float32)
    targets = [Target(0, 0, (0, 0, 10, 10)), Target(0, 1, (0, 0, 10, 10)), Target(0, 0, (80, 80, 90, 90))]
    assert np.allclose(left_of(boxes, scores, targets), [0.2, 0.9, 0])  # 0.6 · IoU 1/3 is also 0.2
    # What was missed may have scored next to nothing, and still more or less.
    assert np.allclose(left_of(boxes, scores * np.float32(1e-5), targets[:2]), [0.2e-5, 0.9e-5], rtol=1e-5)


@pytest.mark.parametrize(
    "change", [{"masks": 0}, {"cells": 0}, {"batch": 0}, {"shown": 1.0}, {"shown": 0.0}, {"seed": -1}]
)
def test_values_out_of_range(change):
    with pytest.raises(OptionError, match=f"{next(iter(change))} "):
        Masking(**change)
