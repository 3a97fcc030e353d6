"""``POST /v1/detect``: the very records of ``predict --json``, and the shapes that other clients parse."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from servers import EXAMPLES, red_detector

from lucidbox.cli import main
from lucidbox.core.errors import OptionError
from lucidbox.serve import app


@pytest.fixture
def bundled_client(serving, bundled_detector):
    return serving({"bundled": bundled_detector})


@pytest.fixture(scope="module")
def files():
    return sorted(EXAMPLES.glob("*.jpg"))


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


def predicted(files, capsys, *options):
    """The records that ``lucidbox predict --json`` prints."""
    assert main(["predict", *map(str, files), "--json", "--no-draw", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_raw_body_gets_the_record_of_predict(bundled_client, files, capsys):
    for file, record in zip(files, predicted(files, capsys), strict=True):
        answer = bundled_client.post("/v1/detect", content=file.read_bytes())
        assert answer.status_code == 200
        assert list(answer.json()) == list(record)
        assert without(answer.json(), "source", "milliseconds") == without(record, "source", "milliseconds")
        assert answer.json()["source"] == "-"


def test_several_files_get_several_records(bundled_client, files, capsys):
    records = predicted(files, capsys, "--conf", "0.1", "--classes", "person,0,car")
    parts = [("file", (file.name, file.read_bytes(), "image/jpeg")) for file in files]
    answer = bundled_client.post("/v1/detect", params={"conf": 0.1, "classes": "person,0,car"}, files=parts)
    results = answer.json()["results"]
    assert [result["source"] for result in results] == [file.name for file in files]
    assert [without(one, "source", "milliseconds") for one in results] == [
        without(one, "source", "milliseconds") for one in records
    ]


def test_parameters_may_be_fields_of_the_form(bundled_client, files):
    content = files[-1].read_bytes()
    by_query = bundled_client.post("/v1/detect?conf=0.05&max_det=3", content=content).json()
    by_form = bundled_client.post(
        "/v1/detect", files={"file": ("a.jpg", content)}, data={"conf": "0.05", "max_det": "3"}
    ).json()
    assert by_form["detections"] == by_query["detections"]
    assert len(by_form["detections"]) == 3


def test_fields_of_the_form_go_before_the_address(client, red):
    files = {"file": ("a.png", red)}
    assert client.post("/v1/detect?conf=0.9", files=files, data={"conf": "0.5"}).json()["detections"]


def test_coco_is_a_result_file(bundled_client, bundled_detector, files):
    parts = [("file", (file.name, file.read_bytes(), "image/jpeg")) for file in files[:2]]
    answer = bundled_client.post("/v1/detect?format=coco", files=parts).json()
    assert answer == [entry for row, file in enumerate(files[:2]) for entry in bundled_detector(file).to_coco(row)]


def test_yolo_is_text(bundled_client, bundled_detector, files):
    answer = bundled_client.post("/v1/detect?format=yolo", content=files[0].read_bytes())
    width, height = Image.open(io.BytesIO(files[0].read_bytes())).size
    rows = [[float(number) for number in line.split()] for line in answer.text.splitlines()]
    found = bundled_detector(files[0])
    left, top, right, bottom = found.boxes.T
    expected = np.stack([(left + right) / 2 / width, (top + bottom) / 2 / height], axis=1)
    assert answer.headers["content-type"].startswith("text/plain")
    assert np.abs(np.array(rows)[:, 1:3] - expected).max() < 1e-6


def test_ultralytics_shape(bundled_client, bundled_detector, files):
    answer = bundled_client.post("/v1/detect?format=ultralytics", content=files[0].read_bytes()).json()
    (image,) = answer["images"]
    assert [set(one) for one in image["results"]] == [{"class", "name", "confidence", "box"}] * len(
        image["results"]
    )
    for one, own in zip(image["results"], bundled_detector(files[0]).to_dicts(), strict=True):
        assert [one["box"][side] for side in ("x1", "y1", "x2", "y2")] == own["box"]
        assert (one["class"], one["name"], one["confidence"]) == (own["class"], own["label"], own["score"])


def test_roboflow_boxes_have_their_centre(bundled_client, bundled_detector, files):
    answer = bundled_client.post("/v1/detect?format=roboflow", content=files[0].read_bytes()).json()
    assert answer["image"] == dict(
        zip(("width", "height"), Image.open(io.BytesIO(files[0].read_bytes())).size, strict=True)
    )
    for one, own in zip(answer["predictions"], bundled_detector(files[0]).to_dicts(), strict=True):
        left, right = one["x"] - one["width"] / 2, one["x"] + one["width"] / 2
        assert [round(left, 2), round(right, 2)] == pytest.approx([own["box"][0], own["box"][2]], abs=0.0051)
        assert (one["class_id"], one["class"], one["confidence"]) == (own["class"], own["label"], own["score"])


@pytest.mark.parametrize(("accept", "kind"), [("*/*", "JPEG"), ("image/png", "PNG")])
def test_annotate_draws(client, red, accept, kind):
    answer = client.post("/v1/detect?annotate=1", content=red, headers={"Accept": accept})
    drawn = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    assert drawn.format == kind
    assert drawn.size == Image.open(io.BytesIO(red)).size


def test_time_of_each_stage_and_the_request_id_are_headers(client, red):
    answer = client.post("/v1/detect", content=red, headers={"X-Request-Id": "mine-1"})
    names = [part.partition(";")[0].strip() for part in answer.headers["server-timing"].split(",")]
    assert names == ["queue", "decode", "inference"]
    assert answer.headers["x-request-id"] == "mine-1"
    odd = client.post("/v1/detect", content=red, headers={"X-Request-Id": "a b;c"})
    assert odd.headers["x-request-id"] not in ("a b;c", "")


def test_models_say_what_is_served(client):
    answer = client.get("/v1/models").json()
    (model,) = answer["models"]
    assert answer["default"] == "red"
    assert "street.jpg" in answer["examples"]
    assert (model["name"], model["classes"], model["size"]) == ("red", ["blue", "red"], [160, 160])
    assert model["conf"] == 0.25
    assert model["explain"]
    assert model["methods"] == ["drise"]


def test_several_models(serving, red):
    client = serving({"first": red_detector(), "second.v2": red_detector()})
    assert client.post("/v1/detect", content=red).status_code == 200
    assert client.post("/v1/detect?model=second.v2", content=red).status_code == 200
    missing = client.post("/v1/detect?model=third", content=red)
    assert missing.status_code == 404
    assert "first, second.v2" in missing.json()["error"]["message"]


@pytest.mark.parametrize("name", ["a/b", "", "..", "ü", "a:predict", "x" * 101])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name):
    with pytest.raises(OptionError):
        app({name: red_detector()})


def test_every_request_is_logged_and_counted(serving, red):
    log = []
    client = serving(log=log.append)
    client.post("/v1/detect", content=red, headers={"X-Request-Id": "seen"})
    client.post("/v1/detect", content=b"no picture")
    client.get("/nothing/here")
    assert [(one["path"], one["status"], one["model"]) for one in log] == [
        ("/v1/detect", 200, "red"),
        ("/v1/detect", 415, "red"),
        ("/nothing/here", 404, None),
    ]
    assert log[0]["request_id"] == "seen"
    assert log[0]["bytes"] > 0
    assert json.dumps(log)
    text = client.get("/metrics").text
    for line in (
        'lucidbox_requests_total{code="200",model="red",route="/v1/detect"} 1.0',
        'lucidbox_requests_total{code="415",model="red",route="/v1/detect"} 1.0',
        'lucidbox_requests_total{code="404",model="",route="other"} 1.0',
        'lucidbox_request_seconds_count{route="/v1/detect"} 2.0',
        'lucidbox_queue_seconds_count{model="red"} 1.0',
        'lucidbox_inference_seconds_count{model="red"} 1.0',
        "lucidbox_in_flight 1.0",
    ):
        assert line in text.splitlines()
    assert "process_resident_memory_bytes" in text
