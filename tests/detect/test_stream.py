"""Results of streams as pictures."""

import io

import numpy as np
from PIL import Image

from lucidbox.core.detections import Detections
from lucidbox.detect.stream import Result
from lucidbox.draw import draw
from lucidbox.sources import Picture

FOUND = Detections(np.array([[8, 8, 40, 32]], np.float32), np.array([0.5], np.float32), np.array([0]), ("a",))


def test_a_result_shows_its_picture_with_boxes(monkeypatch):
    pixels = np.full((48, 64, 3), 90, np.uint8)
    result = Result(Picture(pixels, "p.jpg", "p.jpg"), FOUND, 1.0)
    assert np.array_equal(result.plot(), draw(pixels, FOUND))
    assert (pixels == 90).all()
    assert Image.open(io.BytesIO(result._repr_jpeg_())).size == (64, 48)
    shown = []
    monkeypatch.setattr("lucidbox.draw.show", shown.append)
    result.show()
    assert np.array_equal(shown[0], result.plot())


def test_boxes_fit_a_picture_that_was_decoded_smaller():
    pixels = np.full((24, 32, 3), 90, np.uint8)
    result = Result(Picture(pixels, "p.jpg", "p.jpg", whole=(48, 64)), FOUND, 1.0)
    half = Detections(FOUND.boxes / 2, FOUND.scores, FOUND.classes, FOUND.names)
    assert np.array_equal(result.plot(), draw(pixels, half))


def test_without_pixels_there_is_no_picture():
    nothing = Picture(np.zeros((0, 0, 3), np.uint8), "t.txt", "t.txt", 0, 0.0, whole=(0, 0))
    assert Result(nothing, FOUND, 1.0)._repr_jpeg_() is None
