import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import PADDING, batch_shape, fit, fit_validation, loaded_size, parse_size

sides = st.integers(1, 5000)


def frames_of(case):
    original, size = (case["height"], case["width"]), case["imgsz"]
    return {
        "predict_auto": fit(original, (size, size)),
        "predict_square": fit(original, (size, size), square=True),
        "val_rect": fit_validation(original, size, batch_shape([original], size)),
        "val_square": fit_validation(original, size, (size, size)),
    }


def test_all_reference_sizes(golden_file):
    cases = json.loads(golden_file("letterbox/cases.json").read_text())
    assert len(cases) == 84
    for case in cases:
        for kind, frame in frames_of(case).items():
            expected = case[kind]
            assert list(frame.resized[::-1]) == expected["resized_wh"]
            assert [frame.left, frame.top, frame.right, frame.bottom] == [
                expected[side] for side in ("left", "top", "right", "bottom")
            ]
            assert list(frame.shape) == expected["output_hw"]
            gains = (
                (expected["back"]["gain_y"], expected["back"]["gain_x"])
                if "back" in expected
                else expected["gain_total_yx"]
            )
            assert frame.gain == pytest.approx(gains, abs=1e-12)


def test_reference_pixels(golden_file):
    pixels = np.load(golden_file("letterbox/pixels.npz"))
    for index in range(5):
        image = pixels[f"in{index}"]
        original = image.shape[:2]
        frames = {
            "auto640": fit(original, (640, 640)),
            "square320": fit(original, (320, 320), square=True),
            "valrect640": fit_validation(original, 640, batch_shape([original], 640)),
        }
        for kind, frame in frames.items():
            assert np.array_equal(frame.apply(image), pixels[f"{kind}_{index}"]), (kind, index)


def test_validation_batches_of_the_reference(golden_file):
    """The shape of each of the reference's batches follows from the pictures in it."""
    files = json.loads(golden_file("letterbox/validation.json").read_text())["batch16"]
    batches = {}
    for entry in files.values():
        batches.setdefault(entry["batch"], []).append(entry)
    for entries in batches.values():
        shape = batch_shape([tuple(entry["original_hw"]) for entry in entries], 640)
        for entry in entries:
            frame = fit_validation(tuple(entry["original_hw"]), 640, shape)
            assert list(frame.shape) == entry["input_hw"]
            assert frame.gain == pytest.approx(entry["gain_yx"], abs=1e-12)
            assert [frame.left, frame.top] == entry["pad_xy"]


@given(sides, sides, st.sampled_from([(640, 640), (320, 320), (384, 640), (64, 32)]), st.booleans())
def test_a_frame_fits_and_its_box_comes_back(height, width, size, square):
    frame = fit((height, width), size, square=square)
    assert all(side % 32 == 0 and side <= most for side, most in zip(frame.shape, size, strict=True))
    assert frame.shape == size or not square
    assert abs(frame.left - frame.right) <= 1
    assert abs(frame.top - frame.bottom) <= 1
    corners = np.array(
        [[frame.left, frame.top, frame.left + frame.resized[1], frame.top + frame.resized[0]]], np.float64
    )
    assert frame.restore(corners)[0] == pytest.approx([0, 0, width, height])


def test_boxes_outside_the_picture_are_clipped_to_it():
    frame = fit((480, 640), (640, 640), square=True)
    everything = frame.restore(np.array([[-50, -50, 900, 900]], np.float32))
    assert everything.tolist() == [[0, 0, 640, 480]]


def test_padding_is_grey_and_the_picture_stands_centred():
    frame = fit((2, 4), (64, 64))
    out = frame.apply(np.zeros((2, 4, 3), np.uint8))
    assert out.shape == (32, 64, 3)
    assert (out == 0).all()
    tall = fit((4, 1), (64, 64)).apply(np.zeros((4, 1, 3), np.uint8))
    assert tall.shape == (64, 32, 3)
    assert (tall[:, :8] == PADDING).all()
    assert (tall[:, 8:24] == 0).all()
    assert (tall[:, 24:] == PADDING).all()


def test_a_line_of_pixels_does_not_vanish():
    assert fit((4000, 1), (640, 640)).resized == (640, 1)
    assert fit((1, 4000), (640, 640)).resized == (1, 640)
    assert loaded_size((4000, 1), 640) == (640, 1)


@pytest.mark.parametrize(
    ("value", "size"), [(640, (640, 640)), ("320", (320, 320)), ("384,640", (384, 640)), ((64, 96), (64, 96))]
)
def test_sizes_that_users_give(value, size):
    assert parse_size(value) == size


@pytest.mark.parametrize(
    ("value", "hint"),
    [(100, "try 96"), (0, "try 32"), (-32, "try 32"), ("640,", "not a size"), ("a", "not a size"),
     ("1,2,3", "not a size"), (99968, "16384"), ((), "not a size")],
)  # fmt: skip
def test_sizes_that_cannot_be(value, hint):
    with pytest.raises(OptionError, match=hint):
        parse_size(value)
