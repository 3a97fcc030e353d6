"""Tracks for CVAT and Label Studio: what the tools make of the files is what was tracked."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from lucidbox.formats.video_tracks import VideoTracks


def collected(seed=0, frames=40, stride=1):
    """Two objects: one in every frame, on a bent way; one that is away from the 11th to the 20th."""
    noise = np.random.default_rng(seed)
    tracks, truth = VideoTracks("road <1>.mp4", 480, 640), {1: {}, 7: {}}
    for row in range(frames):
        frame = row * stride
        x = 10 + 4 * row if row < 20 else 90 - 3 * (row - 20)
        boxes = {1: [x, 50, x + 60, 120], 7: [300 + noise.uniform(-9, 9), 100, 350, 200]}
        seen = [track for track in boxes if track == 1 or not 10 <= row < 20]
        tracks.add(
            frame,
            frame / 25,
            seen,
            np.array([boxes[one] for one in seen], np.float32),
            ["car", "dog"][: len(seen)],
        )
        for track in seen:
            truth[track][frame] = boxes[track]
    return tracks, truth


def boxes_of_cvat(text):
    """Every box that CVAT shows, by track and frame: keyframes, and straight ways between them."""
    tracks = {}
    for track in ElementTree.fromstring(text).iter("track"):
        keys = [(int(box.get("frame")), box.get("outside") == "1",
                 [float(box.get(side)) for side in ("xtl", "ytl", "xbr", "ybr")]) for box in track]  # fmt: skip
        shown = tracks[int(track.get("id"))] = {}
        for (start, hidden, box), (end, _, other) in zip(
            keys, [*keys[1:], (10**6, True, keys[-1][2])], strict=True
        ):
            for frame in range(start, min(end, start + 1000) if not hidden else start):
                share = (frame - start) / (end - start) if end < 10**6 else 0
                shown[frame] = [a + share * (b - a) for a, b in zip(box, other, strict=True)]
    return tracks


@pytest.mark.parametrize("stride", [1, 5])
def test_cvat_shows_every_box_within_a_fiftieth_of_its_side(stride):
    tracks, truth = collected(stride=stride)
    shown = boxes_of_cvat(tracks.cvat())
    last = max(truth[1])
    for track, boxes in truth.items():
        for frame, box in boxes.items():
            allowed = max(1, 0.02 * max(box[2] - box[0], box[3] - box[1])) + 0.01
            # Before the frame of "outside", the way leads to the last box again.
            np.testing.assert_allclose(shown[track][frame], box, atol=allowed)
        assert {frame for frame in shown[track] if frame <= last and frame % stride == 0} == set(boxes)


def test_cvat_needs_few_frames_by_hand_where_the_way_is_straight():
    tracks, _ = collected()
    (first, _) = ElementTree.fromstring(tracks.cvat()).iter("track")
    assert [int(box.get("frame")) for box in first] == [0, 20, 39]
    root = ElementTree.fromstring(tracks.cvat())
    assert root.find("version").text == "1.1"
    assert root.find("meta/task/name").text == "road <1>.mp4"
    assert root.find("meta/task/size").text == "40"
    assert [name.text for name in root.iter("name")][1:] == ["car", "dog"]


def test_label_studio_has_percents_frames_from_1_and_ends_of_life():
    tracks, truth = collected()
    (task,) = json.loads(tracks.label_studio())
    first, second = task["predictions"][0]["result"]
    assert task["data"] == {"video": "road <1>.mp4"}
    assert (first["type"], first["from_name"], first["to_name"]) == ("videorectangle", "box", "video")
    value = first["value"]
    assert (value["framesCount"], value["labels"]) == (40, ["car"])
    assert value["duration"] == pytest.approx(40 / 25)
    left, top, right, bottom = truth[1][0]
    assert value["sequence"][0] == {
        "frame": 1, "enabled": True, "rotation": 0, "x": 100 * left / 640, "time": 0.0,
        "y": round(100 * top / 480, 4), "width": 100 * (right - left) / 640,
        "height": round(100 * (bottom - top) / 480, 4),
    }  # fmt: skip
    ends = [(key["frame"], key["enabled"]) for key in second["value"]["sequence"] if not key["enabled"]]
    assert ends == [(10, False), (40, False)]


def test_names_that_xml_cannot_hold_and_boxes_beyond_the_image():
    tracks = VideoTracks("a\0b & c.mp4", 100, 100)
    tracks.add(0, 0.0, [1], np.array([[-5, -5, 120, 50]], np.float32), ['dog "x" <&>\x01'])
    (box,) = ElementTree.fromstring(tracks.cvat()).iter("box")
    assert [box.get(side) for side in ("xtl", "ytl", "xbr", "ybr")] == ["0.00", "0.00", "100.00", "50.00"]
    (value,) = [one["value"] for one in json.loads(tracks.label_studio())[0]["predictions"][0]["result"]]
    assert (value["sequence"][0]["x"], value["sequence"][0]["width"]) == (0, 100)


def test_no_tracks_are_a_whole_file():
    empty = VideoTracks("a.mp4", 10, 10)
    empty.add(0, 0.0, [], np.zeros((0, 4), np.float32), [])
    assert list(ElementTree.fromstring(empty.cvat()).iter("track")) == []
    assert json.loads(empty.label_studio())[0]["predictions"][0]["result"] == []


@pytest.mark.slow  # needs a peer that is in no extra
def test_label_studios_own_package_finds_the_same_boxes():
    video = pytest.importorskip(
        "label_studio_sdk._extensions.label_studio_tools.postprocessing.video",
        reason="the peer label-studio-sdk is not installed",
    )
    tracks, truth = collected()
    results = json.loads(tracks.label_studio())[0]["predictions"][0]["result"]
    for result in video.extract_key_frames(results):
        boxes = truth[int(result["id"].removeprefix("track-"))]
        shown = {key["frame"] - 1: key for key in result["value"]["sequence"]}
        assert set(shown) == set(boxes)
        for frame, (left, top, right, bottom) in boxes.items():
            key = shown[frame]
            got = [key["x"] * 6.4, key["y"] * 4.8, key["width"] * 6.4, key["height"] * 4.8]
            np.testing.assert_allclose(got, [left, top, right - left, bottom - top], atol=2.5)


@pytest.mark.slow  # as above
def test_datumaro_reads_what_cvat_gets(tmp_path):
    datumaro = pytest.importorskip("datumaro", reason="the peer datumaro is not installed")
    tracks, _ = collected()
    (tmp_path / "annotations.xml").write_text(tracks.cvat())
    (tmp_path / "images").mkdir()
    items = list(datumaro.Dataset.import_from(str(tmp_path), "cvat"))
    shown = [(item.attributes["frame"], one.attributes["track_id"]) for item in items for one in item.annotations]
    assert {(0, 1), (20, 1), (39, 1), (0, 7), (39, 7)} <= set(shown)
