"""What is written of one picture: its content, place and form, by hand."""

import json

import cv2
import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OutputError
from lucidbox.images.reading import read_image
from lucidbox.save.results import (
    Crops,
    describe_detections,
    encode_image,
    json_record,
    save_crops,
    save_image,
    suffix_for,
    txt_lines,
)

NAMES = ("person", "traffic/light", "人")


def found(*rows, names=NAMES):
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(int), names
    )


def gradient(height=40, width=60):
    """RGB that differs at every pixel: red from left to right, green downwards, blue none."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width) * 4
    image[..., 1] = np.arange(height)[:, None] * 6
    return image


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_formats_keep_every_pixel(suffix):
    assert np.array_equal(read_image(encode_image(gradient(), suffix)), gradient())


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_lossy_formats_keep_colours_in_their_channels(suffix):
    difference = read_image(encode_image(gradient(), suffix)).astype(int) - gradient()
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(
    ("suffix", "size", "written"),
    [
        (".jpg", (40, 60), ".jpg"),
        (".JPEG", (40, 60), ".jpeg"),
        (".webp", (40, 60), ".webp"),
        (".gif", (40, 60), ".png"),
        (".heic", (40, 60), ".jpg"),
        ("", (40, 60), ".jpg"),
        (".jpg", (1, 65_501), ".png"),
        (".webp", (16_384, 1), ".png"),
        (".webp", (16_383, 1), ".webp"),
        (".tif", (1, 70_000), ".tif"),
    ],
)
def test_suffix_that_a_picture_is_written_under(suffix, size, written):
    assert suffix_for(suffix, *size) == written


@pytest.mark.parametrize(
    ("suffix", "size"), [(".jpg", (1, 65_500)), (".webp", (1, 16_383)), (".png", (1, 65_501))]
)
def test_the_longest_sides_can_be_encoded(suffix, size):
    assert read_image(encode_image(np.zeros((*size, 3), np.uint8), suffix)).shape == (*size, 3)


@pytest.mark.parametrize(("suffix", "size"), [(".heic", (4, 4)), ("", (4, 4)), (".webp", (1, 16_384))])
def test_format_that_cannot_be_written_is_refused(suffix, size):
    with pytest.raises(OutputError, match=r"not a format that can be written.*use \.png"):
        encode_image(np.zeros((*size, 3), np.uint8), suffix)


def test_saved_picture_is_there_and_nothing_beside_it(tmp_path):
    save_image(tmp_path / "结果" / "street.png", gradient())
    assert np.array_equal(read_image(tmp_path / "结果" / "street.png"), gradient())
    assert [path.name for path in (tmp_path / "结果").iterdir()] == ["street.png"]


def test_picture_that_cannot_be_saved(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another path"):
        save_image(tmp_path / "file" / "street.png", gradient())


def test_crops_hold_every_pixel_that_the_box_touches(tmp_path):
    detections = found(
        (10.2, 5.0, 19.5, 15.0, 0.9, 0),  # columns 10 to 19, rows 5 to 14
        (-8, -8, 4, 3.1, 0.8, 1),  # cut at the border: columns 0 to 3, rows 0 to 3
        (50, 30, 50, 35, 0.7, 0),  # no width
        (70, 10, 90, 20, 0.6, 0),  # beside the picture
        (np.nan, 0, 5, 5, 0.5, 0),
        (0, 0, 60, 40, 0.4, 2),
    )
    assert save_crops(tmp_path, "street", gradient(), detections) == Crops(saved=3, skipped=3)
    written = {str(path.relative_to(tmp_path)): cv2.imread(str(path)) for path in tmp_path.rglob("*.jpg")}
    assert {name: crop.shape[:2] for name, crop in written.items()} == {
        "person/street-0.jpg": (10, 10),
        "traffic_light/street-1.jpg": (4, 4),
        "人/street-5.jpg": (40, 60),
    }
    expected = gradient()[5:15, 10:20]
    assert np.abs(written["person/street-0.jpg"][..., ::-1].astype(int) - expected).mean() < 4


def test_txt_lines_are_shares_of_the_picture():
    detections = found((10, 20, 30, 60, 0.875, 2), (0, 0, 200, 100, 0.5, 0))
    assert txt_lines(detections, width=200, height=100) == [
        "2 0.100000 0.400000 0.100000 0.400000 0.875000",
        "0 0.500000 0.500000 1.000000 1.000000 0.500000",
    ]
    assert txt_lines(found(), 200, 100) == []


def test_json_record_of_a_picture():
    record = json_record("street.jpg", 200, 100, found((10, 20.126, 30, 60, 0.87654, 2)), 12.3456)
    assert json.dumps(record, ensure_ascii=False) == (
        '{"source": "street.jpg", "width": 200, "height": 100, "detections": '
        '[{"box": [10.0, 20.13, 30.0, 60.0], "score": 0.8765, "class": 2, "label": "人"}], "milliseconds": 12.35}'
    )


def test_json_record_of_a_video_frame():
    record = json_record("road.mp4", 200, 100, found(), 1, frame=0, time=0.0)
    assert list(record) == ["source", "width", "height", "frame", "time", "detections", "milliseconds"]
    assert (record["frame"], record["time"], record["detections"]) == (0, 0.0, [])
    assert isinstance(record["frame"], int)


def test_describe_counts_classes_best_first():
    box = (0, 0, 9, 9)
    assert describe_detections(found((*box, 0.9, 2), (*box, 0.8, 0), (*box, 0.7, 2))) == "人 2, person 1"
    assert describe_detections(found((*box, 0.1, 0), (*box, 0.8, 1))) == "traffic/light 1, person 1"
    assert describe_detections(found()) == "no objects"


def test_describe_cannot_steer_a_terminal():
    assert describe_detections(found((0, 0, 9, 9, 0.9, 0), names=("\x1b[2Jred\n",))) == "[2Jred 1"
    assert describe_detections(found((0, 0, 9, 9, 0.9, 0), names=("\x07",))) == "#0 1"
