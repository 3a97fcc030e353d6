"""``lucidbox evaluate --weights``: a model over annotated pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from lucidbox.cli import main

BOXES = {1: [[10, 10, 60, 40]], 2: [[30, 20, 50, 50], [90, 30, 40, 40]], 3: []}


@pytest.fixture
def data(tmp_path):
    """Three pictures of noise, and made-up annotations of the small network's classes."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for image_id, boxes in BOXES.items():
        values = np.random.default_rng(image_id).integers(0, 256, (96, 160, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / "images" / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": 160, "height": 96})
        for box in boxes:
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": 5, "bbox": box,
                 "area": box[2] * box[3], "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": 5, "name": "red"}, {"id": 7, "name": "green"}, {"id": 9, "name": "blue"}]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return tmp_path


@pytest.fixture
def evaluate(data, small_onnx, capsys):
    """Function that runs the verb on that data: exit code, standard output, standard error."""

    def run(*options, annotations=data / "instances.json", images=data / "images"):
        given = [] if images is None else ["--images", str(images)]
        arguments = [
            "--annotations",
            str(annotations),
            "--weights",
            str(small_onnx),
            *given,
            "--precision",
            "fp32",
        ]
        try:
            code = main(["evaluate", *arguments, *map(str, options)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_table_and_what_was_missed(evaluate):
    code, out, err = evaluate("--missed")
    assert (code, err) == (0, "")
    assert "Average Precision" in out
    assert "objects that no detection was matched with at IoU 0.5" in out


def test_json_without_a_file_name_goes_to_standard_output(evaluate):
    code, out, _ = evaluate("--missed", "--explain-gap", "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document)[:6] == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    assert document["gap"][-1]["name"] == "classes kept apart by shifting boxes"
    for entry in document["missed"]:
        assert entry["image_id"] in BOXES
        assert entry["label"] == "red"


def test_saved_predictions_score_the_same(evaluate, data, capsys):
    _, out, _ = evaluate("--json", "--save-predictions", data / "found.json")
    arguments = [
        "--annotations",
        str(data / "instances.json"),
        "--predictions",
        str(data / "found.json"),
        "--json",
    ]
    assert main(["evaluate", *arguments]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {key: again[key] for key in ("AP", "AP50", "AR100")} == {
        key: json.loads(out)[key] for key in ("AP", "AP50", "AR100")
    }


def test_batches_take_every_picture(evaluate):
    assert evaluate("--batch", "2", "--json")[0] == 0
    code, _, err = evaluate("--batch", "0")
    assert code == 2
    assert "batch 0" in err


def test_an_unreadable_picture_costs_its_own_objects_and_exit_code_1(evaluate, data):
    (data / "images" / "2.png").write_bytes(b"broken")
    code, out, err = evaluate("--json", "--missed")
    assert code == 1
    assert err.startswith("lucidbox: error: ")
    assert "2.png" in err
    # Its two objects are not found, and cannot be traced.
    assert json.loads(out)["AP"] >= 0
    lost = [entry for entry in json.loads(out)["missed"] if entry["image_id"] == 2]
    assert [(entry["reason"], entry["score"]) for entry in lost] == [("unread", None)] * 2
    assert "2  its picture could not be read" in evaluate("--missed")[1]


def test_missing_pictures_are_bad_input(evaluate, data):
    (data / "images" / "3.png").unlink()
    code, out, err = evaluate()
    assert (code, out) == (2, "")
    assert "1 of 3 pictures" in err
    assert "3.png" in err


def test_pictures_must_be_named(evaluate):
    code, _, err = evaluate(images=None)
    assert code == 2
    assert "--weights needs --images" in err


def test_a_model_of_other_classes_is_refused(evaluate, data):
    document = json.loads((data / "instances.json").read_text())
    document["categories"] = [{"id": 500, "name": "helmet"}]
    for entry in document["annotations"]:
        entry["category_id"] = 500
    (data / "other.json").write_text(json.dumps(document))
    code, _, err = evaluate(annotations=data / "other.json")
    assert code == 2
    assert "category" in err


def test_a_yolo_data_set_is_its_own_folder_of_pictures(evaluate, data, tmp_path, capsys):
    assert main(["data", "convert", str(data / "instances.json"), str(tmp_path / "yolo"), "--to", "yolo",
                 "--images", str(data / "images")]) == 0  # fmt: skip
    capsys.readouterr()
    code, out, _ = evaluate("--json", annotations=tmp_path / "yolo" / "data.yaml", images=None)
    assert code == 0
    expected = json.loads(evaluate("--json")[1])
    assert json.loads(out)["AP50"] == pytest.approx(expected["AP50"])


@pytest.mark.filterwarnings("ignore")
def test_a_hugging_face_data_set_is_matched_by_its_own_numbers(evaluate, data, tmp_path):
    datasets = pytest.importorskip("datasets")
    import pyarrow
    from pyarrow import parquet

    features = datasets.Features({"image_id": datasets.Value("int64"), "image": datasets.Image()})
    rows = [
        {
            "image_id": image_id,
            "image": {"bytes": (data / "images" / f"{image_id}.png").read_bytes(), "path": None},
        }
        for image_id in (3, 1, 2)
    ]
    (tmp_path / "hub").mkdir()
    parquet.write_table(
        pyarrow.Table.from_pylist(rows, schema=features.arrow_schema), tmp_path / "hub" / "val-00000.parquet"
    )
    code, out, err = evaluate("--json", images=f"hf:{tmp_path / 'hub'}")
    assert code == 0, err
    assert json.loads(out)["AP"] == json.loads(evaluate("--json")[1])["AP"]
    assert evaluate("--missed", images=f"hf:{tmp_path / 'hub'}")[0] == 2


@pytest.mark.parametrize("option", [["--missed"], ["--images", "x"], ["--size", "320"]])
def test_options_that_run_a_model_need_one(option, data, capsys):
    (data / "none.json").write_text("[]")
    code = main(["evaluate", "--annotations", str(data / "instances.json"), "--predictions",
                 str(data / "none.json"), *option])  # fmt: skip
    assert code == 2
    assert "needs --weights" in capsys.readouterr().err


def renamed(data, name, new_name):
    """Annotations in which a category is called otherwise."""
    document = json.loads((data / "instances.json").read_text())
    for category in document["categories"]:
        category["name"] = new_name if category["name"] == name else category["name"]
    path = data / f"{new_name}.json"
    path.write_text(json.dumps(document))
    return path


def test_classes_in_common_are_evaluated_and_the_others_told(evaluate, data):
    path = renamed(data, "green", "helmet")
    code, out, err = evaluate("--json", annotations=path)
    assert code == 0
    assert "lacks 1 classes of the model" in err
    assert "left out: green" in err
    assert "cannot find, the categories: helmet" in err
    assert json.loads(out)["AP"] == json.loads(evaluate("--json")[1])["AP"]
    assert evaluate("--subset")[0] == 2


def test_objects_of_classes_the_model_lacks_are_among_the_missed(evaluate, data):
    code, out, _ = evaluate("--missed", "--json", annotations=renamed(data, "red", "helmet"))
    assert code == 0
    assert [entry["reason"] for entry in json.loads(out)["missed"]] == ["no class"] * 3
    table = evaluate("--missed", annotations=renamed(data, "red", "helmet"))[1]
    assert "3 objects that no detection was matched with" in table
    assert "3  the model does not have its class" in table


def test_all_the_model_finds_is_saved_and_can_be_counted(evaluate, data, monkeypatch):
    """A hundred and fifty boxes of one class in a picture: the protocol counts 100 of them."""
    from lucidbox.core.detections import Detections
    from lucidbox.validate import model_run

    corners = np.arange(150, dtype=np.float32)[:, None] * np.float32(0.1) + np.array([0, 0, 5, 5], np.float32)
    found = Detections(corners, np.linspace(0.9, 0.1, 150, dtype=np.float32), np.zeros(150, int), ("red", "green"))
    monkeypatch.setattr(model_run, "_exact_detections", lambda predictor, raw: found)
    code, out, _ = evaluate("--json", "--save-predictions", data / "saved.json")
    assert code == 0
    assert json.loads(out)["detections"] == len(json.loads((data / "saved.json").read_text())) == 450


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--explain-gap", "--max-detections", "5"], "--max-detections has no meaning with --explain-gap"),
        (["--rule", "notebook", "--missed"], "--missed has no meaning with --rule notebook"),
        (["--errors", "--class-agnostic"], "--class-agnostic has no meaning with --errors"),
        (["--missed", "--iou-thresholds", "0.75"], "--missed looks at IoU 0.5"),
        (["--bootstrap", "1"], "at least 2"),
        (["--images", "nowhere"], "no such folder of pictures"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_model_is_loaded(evaluate, options, message, monkeypatch):
    from lucidbox import Detector

    monkeypatch.setattr(Detector, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    code, _, err = evaluate(*options)
    assert code == 2
    assert message in err


def test_missed_objects_are_traced_in_the_same_batches(evaluate, monkeypatch):
    from lucidbox.validate import inference

    groups = []
    raw_predictions = inference.raw_predictions

    def watched(predictor, given):
        kept = list(given)
        groups.append([[image_id for image_id, _ in group] for group in kept])
        return raw_predictions(predictor, kept)

    monkeypatch.setattr(inference, "raw_predictions", watched)
    assert evaluate("--missed", "--batch", "2")[0] == 0
    detecting, tracing = groups
    assert len(tracing) >= 1
    assert all(group in detecting for group in tracing)
    assert any(len(group) == 2 for group in tracing)
