"""``lucidbox track``: from a video, or boxes of a file, to counts and files; and whatever is wrong with either."""

import json
import re

import cv2
import numpy as np
import pytest

from conftest import TESTS
from lucidbox import Detector
from lucidbox.cli import main
from lucidbox.core.errors import SourceError
from lucidbox.engines import Prediction
from lucidbox.save.video import VideoSaver
from lucidbox.sources import Camera, Failure, Picture
from lucidbox.track import TRACKERS

GATE = ("--count-line", "gate=80,0,80,96")


class RedEngine:
    """Finds what is red in a video that was encoded with losses; is interrupted at a frame, if one is given."""

    name, precision = "red", "fp32"
    stop_at = None

    def __init__(self):
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        boxes, scores = np.zeros((len(images), 1, 4), np.float32), np.zeros((len(images), 1, 2), np.float32)
        for row, image in enumerate(images.astype(int)):
            red = (image[..., 0] > 150) & (image[..., 1:].max(axis=-1) < 120)
            if red.any():
                y, x = np.nonzero(red)
                boxes[row, 0], scores[row, 0] = (x.min(), y.min(), x.max() + 1, y.max() + 1), (0.1, 0.8)
        return Prediction(boxes, scores)


@pytest.fixture
def engine(monkeypatch):
    """The engine of every detector that the verb loads; frames are worked on one after the other."""
    made = RedEngine()

    def load(arguments, **settings):
        settings.pop("batch")
        detector = Detector(made, ("grey", "red"), size=(160, 160), workers=1)
        return Detector(made, detector.names, size=(160, 160), workers=1, limits=detector.limits_with(settings))

    monkeypatch.setattr("lucidbox.cli.track.inputs.load_detector", load)
    return made


@pytest.fixture
def track(engine, tmp_path, monkeypatch, capsys):
    """Function that runs ``lucidbox track`` in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main(["track", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def red_at(left, height=96, width=160):
    image = np.full((height, width, 3), 60, np.uint8)
    image[40:70, max(left, 0) : left + 24] = 230, 10, 10
    return image


@pytest.fixture
def film(tmp_path):
    """Function that writes a video in which a red box moves from left to right, at times of its own."""

    def write(name="road.mp4", frames=20, times=None, speed=150):
        with VideoSaver(tmp_path / name, 25, (160, 96)) as video:
            for frame in range(frames):
                seconds = frame / 25 if times is None else times[frame]
                video.write(red_at(10 + round(speed * seconds)), seconds)
        return tmp_path / name

    return write


def frames_in(path):
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while True:
        there, frame = reader.read()
        if not there:
            return frames
        frames.append(frame)


def test_everything_of_one_video(track, film, tmp_path):
    path = film()
    files = ("--json-file", "all.jsonl", "--mot", "tracks.txt", "--plot", "counts.png", "--save", "out")
    to = ("--to", "cvat=tracks.xml", "--to", "label-studio=tracks.json")
    code, out, err = track(path, *GATE, "--zone", "right=80,0,170,0,170,100,80,100", *files, *to)
    assert (code, err) == (0, "")
    assert re.search(r"road.mp4 0\.\d\d s: red #1 crossed gate to the left", out)
    assert "red #1 entered right" in out
    assert re.search(r"road.mp4: 20 frames, 0.76 s, tracks: red 1\n +line .*\n +gate +0 +1 +1\n", out)
    *records, last = map(json.loads, (tmp_path / "all.jsonl").read_text().splitlines())
    assert [record["frame"] for record in records] == list(range(20))
    assert {one["track"] for record in records for one in record["detections"]} == {1}
    assert [event["event"] for record in records for event in record["events"]] == ["crossed", "entered"]
    assert last["summary"]["lines"] == {"gate": {"right": 0, "left": 1}}
    assert last["summary"]["zones"]["right"]["inside"] == 1
    rows = np.loadtxt(tmp_path / "tracks.txt", delimiter=",")
    assert rows[-1, :2].tolist() == [20, 1]
    x, y, w, h = rows[-1, 2:6]
    assert np.allclose([x, y, w, h], [124, 40, 24, 30], atol=4)
    assert len(frames_in(tmp_path / "out" / "road.mp4")) == 20
    assert "<track" in (tmp_path / "tracks.xml").read_text()
    assert json.loads((tmp_path / "tracks.json").read_text())[0]["data"] == {"video": "road.mp4"}
    assert (tmp_path / "counts.png").read_bytes().startswith(b"\x89PNG")


def test_json_follows_the_schema(track, film):
    import jsonschema

    schema = json.loads((TESTS.parent / "docs" / "reference" / "predict.schema.json").read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    code, out, _ = track(film(), "gone.mp4", *GATE, "--zone", "z=0,0,70,0,70,96,0,96", "--json", "--no-draw")
    assert code == 1
    records = [json.loads(line) for line in out.splitlines()]
    for record in records:
        checker.validate(record)
    assert [list(record) for record in records][-2:] == [["source", "error"], ["source", "summary"]]


def test_times_and_dwell_are_those_of_the_frames(track, film, tmp_path):
    """Half a second is missing, as where a camera drops frames."""
    times = [frame / 25 + 0.5 * (frame > 8) for frame in range(20)]
    path = film(times=times, speed=60)
    code, out, _ = track(path, "--zone", "z=40,0,80,0,80,96,40,96", "--json", "--no-draw")
    events = [event for line in out.splitlines() for event in json.loads(line).get("events", [])]
    assert code == 0
    assert [event["event"] for event in events] == ["entered", "left"]
    assert events[1]["dwell"] == pytest.approx(events[1]["time"] - events[0]["time"], abs=2e-3)
    assert events[1]["dwell"] == pytest.approx(40 / 60, abs=0.02)


def test_each_video_has_its_own_counts_and_ids(track, film, tmp_path):
    film("in/a.mp4")
    film("in/b.mp4", frames=3)
    code, out, _ = track(tmp_path / "in", tmp_path / "in" / "a.mp4", *GATE, "--save", "out")
    assert code == 0
    assert [line.split()[1:4] for line in out.splitlines() if line.split()[:1] == ["gate"]] == [
        ["0", "1", "1"], ["0", "0", "0"], ["0", "1", "1"]
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-2.mp4", "a.mp4", "b.mp4"]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_tracker_counts_the_same(track, film, tracker):
    _, out, _ = track(film(), *GATE, "--tracker", tracker, "--no-draw")
    assert re.search(r"gate +0 +1 +1\n", out)


def test_help_names_every_tracker(capsys):
    with pytest.raises(SystemExit):
        main(["track", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in TRACKERS)


def test_interrupted_everything_is_whole(track, film, engine, tmp_path):
    engine.stop_at = 15
    to = ("--mot", "tracks.txt", "--plot", "counts.png", "--to", "cvat=tracks.xml")
    code, out, err = track(film(), *GATE, "--save", "out", "--json-file", "all.jsonl", *to)
    assert code == 130
    *records, last = map(json.loads, (tmp_path / "all.jsonl").read_text().splitlines())
    assert len(records) == len(frames_in(tmp_path / "out" / "road.mp4")) == last["summary"]["frames"] == 14
    assert np.loadtxt(tmp_path / "tracks.txt", delimiter=",")[-1, 0] == 14
    assert "</annotations>" in (tmp_path / "tracks.xml").read_text()
    assert (tmp_path / "counts.png").exists()
    assert "14 frames" in out
    assert err == "lucidbox: stopped; what was done so far stays\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "all.jsonl", "counts.png", "out", "road.mp4", "tracks.txt", "tracks.xml"
    ]  # fmt: skip


def test_a_camera_that_breaks_off_and_drops_frames(track, monkeypatch):
    def frames(self):
        for frame in (0, 1, 2, 3, 7, 8, 12, 13, 14):
            yield Picture(red_at(10 + 6 * frame), "camera:0", "camera-0", frame, frame / 25)
        yield Failure("camera:0", SourceError("camera:0: no more frames come, after 9"))

    monkeypatch.setattr(Camera, "live", False)  # so that none of these are dropped
    monkeypatch.setattr(Camera, "__iter__", frames)
    code, out, err = track("camera:0", *GATE, "--no-draw")
    assert code == 1
    assert "red #1 crossed gate to the left" in out
    assert "no more frames come" in err


def test_frames_of_changing_size(track, tmp_path, monkeypatch):
    def frames(self):
        for frame in range(14):
            image = red_at(10 + 6 * frame)
            image = image if frame < 8 else np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
            yield Picture(image, "camera:0", "camera-0", frame, frame / 25)

    monkeypatch.setattr(Camera, "live", False)
    monkeypatch.setattr(Camera, "__iter__", frames)
    code, out, _ = track("camera:0", *GATE, "--save", "out", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {(one["width"], one["height"]) for one in records[:-1]} == {(160, 96)}
    assert records[-1]["summary"]["lines"]["gate"] == {"right": 0, "left": 1}
    assert records[-1]["summary"]["tracks"] == {"red": 1}
    assert {frame.shape for frame in frames_in(tmp_path / "out" / "camera-0.mp4")} == {(96, 160, 3)}


def test_one_frame(track, film):
    code, out, err = track(film(frames=1), *GATE, "--no-draw")
    assert (code, err) == (0, "")
    assert "1 frames, 0.00 s" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to track; name a video or a camera"),
        (("gone.mp4",), "gone.mp4: no such file"),
        (("photo.jpg",), "photo.jpg: single pictures have no tracks"),
        (("broken.mp4",), "broken.mp4: .*no frames that can be decoded|broken.mp4: not a video"),
        (("road.mp4", "--tracker", "magic"), "tracker 'magic' is unknown; there are .*sort"),
        (("road.mp4", "--trails", "-1"), "--trails -1 is less than 0"),
        (
            ("road.mp4", "--count-line", "gate=500,0,500,90"),
            "gate: lies outside .*road.mp4, whose frames are 160×96",
        ),
        (("road.mp4", "--zone", "z=500,0,600,0,600,90"), "z: lies outside"),
        (("road.mp4", "--count-line", "gate=1,2,3"), "--count-line gate=1,2,3: 3 numbers; a line has four"),
        (("road.mp4", "--count-line", "1,2,3,4"), "--count-line 1,2,3,4: expected NAME=x1,y1,x2,y2"),
        (("road.mp4", "--count-line", "a=1,2,3,b"), "--count-line a=1,2,3,b: expected numbers"),
        (("road.mp4", "--count-line", "a=1,2,1,2"), "--count-line a=1,2,1,2: .*the same point"),
        (("road.mp4", "--count-line", "a=1,2,nan,2"), "--count-line a=1,2,nan,2: .*number of pixels"),
        (("road.mp4", "--zone", "z=1,2,3,4"), "--zone z=1,2,3,4: .*2 corners; a zone has three at least"),
        (("road.mp4", "--zone", "z=1,2,3,4,5"), "--zone z=1,2,3,4,5: 5 numbers; corners are pairs"),
        (("road.mp4", "--zone", "z=0,0,9,9,9,0,0,9"), "--zone z=.*: .*crosses or touches itself"),
        (("road.mp4", *GATE, "--zone", "gate=0,0,9,9,9,0"), "gate: two lines or zones have this name"),
        (("road.mp4", "--to", "word=a.doc"), "--to word=a.doc: expected TOOL=FILE, with one of the tools cvat"),
        (("road.mp4", "--to", "cvat"), "--to cvat: expected TOOL=FILE"),
        (("road.mp4", "--plot", "counts.xyz"), "counts.xyz: no form that can be drawn"),
        (("road.mp4", "road.mp4", "--mot", "m.txt"), "--mot holds the tracks of one video, and here are 2"),
        (("road.mp4", "--mot", "photo.jpg", "--no-draw"), "photo.jpg: exists already"),
        (("road.mp4", "--fps", "25"), "--fps is of MOT text"),
        (("road.mp4", "--detections", "det.txt"), "tracks without pictures; leave road.mp4 out"),
        (("--detections", "det.txt", "--weights", "a.pt"), "--weights means nothing with --detections"),
        (("--detections", "det.txt", "--engine", "torch"), "--engine means nothing with --detections"),
        (("--detections", "det.txt", "--max-labels", "0"), "--max-labels means nothing with --detections"),
        (("--detections", "det.txt", "--fps", "0"), "--fps 0: expected frames a second, 0.001 to 1e\\+06"),
        (("--detections", "gone.txt"), "gone.txt: cannot be read"),
        (("--detections", "words.txt"), "words.txt: line 1"),
        (("--detections", "det.txt", "--to", "cvat=a.xml"), "--to .*size"),
        (("--detections", "det.txt", "--classes", "dog"), "dog"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(track, film, tmp_path, arguments, message):
    film()
    cv2.imwrite(str(tmp_path / "photo.jpg"), red_at(10))
    (tmp_path / "broken.mp4").write_bytes((tmp_path / "road.mp4").read_bytes()[:300])
    (tmp_path / "det.txt").write_text("1,-1,10,10,20,20,0.9,-1,-1,-1\n")
    (tmp_path / "words.txt").write_text("these are words\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = track(*arguments)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert re.match(f"lucidbox: error: .*({message})", line), line
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_line_outside_a_later_video_is_told_and_the_rest_goes_on(track, film, tmp_path):
    film("a.mp4")
    with VideoSaver(tmp_path / "b.mp4", 25, (64, 32)) as video:
        for frame in range(3):
            video.write(np.zeros((32, 64, 3), np.uint8), frame / 25)
    code, out, err = track("a.mp4", "b.mp4", *GATE, "--no-draw")
    assert code == 1
    assert "b.mp4: 3 frames" in out
    assert "gate: lies outside" in err


def test_pictures_among_videos_are_refused_and_the_videos_tracked(track, film, tmp_path):
    film()
    cv2.imwrite(str(tmp_path / "photo.jpg"), red_at(10))
    code, out, err = track(tmp_path, "--no-draw")
    assert code == 1
    assert "single pictures have no tracks" in err
    assert "road.mp4: 20 frames" in out


MOT = [f"{frame},-1,{10 + 6 * frame},40,24,30,0.9,-1,-1,-1" for frame in range(1, 21)]


def test_mot_text_with_gaps_ids_and_odd_scores(track, tmp_path):
    lines = [line for row, line in enumerate(MOT) if row not in (7, 8)]
    (tmp_path / "det.txt").write_text("\n".join(lines))
    code, out, err = track("--detections", "det.txt", "--fps", "5", *GATE, "--json", "--mot", "m.txt")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert "note" not in err
    assert [record["frame"] for record in records[:-1]] == list(range(20))
    assert records[7]["detections"] == []
    assert records[19]["time"] == pytest.approx(19 / 5)
    assert records[-1]["summary"]["tracks"] == {"object": 1}
    assert "width" not in records[0]
    (tmp_path / "odd.txt").write_text(
        "\n".join(line.replace(",-1,1", ",5,1", 1).replace("0.9", "-7") for line in lines)
    )
    code, _, err = track("--detections", "odd.txt")
    assert code == 0
    assert "scores from -7 to -7 are no probabilities; all count as 1" in err
    assert "the ids in the file are passed over" in err


def test_a_gap_of_millions_of_frames_takes_no_time(track, tmp_path, monkeypatch):
    monkeypatch.setattr("lucidbox.track.boxes._LONGEST_GAP", 50)
    (tmp_path / "det.txt").write_text("\n".join([*MOT, "900000000,-1,10,40,24,30,0.9,-1,-1,-1"]))
    code, out, _ = track("--detections", "det.txt")
    assert code == 0
    assert "71 frames" in out
    assert "came meanwhile" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,0,0,5,5,0.9\n1,1,9,9,5,5,0.9\n", "line 2: track 1 is in frame 1 already"),
        ("1,1,0,0,5\n", "line 1: 5 columns"),
        ("0,1,0,0,5,5,0.9\n", "line 1: frame 0: frames of MOT text are numbered from 1"),
        ("1,1,0,0,nan,5,0.9\n", "line 1: nan is not a finite number"),
        ("", "no boxes"),
        ('{"source": "a", "width": 4}\n', "no record of a frame"),
        ('{"frame": 0, "detections": [], "time": 0, "width": 4, "height": 4}\n{"frame"', "line 2: not valid JSON"),
    ],
)
def test_a_file_of_boxes_that_is_wrong_is_one_line(track, tmp_path, text, message):
    (tmp_path / "det.txt").write_text(text)
    code, out, err = track("--detections", "det.txt", "--mot", "m.txt")
    assert (code, out) == (2, "")
    assert re.search(f"error: .*det.txt: {message}", err)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "m.txt").exists()


def test_boxes_of_predict_give_the_same_tracks_as_the_video(track, film, tmp_path):
    path = film()
    track(path, *GATE, "--no-draw", "--mot", "video.txt", "--json-file", "frames.jsonl")
    code, _, err = track(
        "--detections", "frames.jsonl", *GATE, "--mot", "boxes.txt", "--conf", "0.5", "--classes", "red"
    )
    assert code == 0
    assert "1 records that are not of frames of videos were passed over" in err
    one, other = (np.loadtxt(tmp_path / name, delimiter=",") for name in ("video.txt", "boxes.txt"))
    # frames.jsonl holds tracked boxes alone: what came before an object had an id is not in it.
    assert set(map(tuple, other[:, [0, 2, 3, 4, 5]].round(1))) <= set(map(tuple, one[:, [0, 2, 3, 4, 5]].round(1)))
    code, out, _ = track("--detections", "frames.jsonl", "--conf", "0.99")
    assert "tracks: none" in out
