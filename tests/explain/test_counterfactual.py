"""What would have to be different, asked of detectors whose answers are known."""

import numpy as np
import pytest

from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor
from lucidbox.engines import Prediction
from lucidbox.explain.counterfactual import counterfactual

PLACE = (40.0, 40.0, 60.0, 60.0)


class Shy:
    """Finds the place's object only where no pure white is in sight; sure by how little."""

    name, precision = "shy", "fp32"

    def __call__(self, images):
        white = (images == 255).all(axis=3).mean(axis=(1, 2))
        scores = np.where(white == 0, 0.9, np.maximum(0.2 - white, 0)).astype(np.float32)
        boxes = np.tile(np.array(PLACE, np.float32), (len(images), 1, 1))
        return Prediction(boxes, scores[:, None, None])


@pytest.fixture
def predictor():
    return Predictor(Shy(), ("thing",), (96, 96), Limits(conf=0.25))


def asked(predictor, pixels, place=PLACE):
    raw = predictor.infer([pixels])[0].copy()
    y, x = np.indices(pixels.shape[:2])
    heat = np.exp(-(np.hypot(y - 50, x - 50) / 20)).astype(np.float32)
    return counterfactual(predictor, raw, heat, place, 0)


def test_what_disturbs_is_hidden_and_no_more_than_that(predictor):
    pixels = np.full((96, 96, 3), 90, np.uint8)
    pixels[:6, :6] = 255
    found = asked(predictor, pixels)
    assert found.score < 0.25 < found.best == pytest.approx(0.9)
    assert 0 < found.hidden < 0.5
    assert found.sentences()[0].startswith("it is found (0.90) with ")
    assert np.array_equal(found.picture[40:60, 40:60], pixels[40:60, 40:60])
    assert not (found.picture[:6, :6] == 255).all()
    assert found.to_dict()["best"] == pytest.approx(0.9)


def test_where_hiding_does_not_help_the_best_is_told(predictor):
    """The object itself is what disturbs: a little of it stays in sight at every share."""
    pixels = np.full((96, 96, 3), 90, np.uint8)
    pixels[30:70, 30:70] = 255
    found = asked(predictor, pixels)
    assert found.best < 0.25
    assert found.sentences()[0].startswith("hiding does not help: at best its score is 0.")


def test_a_place_elsewhere_is_not_found(predictor):
    found = asked(predictor, np.full((96, 96, 3), 90, np.uint8), place=(0.0, 0.0, 20.0, 20.0))
    assert found.best == 0
    assert set(found.enlarged) == {2.0, 3.0}
    assert "2 times as large, it is not found (0.00)" in found.sentences()
