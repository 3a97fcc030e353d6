import numpy as np
import pytest

from explainable import Unmoved
from lucidbox.core.progress import no_progress
from lucidbox.detect.letterbox import Letterbox
from lucidbox.detect.predictor import RawPrediction
from lucidbox.engines import Prediction
from lucidbox.engines.static_shape import FixedBatchEngine
from lucidbox.explain.curves import canvas_of, curves
from lucidbox.explain.fills import OTHER, PLAIN, UNSEEN, USUAL
from lucidbox.explain.place import centred_gaussian
from lucidbox.explain.search import _FILLS, search, search_until_stopped
from lucidbox.explain.targets import Target

BOX = (48, 32, 112, 64)
SEEN = (80, 32, 112, 48)
"""A quarter of the box, at its upper right."""


class LooksAt:
    """An engine whose one box scores the red of a place, the first of it most: what it looks at is known."""

    name, precision = "looks-at", "fp32"

    def __init__(self, place=SEEN):
        self.place, self.shapes = place, []

    def __call__(self, images):
        self.shapes += [image.shape for image in images]
        left, top, right, bottom = self.place
        red = (images[:, top:bottom, left:right, 0] > 200).mean(axis=(1, 2))
        boxes = np.tile(np.array(BOX, np.float32), (len(images), 1, 1))
        return Prediction(boxes, (red**0.5)[:, None, None].astype(np.float32))


def picture():
    pixels = np.full((96, 160, 3), 60, np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255, 0, 0
    return pixels


def asked(engine):
    pixels = picture()
    predicted = engine(pixels[None])
    engine.shapes = []
    whole = Letterbox(pixels.shape[:2], pixels.shape[:2], 0, 0, 0, 0)
    return RawPrediction(pixels, whole, predicted.boxes[0], predicted.scores[0])


TARGET = Target(0, 0, BOX)


def gain(engine, heat, fills, ordered):
    deletion, insertion = curves(engine, canvas_of(engine, picture(), fills), heat, [TARGET], ordered)[0]
    return insertion - deletion


@pytest.mark.parametrize("fills", [USUAL, OTHER])
def test_it_finds_what_the_engine_looks_at(fills):
    engine = LooksAt()
    heat = search(engine, asked(engine), TARGET, inferences=400)
    assert heat.dtype == np.float32
    assert heat.shape == (96, 160)
    found = gain(engine, heat, fills, ordered=True)
    assert found > gain(engine, centred_gaussian(96, 160, BOX), fills, ordered=False) + 0.02


def test_what_is_looked_at_is_warmer_than_the_rest_of_the_box():
    engine = LooksAt()
    heat = search(engine, asked(engine), TARGET, inferences=400)
    quarter = heat[SEEN[1] : SEEN[3], SEEN[0] : SEEN[2]]
    mirrored = heat[48:64, 48:80]
    assert quarter.mean() > 1.5 * mirrored.mean()


@pytest.mark.parametrize("inferences", [66, 100, 333])
def test_no_more_is_asked_than_is_allowed(inferences):
    engine = LooksAt()
    raw = asked(engine)
    search(engine, raw, TARGET, inferences=inferences)
    assert 0.75 * inferences <= len(engine.shapes) <= inferences
    assert set(engine.shapes) == {raw.pixels.shape}


def test_the_first_step_is_always_done():
    engine = LooksAt()
    heat = search(engine, asked(engine), TARGET, inferences=1)
    assert len(engine.shapes) == 66
    assert np.ptp(heat) > 0


def test_the_seed_decides_and_the_batch_does_not():
    engine = LooksAt()
    raw = asked(engine)
    first = search(engine, raw, TARGET, 200, seed=3)
    assert np.array_equal(first, search(engine, raw, TARGET, 200, seed=3))
    assert not np.array_equal(first, search(engine, raw, TARGET, 200, seed=4))
    assert np.array_equal(first, search(FixedBatchEngine(engine, 3), raw, TARGET, 200, seed=3))


@pytest.mark.parametrize("score", [0.3, 0.0])
def test_an_engine_that_never_changes_its_mind(score):
    engine = Unmoved(BOX, score)
    heat = search(engine, asked(engine), TARGET, inferences=150)
    assert np.isfinite(heat).all()


@pytest.mark.parametrize("box", [(0, 0, 160, 96), (0, 0, 3, 2), (155.5, 90.2, 170, 99), (-10, 20, 5, 22)])
def test_boxes_at_borders_and_of_any_size(box):
    engine = LooksAt()
    heat = search(engine, asked(engine), Target(0, 0, box), inferences=150)
    assert heat.shape == (96, 160)
    assert (heat > 0).all()


def test_it_never_sees_the_fill_that_it_is_judged_by():
    assert {name for pair in _FILLS for name in pair} <= set(PLAIN)
    assert not set(UNSEEN) & set(PLAIN)


def interrupted_after(count):
    """Progress that is stopped by Ctrl-C when so many inferences are done."""

    def progress(items, total):
        for done, item in enumerate(no_progress(items, total)):
            if done == count:
                raise KeyboardInterrupt
            yield item

    return progress


def test_stopped_it_keeps_what_it_has():
    engine = LooksAt()
    raw = asked(engine)
    heat, stopped = search_until_stopped(engine, raw, TARGET, 400, 0, interrupted_after(150))
    assert stopped
    assert len(engine.shapes) < 160
    assert gain(engine, heat, USUAL, True) >= gain(engine, search(engine, raw, TARGET, 1), USUAL, True)


def test_stopped_before_there_is_a_map_the_interrupt_goes_on():
    engine = LooksAt()
    with pytest.raises(KeyboardInterrupt):
        search(engine, asked(engine), TARGET, 400, progress=interrupted_after(10))


def test_progress_counts_inferences():
    seen = []

    def progress(items, total):
        assert total == 120
        for item in items:
            seen.append(item)
            yield item

    engine = LooksAt()
    search(engine, asked(engine), TARGET, 120, progress=progress)
    assert len(seen) == 120
