"""Large JPEGs decoded in part: how far, which way up, and where boxes then are."""

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lucidbox import Detector
from lucidbox.cli import main
from lucidbox.core.errors import ImageError
from lucidbox.detect.letterbox import fit
from lucidbox.images.jpeg import part_that_covers
from lucidbox.images.reading import read_image, read_reduced
from lucidbox.sources import open_sources
from models import RedFinder

SIDES = st.integers(1, 20_000)


def saved(path, height, width, orientation=1):
    """A JPEG, brighter to the right and redder to the bottom of what is stored."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 1] = np.linspace(0, 255, width)
    pixels[..., 0] = np.linspace(0, 255, height)[:, None]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


@given(SIDES, SIDES, st.sampled_from([32, 320, 640]), st.sampled_from([32, 320, 640]))
def test_a_part_is_never_smaller_than_what_the_network_takes(height, width, rows, columns):
    """Whichever way up the picture turns out to be."""
    part = part_that_covers(height, width, (rows, columns))
    for sides in ((height, width), (width, height)):
        resized = fit(sides, (rows, columns)).resized
        if part > 1:
            assert -(-sides[0] // part) >= resized[0]
            assert -(-sides[1] // part) >= resized[1]


@pytest.mark.parametrize(
    ("sides", "part"), [((639, 1279), 1), ((640, 1280), 2), ((3000, 4000), 4), ((6000, 6000), 8), ((600, 500), 1)]
)
def test_how_much_is_decoded(sides, part, tmp_path):
    path = saved(tmp_path / "a.jpg", *sides)
    pixels, whole = read_reduced(path, (640, 640))
    assert whole == sides
    assert pixels.shape == (-(-sides[0] // part), -(-sides[1] // part), 3)
    if part == 1:
        assert np.array_equal(pixels, read_image(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright_like_the_whole_picture(orientation, tmp_path):
    path = saved(tmp_path / "a.jpg", 640, 1000, orientation)
    pixels, whole = read_reduced(path, (320, 320))
    full = read_image(path)
    assert whole == full.shape[:2]
    assert (pixels.shape[0] * 2, pixels.shape[1] * 2) == full.shape[:2]
    means = full.reshape(pixels.shape[0], 2, pixels.shape[1], 2, 3).mean(axis=(1, 3))
    assert np.abs(pixels - means).max() <= 6


def test_whether_a_picture_that_is_square_when_reduced_was_turned_is_not_guessed(tmp_path):
    path = saved(tmp_path / "a.jpg", 999, 1000, orientation=6)
    pixels, whole = read_reduced(path, (480, 480))
    assert whole == (1000, 999) == pixels.shape[:2]


def test_other_formats_are_read_whole_and_refusals_stay(tmp_path):
    Image.new("RGB", (900, 700)).save(tmp_path / "a.png")
    pixels, whole = read_reduced(tmp_path / "a.png", (320, 320))
    assert pixels.shape[:2] == whole == (700, 900)
    path = saved(tmp_path / "a.jpg", 700, 900)
    with pytest.raises(ImageError, match=r"a\.jpg: 900×700 pixels exceed the limit of 1000"):
        read_reduced(path, (320, 320), max_pixels=1000)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ImageError, match=r"a\.jpg: "):
        read_reduced(path, (320, 320))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_kinds_of_jpeg_have_the_colours_of_the_whole_picture(mode, tmp_path):
    ramp = np.linspace(0, 255, 1000, dtype=np.uint8)[None].repeat(640, axis=0)
    picture = ramp if mode == "L" else np.stack([ramp, 255 - ramp, ramp // 2, np.zeros_like(ramp)], axis=2)
    Image.fromarray(picture, mode).save(tmp_path / "a.jpg", quality=95)
    pixels, whole = read_reduced(tmp_path / "a.jpg", (320, 320))
    means = read_image(tmp_path / "a.jpg").reshape(320, 2, 500, 2, 3).mean(axis=(1, 3))
    assert whole == (640, 1000)
    assert np.abs(pixels - means).max() <= 6


def test_boxes_are_in_pixels_of_the_whole_picture(tmp_path):
    pixels = np.full((960, 1280, 3), 255, np.uint8)
    pixels[240:480, 320:960] = 255, 0, 0
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    detector = Detector(RedFinder(), ("blue", "red"), size=(320, 320))
    sources = open_sources(tmp_path / "a.jpg", reduced_within=detector.size)
    (result,) = detector.stream(sources)
    assert result.picture.pixels.shape == (240, 320, 3)
    assert result.picture.size == (960, 1280)
    assert np.abs(result.detections.boxes[0] - [320, 240, 960, 480]).max() <= 4
    assert detector(result.picture) == result.detections
    (whole,) = detector.stream(tmp_path)
    assert whole.picture.size == whole.picture.pixels.shape[:2] == (960, 1280)


def test_on_the_command_line_it_goes_without_drawing(small_onnx, tmp_path, capsys, monkeypatch):
    path = saved(tmp_path / "a.jpg", 960, 1280)
    command = ["predict", str(path), "--weights", str(small_onnx), "--size", "320", "--reduced-decoding"]
    assert main(command) == 2
    assert "leaves no whole picture to draw on or to cut from; add --no-draw" in capsys.readouterr().err
    assert main([*command, "--no-draw", "--crops"]) == 2
    capsys.readouterr()
    assert main([*command, "--no-draw", "--json"]) == 0
    assert '"width":1280' in capsys.readouterr().out.replace(" ", "")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO(path.read_bytes())))
    assert main([*command[:1], "-", *command[2:], "--no-draw", "--json"]) == 0
    assert "--reduced-decoding is for picture files; - is decoded whole" in capsys.readouterr().err
