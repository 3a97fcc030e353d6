"""Counts on true tracks and on a real video, beside what is known of them."""

import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.formats.mot import read_mot
from lucidbox.track import DEFAULT_TRACKER, TRACKERS, Line, track
from lucidbox.track.boxes import open_boxes
from lucidbox.track.scene_watcher import SceneWatcher

LINE = Line("middle", (320, 0), (320, 480))


def test_boxes_without_ids_are_counted_as_those_with_true_ids(shared):
    """Of eight people, who walk through one another's boxes: all by the default, all but one by the others."""
    path = shared("data/tracks/TUD-Campus-gt.txt")
    rows = read_mot(path)
    watcher, truth = SceneWatcher([LINE]), set(rows.ids.tolist())
    for frame in np.unique(rows.frames).tolist():
        here = rows.frames == frame
        many = int(here.sum())
        boxes = rows.boxes[here].astype(np.float32)
        found = Detections(boxes, np.ones(many, np.float32), np.zeros(many, np.int64), ("person",))
        watcher.update(found, rows.ids[here], frame / 25, truth)
    (wanted,) = watcher.lines
    assert wanted.right + wanted.left >= 4
    for tracker in TRACKERS:
        *_, last = track(open_boxes(path, 25).results(), tracker, lines=[LINE])
        (counted,) = last.lines
        missed = abs(wanted.right - counted.right) + abs(wanted.left - counted.left)
        assert missed <= (tracker != DEFAULT_TRACKER), tracker


@pytest.mark.extended
def test_cars_of_a_real_video(shared, reference_onnx, tmp_path, monkeypatch, capsys):
    """By eye: four cars, two upwards and two downwards; here at four frames a second."""
    from lucidbox.cli import main

    monkeypatch.chdir(tmp_path)
    video = str(shared("data/video/car-detection.mp4"))
    options = [
        "--weights",
        str(reference_onnx),
        "--count-line",
        "gate=0,216,768,216",
        "--no-draw",
        "--video-stride",
        "3",
    ]
    assert main(["track", video, *options]) == 0
    assert capsys.readouterr().out.splitlines()[-2].split() == ["gate", "2", "2", "4"]
