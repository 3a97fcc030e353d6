"""Reading predict's JSON Lines: every frame comes back, and what is wrong is named with its line."""

import json

import numpy as np
import pytest

from lucidbox.core.errors import DataError
from lucidbox.formats.frame_records import FrameRecords

GOOD = {
    "source": "a.mp4", "width": 20, "height": 10, "frame": 3, "time": 0.12, "milliseconds": 4.5,
    "detections": [{"box": [1, 2, 3.5, 4], "score": 0.5, "class": 1, "label": "dog"}],
}  # fmt: skip


def written(tmp_path, *records):
    path = tmp_path / "found.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in records))
    return path


def test_frames_come_back_and_other_records_are_counted(tmp_path):
    still = {key: value for key, value in GOOD.items() if key not in ("frame", "time")}
    path = written(
        tmp_path, GOOD, "", still, {"source": "b", "error": "no"}, {**GOOD, "frame": 4, "detections": []}
    )
    records = FrameRecords(path)
    first, second = records
    assert (first.source, first.frame, first.time, first.size) == ("a.mp4", 3, 0.12, (10, 20))
    assert first.boxes.tolist() == [[1, 2, 3.5, 4]]
    assert (first.scores.tolist(), first.classes.tolist(), first.labels) == ([0.5], [1], ("dog",))
    assert (second.boxes.shape, second.boxes.dtype) == ((0, 4), np.float32)
    assert records.others == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detections": 3}, "detections: expected a list"),
        ({"detections": [4]}, "detections: expected a list of objects"),
        ({"detections": [{**GOOD["detections"][0], "box": [1, 2, 3]}]}, "box: expected four finite numbers"),
        ({"detections": [{**GOOD["detections"][0], "box": [1, 2, float("nan"), 4]}]}, "box: expected four finite"),
        ({"detections": [{**GOOD["detections"][0], "box": [3, 2, 1, 4]}]}, "box: .* ends before it begins"),
        ({"detections": [{**GOOD["detections"][0], "score": 1.5}]}, "score: expected a number, from 0 to 1"),
        ({"detections": [{**GOOD["detections"][0], "class": -1}]}, "class: expected a whole number"),
        ({"detections": [{**GOOD["detections"][0], "class": 10**9}]}, "class: expected a whole number"),
        ({"frame": -1}, "frame: expected a whole number"),
        ({"frame": True}, "frame: expected a whole number"),
        ({"time": "soon"}, "time: expected a number, 0 or more"),
        ({"time": None}, "time: expected a number"),
        ({"width": 1.5}, "width: expected a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, change, message):
    with pytest.raises(DataError, match=rf"found\.jsonl: line 2: {message}"):
        list(FrameRecords(written(tmp_path, GOOD, {**GOOD, **change})))


@pytest.mark.parametrize("text", ["{", "words", "[1]", "3"])
def test_other_text_is_refused(tmp_path, text):
    with pytest.raises(DataError, match=r"found.jsonl: line 1: (not valid JSON|expected a record)"):
        list(FrameRecords(written(tmp_path, text)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="nothing: cannot be read"):
        list(FrameRecords(tmp_path / "nothing"))
