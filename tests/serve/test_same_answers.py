"""The same answers through every route and form, bit for bit, on real pictures; and under concurrent clients."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from servers import EXAMPLES

from lucidbox.core.parallel import cores

MODEL = "bundled"


@pytest.fixture(scope="module")
def pictures():
    folder = EXAMPLES.parents[1] / "shared" / "data" / "coco-val-150"
    files = sorted((folder if folder.exists() else EXAMPLES).rglob("*.jpg"))
    return [file.read_bytes() for file in files]


@pytest.fixture
def client(serving, bundled_detector):
    return serving({MODEL: bundled_detector}, queue=100)


def ways(client, content):
    """The detections of one picture through every route and form, as records have them."""
    text = base64.b64encode(content).decode()
    yield client.post("/v1/detect", content=content).json()["detections"]
    yield client.post("/v1/detect", files={"file": content}).json()["detections"]
    instances = {"instances": [{"image": {"b64": text}}, text]}
    for record in client.post(f"/v1/models/{MODEL}:predict", json=instances).json()["predictions"]:
        yield record["detections"]


def tensors(client, content):
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(content).decode()]}
    answer = client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [image]}).json()
    boxes, scores, classes, labels = (entry["data"] for entry in answer["outputs"])
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), classes, labels


def check(client, detector, content):
    found = detector(content)
    for records in ways(client, content):
        assert records == found.to_dicts()
    boxes, scores, classes, labels = tensors(client, content)
    assert np.array_equal(boxes, found.boxes)
    assert np.array_equal(scores, found.scores)
    assert (classes, labels) == (found.classes.tolist(), found.labels)


def test_every_route_one_after_another(client, bundled_detector, pictures):
    for content in pictures[:8]:
        check(client, bundled_detector, content)


def test_several_clients_at_once(client, bundled_detector, pictures):
    expected = [bundled_detector(content).to_dicts() for content in pictures[:24]]
    with ThreadPoolExecutor(4 * cores()) as threads:
        answers = threads.map(lambda content: client.post("/v1/detect", content=content).json(), pictures[:24])
        assert [answer["detections"] for answer in answers] == expected


@pytest.mark.slow
def test_all_pictures_through_every_route(client, bundled_detector, pictures):
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(lambda content: check(client, bundled_detector, content), pictures))) > 0


@pytest.mark.thorough
def test_the_stream_gives_them_too(client, bundled_detector, pictures):
    with client.websocket_connect("/v1/stream") as socket:
        for content in pictures[:8]:
            socket.send_bytes(content)
            assert json.loads(socket.receive_text())["detections"] == bundled_detector(content).to_dicts()
