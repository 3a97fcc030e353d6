"""What is written of one image: crops, text and its JSON record, by hand."""

import json
from pathlib import PurePosixPath

import cv2
import numpy as np

from lucidbox.core.detections import Detections
from lucidbox.core.file_names import UniquePaths
from lucidbox.detect.stream import Result
from lucidbox.save.json_lines import json_record
from lucidbox.save.results import save_crops, txt_lines
from lucidbox.sources import Picture

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


def test_crops_hold_every_pixel_that_the_box_touches(tmp_path):
    detections = found(
        (10.2, 5.0, 19.5, 15.0, 0.9, 0),  # columns 10 to 19, rows 5 to 14
        (-8, -8, 4, 3.1, 0.8, 1),  # cut at the border: columns 0 to 3, rows 0 to 3
        (50, 30, 50, 35, 0.7, 0),  # no width
        (70, 10, 90, 20, 0.6, 0),  # beside the picture
        (np.nan, 0, 5, 5, 0.5, 0),
        (0, 0, 60, 40, 0.4, 2),
    )
    result = Result(Picture(gradient(), "street.jpg", "street.jpg"), detections, 1)
    paths = save_crops(tmp_path, PurePosixPath("street"), result, UniquePaths())
    written = {str(path.relative_to(tmp_path / "crops")): cv2.imread(str(path)) for path in paths}
    assert sorted(paths) == sorted(tmp_path.rglob("*.jpg"))
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
    picture = Picture(np.zeros((100, 200, 3), np.uint8), "street.jpg", "street.jpg")
    record = json_record(Result(picture, found((10, 20.126, 30, 60, 0.87654, 2)), 12.3456))
    assert json.dumps(record, ensure_ascii=False) == (
        '{"source": "street.jpg", "width": 200, "height": 100, "detections": '
        '[{"box": [10.0, 20.13, 30.0, 60.0], "score": 0.8765, "class": 2, "label": "人"}], "milliseconds": 12.35}'
    )


def test_json_record_of_a_video_frame():
    frame = Picture(np.zeros((100, 200, 3), np.uint8), "road.mp4", "road.mp4", frame=0, time=0.0)
    record = json_record(Result(frame, found(), 1))
    assert list(record) == ["source", "width", "height", "frame", "time", "detections", "milliseconds"]
    assert (record["frame"], record["time"], record["detections"]) == (0, 0.0, [])
    assert isinstance(record["frame"], int)
