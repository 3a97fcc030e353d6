"""``--tiles`` in predict and evaluate."""

import json

import numpy as np
import pytest
from PIL import Image

from lucidbox import Detector
from lucidbox.cli import main
from models import RedFinder, picture

BOXES = [(40, 60, 46, 66), (300, 310, 312, 316), (200, 200, 290, 300)]
"""In images of 400x400, for a network of 128 pixels: two small objects and a large one."""


@pytest.fixture
def red(monkeypatch, tmp_path):
    """A detector that finds red in place of the one that options name, and images with one object each."""
    detector = Detector(RedFinder(), ("blue", "red"), size=(128, 128))
    monkeypatch.setattr(Detector, "load", classmethod(lambda cls, *given, **options: detector))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for row, box in enumerate(BOXES):
        Image.fromarray(picture(400, 400, box)).save(tmp_path / "images" / f"{row}.png")
        images.append({"id": row, "file_name": f"{row}.png", "width": 400, "height": 400})
        size = box[2] - box[0], box[3] - box[1]
        annotations.append(
            {
                "id": row + 1,
                "image_id": row,
                "category_id": 1,
                "bbox": [*box[:2], *size],
                "area": size[0] * size[1],
            }
        )
    categories = [{"id": 1, "name": "red"}]
    (tmp_path / "truth.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return detector


def run(capsys, *arguments):
    try:
        code = main([str(one) for one in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_predict_in_tiles(red, capsys):
    code, out, _ = run(capsys, "predict", "images", "--tiles", "128", "--json", "--no-draw")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    # In the image as a whole, at a third of its size, the small ones have not this place.
    assert [tuple(record["detections"][0]["box"]) for record in records[:2]] == BOXES[:2]
    assert [len(record["detections"]) for record in records[:2]] == [1, 1]


def evaluate(capsys, *options):
    return run(capsys, "evaluate", "--annotations", "truth.json", "--images", "images", "--weights", *options)


def test_tiles_help_with_small_objects(red, capsys):
    code, out, err = evaluate(capsys, "--tiles", "auto", "--compare-tiles", "--bootstrap", "50")
    assert code == 0
    assert err.count("blue") == 1
    assert "tiled is better than whole (50 paired resamples of 3 pictures)" in out
    assert "cost: 17.0 views a picture instead of 1; from letterbox to boxes " in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith("AP")}
    assert list(rows) == ["AP", "AP50", "AP75", "APs", "APm"]
    assert float(rows["APs"][2]) > 0.9 > float(rows["APs"][1])


def test_the_comparison_as_json_is_two_evaluations(red, capsys):
    code, out, _ = evaluate(capsys, "--tiles", "128", "--compare-tiles", "--bootstrap", "50", "--json")
    document = json.loads(out)
    whole = json.loads(evaluate(capsys, "--json")[1])
    tiled = json.loads(evaluate(capsys, "--tiles", "128", "--json", "--batch", "3")[1])
    assert code == 0
    assert document["verdict"] == "better"
    assert (document["tiles"], document["size"], document["overlap"]) == ("128", [128, 128], 0.2)
    assert (document["cost"]["images"], document["cost"]["views"]) == (3, 51)
    for side, alone in (("first", whole), ("second", tiled)):
        for number in document[side]:
            assert number["value"] == pytest.approx(alone[number["name"]], abs=1e-12)


def test_tiles_that_change_nothing_end_with_3(red, capsys):
    code, out, _ = evaluate(capsys, "--tiles", "500", "--compare-tiles", "--bootstrap", "50")
    assert code == 3
    assert "no difference that these pictures could show" in out
    assert "cost: 1.0 views a picture" in out


def test_an_unread_image_of_a_comparison_is_told(red, capsys, tmp_path):
    (tmp_path / "images" / "2.png").write_bytes(b"broken")
    code, _, err = evaluate(capsys, "--tiles", "128", "--compare-tiles", "--bootstrap", "50")
    assert code == 1
    assert "2.png" in err
    assert "1 images could not be read" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--compare-tiles",), "--compare-tiles needs --tiles"),
        (("--tiles", "some"), "tiles 'some': give auto"),
        (("--tiles", "128", "--tile-overlap", "1"), "tile overlap 1 is not a share"),
        (("--tile-overlap", "0.2"), "a tile overlap without tiles has no meaning"),
        (("--tiles", "128", "--missed"), "--missed has no meaning with --tiles"),
        (("--tiles", "128", "--explain-gap"), "--explain-gap has no meaning with --tiles"),
        (("--tiles", "128", "--compare-tiles", "--per-class"), "--per-class has no meaning with --compare-tiles"),
    ],
)
def test_options_of_evaluate_that_cannot_be(red, capsys, options, words):
    code, out, err = evaluate(capsys, *options)
    assert (code, out) == (2, "")
    assert words in err
    assert red.engine.shapes == []


def test_tiles_need_a_model(red, capsys):
    given = ("--annotations", "truth.json", "--predictions", "found.json")
    code, _, err = run(capsys, "evaluate", *given, "--compare-tiles")
    assert code == 2
    assert "--compare-tiles runs a model and needs --weights" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tiles", "0"), "tiles of 0 pixels are too small"),
        (("--tiles", "128", "--tile-overlap", "1.5"), "tile overlap 1.5 is not a share"),
        (("--tile-overlap", "0.3"), "without tiles has no meaning"),
        (
            ("--tiles", "auto", "--reduced-decoding", "--no-draw"),
            "--reduced-decoding leaves no pixels for --tiles",
        ),
    ],
)
def test_options_of_predict_that_cannot_be(red, capsys, options, words):
    code, out, err = run(capsys, "predict", "images", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "\n" not in err.strip()


def test_an_image_with_too_many_tiles_fails_and_the_rest_is_done(red, capsys, tmp_path):
    Image.fromarray(np.zeros((3000, 3000, 3), np.uint8)).save(tmp_path / "images" / "large.png")
    options = ("--tiles", "32", "--tile-overlap", "0.4", "--no-draw", "--json")
    code, out, err = run(capsys, "predict", "images/large.png", "images/0.png", *options)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert "large.png: 24964 tiles of 32,32 pixels in an image of 3000x3000; at most 4095 are taken" in err
    assert "error" in records[0]
    assert records[1]["detections"][0]["box"] == pytest.approx(BOXES[0], abs=1)
