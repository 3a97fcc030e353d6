"""The Open Inference Protocol: JSON and binary tensors, what breaks them, and Triton's own client."""

import asyncio
import base64
import json

import numpy as np
import pytest
from servers import BOX, EXAMPLES, is_red

from lucidbox import Detector
from models import picture

INFER = "/v2/models/red/infer"
FILES = sorted(EXAMPLES.glob("*.jpg"))


def image_input(content):
    return {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(content).decode()]}


def pixels_input(pixels, **changes):
    return {
        "name": "pixels",
        "datatype": "UINT8",
        "shape": [1, *pixels.shape],
        "data": pixels.ravel().tolist(),
    } | changes


def outputs_of(answer):
    assert answer.status_code == 200, answer.text
    return {entry["name"]: entry["data"] for entry in answer.json()["outputs"]}


def binary_body(document, *parts):
    header = json.dumps(document).encode()
    return {"content": header + b"".join(parts), "headers": {"Inference-Header-Content-Length": str(len(header))}}


def test_a_file_and_its_pixels_get_the_same_in_json(client, red):
    pixels = picture(120, 160, BOX)
    inputs = [image_input(red), pixels_input(pixels), pixels_input(pixels, data=pixels[None].tolist())]
    found = [outputs_of(client.post(INFER, json={"inputs": [one], "id": "7"})) for one in inputs]
    assert found[0] == found[1] == found[2]
    assert found[0]["labels"] == ["red"]
    assert found[0]["classes"] == [1]
    assert is_red(found[0]["boxes"])
    answer = client.post("/v2/models/red/versions/1/infer", json={"inputs": inputs[:1], "id": "7"}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "red", "1")


def test_binary_tensors(client, red):
    element = len(red).to_bytes(4, "little") + red
    document = {
        "inputs": [
            {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(element)}}
        ],
        "outputs": [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "boxes"}],
    }
    answer = client.post(INFER, **binary_body(document, element))
    length = int(answer.headers["inference-header-content-length"])
    labels, boxes = json.loads(answer.content[:length])["outputs"]
    assert labels["parameters"] == {"binary_data_size": 7}
    assert answer.content[length:] == b"\x03\0\0\0red"
    assert boxes["shape"] == [1, 4]
    assert is_red(boxes["data"])


def test_limits_are_parameters_of_the_request(client, red):
    for parameters, count in (({"conf": 0.9}, 0), ({"classes": "blue"}, 0), ({"conf": 0.7, "agnostic": True}, 1)):
        found = outputs_of(client.post(INFER, json={"inputs": [image_input(red)], "parameters": parameters}))
        assert len(found["scores"]) == count
        assert np.array(found["boxes"]).size == 4 * count


def test_metadata_and_health(client):
    assert client.get("/v2").json()["name"] == "lucidbox"
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models").json() == {"models": ["red"]}
    for path in ("/v2/models/red", "/v2/models/red/versions/1"):
        metadata = client.get(path).json()
        assert metadata["versions"] == ["1"]
        assert [entry["name"] for entry in metadata["outputs"]] == ["boxes", "scores", "classes", "labels"]
        assert client.get(f"{path}/ready").json() == {"name": "red", "ready": True}
    for path in ("/v2/models/blue", "/v2/models/red/versions/2", "/v2/models/red/versions/2/ready"):
        assert client.get(path).status_code == 404
        assert isinstance(client.get(path).json()["error"], str)


SMALL = np.zeros((2, 3, 3), np.uint8)
SIZED = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 3, 3], "parameters": {"binary_data_size": 18}}


@pytest.mark.parametrize(
    "given",
    [
        pixels_input(SMALL, shape=[1, 3, 3, 3]),
        pixels_input(SMALL, shape=[2, 3, 3]),
        pixels_input(SMALL, shape=[1, 2, 3, -3]),
        pixels_input(SMALL, shape="1,2,3,3"),
        pixels_input(SMALL, shape=[1, 2, 3, 3.0]),
        pixels_input(SMALL, shape=[True, 2, 3, 3]),
        pixels_input(SMALL, shape=[2, 2, 3, 3]),
        pixels_input(SMALL, datatype="FP32"),
        pixels_input(SMALL, datatype=None),
        pixels_input(SMALL, name="images"),
        pixels_input(SMALL, name=["pixels"]),
        pixels_input(SMALL, data=[0] * 17),
        pixels_input(SMALL, data=[0.5] * 18),
        pixels_input(SMALL, data=[256] * 18),
        pixels_input(SMALL, data=[-1] * 18),
        pixels_input(SMALL, data=["a" * 1000] * 18),
        pixels_input(SMALL, data=[[0] * 9, [0] * 8]),
        pixels_input(SMALL, data={"a": 1}),
        pixels_input(SMALL, parameters={"shared_memory_region": "x"}),
        pixels_input(SMALL, parameters=[1]),
        {**image_input(b"x"), "data": ["no base64!"]},
        {**image_input(b"x"), "data": [5]},
        {**image_input(b"x"), "shape": [2]},
        {"name": "image", "datatype": "BYTES", "shape": [1]},
        "pixels",
    ],
    ids=str,
)
def test_tensors_of_wrong_shape_type_or_length(client, given):
    answer = client.post(INFER, json={"inputs": [given]})
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"inputs": []}, 400),
        ({"inputs": [SIZED]}, 400),
        ({"inputs": [pixels_input(SMALL)] * 2}, 400),
        ({"inputs": [pixels_input(SMALL)], "outputs": [{"name": "masks"}]}, 400),
        ({"inputs": [pixels_input(SMALL)], "outputs": [{"name": "boxes"}, {"name": "boxes"}]}, 400),
        ({"inputs": [pixels_input(SMALL)], "outputs": "boxes"}, 400),
        (
            {"inputs": [pixels_input(SMALL)], "outputs": [{"name": "boxes", "parameters": {"classification": 3}}]},
            400,
        ),
        ({"inputs": [pixels_input(SMALL)], "parameters": {"sequence_id": 5}}, 400),
        ({"inputs": [pixels_input(SMALL)], "parameters": {"conf": 7}}, 422),
        ({"inputs": [pixels_input(SMALL)], "parameters": {"binary_data_output": 1}}, 400),
        ({"inputs": [pixels_input(SMALL)], "id": 5}, 400),
        ({"inputs": [pixels_input(SMALL, shape=[1, 20_000, 20_000, 3])]}, 413),
        ({"inputs": [image_input(b"no picture")]}, 415),
    ],
    ids=lambda value: str(value)[:60],
)
def test_requests_that_break_the_protocol(client, document, status):
    answer = client.post(INFER, json=document)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("length", ["5", "99999", "-1", "x", "", "1e3", "9" * 30])
def test_a_binary_header_that_lies(client, length):
    sent = binary_body({"inputs": [SIZED]}, bytes(18))
    sent["headers"]["Inference-Header-Content-Length"] = length
    assert client.post(INFER, **sent).status_code == 400


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        (SIZED, bytes(17)),
        (SIZED, bytes(19)),
        ({**SIZED, "parameters": {"binary_data_size": 17}}, bytes(17)),
        ({**SIZED, "parameters": {"binary_data_size": -18}}, bytes(18)),
        ({**SIZED, "parameters": {"binary_data_size": "18"}}, bytes(18)),
        ({**SIZED, "data": [0] * 18}, bytes(18)),
        ({"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 3}}, b"\0\0\0"),
        (
            {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}},
            b"\5\0\0\0abcd",
        ),
    ],
)
def test_binary_data_of_another_length_than_stated(client, entry, data):
    assert client.post(INFER, **binary_body({"inputs": [entry]}, data)).status_code == 400


@pytest.mark.thorough
def test_tritons_client(bundled_server):
    """Unchanged: metadata, health, pixels and files, JSON and binary; arrays equal to the detector's own."""
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    detector = Detector.load()
    with triton.InferenceServerClient(bundled_server.url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("yolo11n")
        assert client.is_model_ready("yolo11n", "1")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "lucidbox"
        assert client.get_model_metadata("yolo11n")["inputs"][0]["name"] == "pixels"
        for file in FILES:
            found = detector(file)
            for tensors in inputs_of(triton, file):
                for outputs in (None, [triton.InferRequestedOutput("boxes", binary_data=False)]):
                    answer = client.infer("yolo11n", tensors, outputs=outputs)
                    assert np.array_equal(answer.as_numpy("boxes"), found.boxes)
                    if outputs is None:
                        assert np.array_equal(answer.as_numpy("scores"), found.scores)
                        assert np.array_equal(answer.as_numpy("classes"), found.classes)
                        assert [label.decode() for label in answer.as_numpy("labels")] == found.labels
        with pytest.raises(triton.InferenceServerException, match="not a picture"):
            client.infer("yolo11n", inputs_of(triton, None)[0])


@pytest.mark.slow  # needs a peer that is in no extra
def test_kserves_client(bundled_server):
    """Unchanged, both protocols. Its package wants older libraries than ours: it has an environment of its own."""
    kserve = pytest.importorskip("kserve", reason="kserve is not installed")

    async def ask(url, content, found):
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, "yolo11n")
        for data, binary in ((content, True), (base64.b64encode(content), False)):
            tensor = kserve.InferInput("image", [1], "BYTES")
            tensor.set_data_from_numpy(np.array([data], np.object_), binary_data=binary)
            answer = await client.infer(url, kserve.InferRequest("yolo11n", [tensor]), model_name="yolo11n")
            assert np.array_equal(np.asarray(answer.outputs[0].as_numpy()).reshape(-1, 4), found.boxes)
        first = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1"))
        instances = {"instances": [{"image": {"b64": base64.b64encode(content).decode()}}]}
        answer = await first.infer(url, instances, model_name="yolo11n")
        assert answer["predictions"][0]["detections"] == found.to_dicts()

    asyncio.run(ask(bundled_server.url, FILES[0].read_bytes(), Detector.load()(FILES[0])))


def inputs_of(triton, file):
    """A file as BYTES, and its pixels as UINT8, in binary and in JSON."""
    from lucidbox.images.reading import read_image

    content = file.read_bytes() if file else b"text"
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([content], dtype=np.object_))
    if file is None:
        return [[image]]
    pixels = read_image(file)[None]
    made = [[image]]
    for binary in (True, False) if file == FILES[0] else (True,):
        tensor = triton.InferInput("pixels", pixels.shape, "UINT8")
        tensor.set_data_from_numpy(pixels, binary_data=binary)
        made.append([tensor])
    return made
