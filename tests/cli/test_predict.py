"""``lucidbox predict`` as its users run it."""

import io
import json
import re

import cv2
import numpy as np
import onnx
import pytest
from PIL import Image

from lucidbox import Detections, Detector
from lucidbox.cli.detection_report import describe_detections


@pytest.fixture
def film(tmp_path):
    """A twelve-frame video at 6 frames a second."""
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 6.0, (160, 96))
    noise = np.random.default_rng(0)
    for _ in range(12):
        writer.write(noise.integers(0, 256, (96, 160, 3), dtype=np.uint8))
    writer.release()
    return path


def test_one_picture_a_line_and_a_drawn_copy(predict, noise, tmp_path):
    path = noise()
    code, out, err = predict(path)
    assert (code, err) == (0, "")
    assert re.match(rf"{re.escape(str(path))} 160x96: (\w+ \d+(, )?)+, [\d.]+ ms\n", out)
    assert "saved in runs/predict" in out
    drawn = np.asarray(Image.open(tmp_path / "runs" / "predict" / "noise.png"))
    assert drawn.shape == (96, 160, 3)
    assert (drawn != np.asarray(Image.open(path))).any()


def test_default_folders_are_numbered_and_never_overwritten(predict, noise, tmp_path):
    path = noise()
    for _ in range(3):
        predict(path)
    assert sorted(folder.name for folder in (tmp_path / "runs").iterdir()) == ["predict", "predict-2", "predict-3"]


def test_a_folder_that_holds_something_is_left_alone(predict, noise, tmp_path):
    mine = tmp_path / "out" / "noise.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, out, _ = predict(noise(), "--save", tmp_path / "out")
    assert code == 0
    assert mine.read_text() == "mine"
    assert (tmp_path / "out-2" / "noise.png").exists()
    assert "out-2" in out


def test_json_lines_on_standard_output_and_words_on_standard_error(predict, noise):
    path = noise()
    code, out, err = predict(path, "--json", "--no-draw")
    record = json.loads(out)
    assert code == 0
    assert list(record) == ["source", "width", "height", "detections", "milliseconds"]
    assert (record["source"], record["width"], record["height"]) == (str(path), 160, 96)
    assert list(record["detections"][0]) == ["box", "score", "class", "label"]
    assert "160x96" in err


def test_json_equals_python(predict, noise, small_onnx):
    path = noise()
    _, out, _ = predict(path, "--json", "--no-draw", "--conf", "0.3")
    found = Detector.load(small_onnx, precision="fp32", conf=0.3)(path)
    assert json.loads(out)["detections"] == found.to_dicts()


def test_json_file_holds_the_same_lines(predict, noise, tmp_path):
    noise("many/a.png")
    noise("many/b.png", seed=1)
    code, out, _ = predict(tmp_path / "many", "--json-file", tmp_path / "found.jsonl", "--no-draw")
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    assert code == 0
    assert [json.loads(line)["source"].rsplit("/", 1)[1] for line in lines] == ["a.png", "b.png"]
    assert "2 pictures" in out


def test_text_and_crops(predict, noise, tmp_path):
    path = noise()
    predict(path, "--txt", "--crops", "--no-draw", "--max-det", "3", "--save", tmp_path / "out")
    lines = (tmp_path / "out" / "labels" / "noise.txt").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        index, *numbers = line.split()
        assert int(index) in (0, 1, 2)
        assert len(numbers) == 5
        assert all(0 <= float(number) <= 1 for number in numbers)
    crops = list((tmp_path / "out" / "crops").rglob("*.jpg"))
    assert len(crops) == 3
    assert {crop.parent.name for crop in crops} <= {"red", "green", "blue"}
    assert not (tmp_path / "out" / "noise.png").exists()


def test_pictures_of_one_name_do_not_overwrite_each_other(predict, noise, tmp_path):
    predict(noise("a/same.png"), noise("b/same.png"), noise("b/same.jpg"), "--save", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_recursive_folders_keep_their_shape(predict, noise, tmp_path):
    noise("tree/one.png")
    noise("tree/deep/two.png")
    _, out, _ = predict(tmp_path / "tree", "--save", tmp_path / "flat")
    assert "two.png" not in out
    predict(tmp_path / "tree", "--recursive", "--save", tmp_path / "out")
    assert (tmp_path / "out" / "one.png").exists()
    assert (tmp_path / "out" / "deep" / "two.png").exists()


def test_a_video_gives_a_video_and_frames_with_times(predict, film, tmp_path):
    code, out, _ = predict(film, "--json", "--video-stride", "3", "--save", tmp_path / "out")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [record["frame"] for record in records] == [0, 3, 6, 9]
    assert [record["time"] for record in records] == pytest.approx([0, 0.5, 1.0, 1.5], abs=1e-3)
    made = cv2.VideoCapture(str(tmp_path / "out" / "film.mp4"))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert made.get(cv2.CAP_PROP_FPS) == pytest.approx(2)


def test_two_videos_and_a_picture(predict, film, noise, tmp_path):
    copy = tmp_path / "again" / "film.mp4"
    copy.parent.mkdir()
    copy.write_bytes(film.read_bytes())
    code, _, _ = predict(film, copy, noise(), "--save", tmp_path / "out", "--video-stride", "6", "--txt")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["film-2.mp4", "film.mp4", "labels", "noise.png"]
    labels = tmp_path / "out" / "labels"
    assert sorted(path.relative_to(labels).as_posix() for path in labels.rglob("*.txt")) == [
        "film-2/0.txt", "film-2/6.txt", "film/0.txt", "film/6.txt", "noise.txt",
    ]  # fmt: skip


def test_standard_input(predict, noise, monkeypatch):
    class Standard:
        buffer = io.BytesIO(noise().read_bytes())

    monkeypatch.setattr("sys.stdin", Standard())
    code, out, _ = predict("-", "--json", "--no-draw")
    assert code == 0
    assert json.loads(out)["source"] == "-"


def test_classes_by_name_and_number(predict, noise):
    _, out, _ = predict(noise(), "--json", "--no-draw", "--classes", "red,2")
    assert {entry["label"] for entry in json.loads(out)["detections"]} <= {"red", "blue"}


def test_batches_answer_as_single_pictures(predict, noise, tmp_path):
    for index in range(5):
        noise(f"many/{index}.png", height=96 + 64 * (index % 2), seed=index)
    alone = [
        json.loads(line)["detections"]
        for line in predict(tmp_path / "many", "--json", "--no-draw")[1].splitlines()
    ]
    batched = [
        json.loads(line)["detections"]
        for line in predict(tmp_path / "many", "--json", "--no-draw", "--batch", "3")[1].splitlines()
    ]
    for one, other in zip(alone, batched, strict=True):
        assert [entry["label"] for entry in one] == [entry["label"] for entry in other]
        assert np.abs(np.array([entry["box"] for entry in one]) - [entry["box"] for entry in other]).max() < 0.05


def test_exif_turned_pictures_give_the_boxes_of_the_upright_one(predict, noise, tmp_path):
    upright = Image.open(noise(height=96, width=160))
    # How a camera that writes this orientation has turned the upright picture, in Pillow's numbering.
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright.save(tmp_path / "1.png")
    for orientation, way in turned.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.transpose(Image.Transpose(way)).save(tmp_path / f"{orientation}.png", exif=exif)
    _, out, _ = predict(*[tmp_path / f"{index}.png" for index in range(1, 9)], "--json", "--no-draw")
    records = [json.loads(line) for line in out.splitlines()]
    assert all((record["width"], record["height"]) == (160, 96) for record in records)
    assert len(records[0]["detections"]) > 0
    for record in records[1:]:
        assert record["detections"] == records[0]["detections"], record["source"]


def test_chinese_names_reach_json_words_and_drawing(small_onnx, predict, noise, tmp_path):
    from lucidbox.export.variants import with_metadata  # brings torch

    model = tmp_path / "named.onnx"
    names = json.dumps(["红灯", "绿灯", "蓝灯"])
    onnx.save(with_metadata(onnx.load(small_onnx), {"names": names}), model)
    code, out, err = predict(noise(), "--json", weights=model)
    assert code == 0
    assert "灯" in json.loads(out)["detections"][0]["label"]
    assert "灯" in err


def test_version_and_doctor(capsys):
    from lucidbox import __version__
    from lucidbox.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"lucidbox {__version__}\n"
    assert main(["doctor"]) == 0
    assert "openvino: the fastest that is installed" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings["engine"] == "openvino"
    assert findings["precision"] in ("bf16", "fp32")
    assert findings["packages"]["numpy"] == np.__version__


def test_doctor_says_how_a_model_is_run(tmp_path, capsys):
    from dressing import dress
    from lucidbox.cli import main
    from lucidbox.model_files.bundled import ONNX

    theirs = tmp_path / "theirs.onnx"
    dress(ONNX, theirs, "yolox", sides=(96, 128), bgr=True, scale=1.0)
    assert main(["doctor", "--weights", str(theirs)]) == 0
    shown = capsys.readouterr().out
    assert "layout       yolox" in shown
    assert "because" in shown
    assert main(["doctor", "--weights", str(theirs), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert (findings["weights"]["layout"]["kind"], findings["precision"]) == ("yolox", "fp32")
    assert main(["doctor", "--weights", str(ONNX), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["layout"] is None
    assert main(["doctor", "--layout", "yolox"]) == 2
    assert "--weights FILE" in capsys.readouterr().err


def found(*scores_and_classes, names=("person", "traffic/light", "人")):
    scores, classes = np.array(scores_and_classes, np.float64).reshape(-1, 2).T
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (len(scores), 1))
    return Detections(boxes, scores.astype(np.float32), classes.astype(int), names)


def test_describe_counts_classes_best_first():
    assert describe_detections(found((0.9, 2), (0.8, 0), (0.7, 2))) == "人 2, person 1"
    assert describe_detections(found((0.1, 0), (0.8, 1))) == "traffic/light 1, person 1"
    assert describe_detections(found()) == "no objects"


def test_describe_cannot_steer_a_terminal():
    assert describe_detections(found((0.9, 0), names=("\x1b[2Jred\n",))) == "[2Jred 1"
    assert describe_detections(found((0.9, 0), names=("\x07",))) == "#0 1"
