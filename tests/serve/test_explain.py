"""``POST /v1/explain``: why a box is there, why none is, and what cannot be explained."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from servers import BOX, EXAMPLES, encoded, is_red

from explainable import know_few_shares
from lucidbox import Detector
from lucidbox.explain import Masking, explain
from models import picture

URL = "/v1/explain?masks=40"
STREET = EXAMPLES / "street.jpg"


@pytest.fixture(autouse=True)
def few_shares(monkeypatch):
    know_few_shares(monkeypatch)


def test_why_this_box_without_torch(client, red):
    answer = client.post(URL, files={"file": ("red.png", red)}, data={"box": "1"}).json()
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["heat"]["png"]))))
    assert (answer["method"], answer["detection"]["label"]) == ("drise", "red")
    assert is_red(answer["detection"]["box"])
    assert heat.shape == (120, 160)
    assert heat.dtype == np.uint8
    assert heat.max() == 255
    assert set(answer["figures"]) == {
        "inside", "area", "pointing", "deletion", "insertion", "beyond_place", "randomised", "suspicious",
    }  # fmt: skip
    assert answer["verdict"]
    assert answer["words"][0].startswith("red 0.75: why this box?")


def test_the_map_is_that_of_the_library(client, red):
    from servers import red_detector

    answer = client.post(URL + "&heat=npy", content=red).json()
    detector, pixels = red_detector(), picture(120, 160, BOX)
    own = explain(detector, pixels, detector(pixels)[0], method="drise", masking=Masking(masks=40))
    assert np.array_equal(np.load(io.BytesIO(base64.b64decode(answer["heat"]["npy"]))), own.heatmap)


def test_why_not(client, red):
    answer = client.post(URL, content=red, params={"masks": 4, "at": "40, 30, 90, 80", "class": "blue"}).json()
    near = answer["near"]
    assert near[0]["iou"] > 0.9
    assert near[0]["best"] == "red"
    assert any("not above 0.25" in line for line in answer["words"])
    assert answer["detection"]["label"] == "blue"


def test_the_drawn_panel(client, red):
    answer = client.post(URL, content=red, headers={"Accept": "image/png"})
    assert Image.open(io.BytesIO(answer.content)).size[0] > 3 * 160


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("box=2", 404, "box 2 does not exist: there are 1"),
        ("box=0", 404, "box 0"),
        ("conf=0.9", 404, "nothing was detected"),
        ("method=odam", 422, "cannot follow this model's network; there are drise"),
        ("method=lime", 422, "method 'lime' is unknown"),
        ("at=1,2,3&class=red", 400, "give four numbers"),
        ("at=1,2,3,x&class=red", 400, "not a number"),
        ("at=9,9,2,2&class=red", 422, "left < right"),
        ("at=500,500,600,600&class=red", 422, "outside the picture"),
        ("at=1,2,30,40", 422, "with class"),
        ("class=red", 422, "with class"),
        ("at=1,2,30,40&class=red&box=1", 422, "give box=N, or at"),
        ("at=1,2,30,40&class=unicorn", 422, "unicorn"),
        ("masks=0", 422, "masks"),
        ("masks=100000", 422, "masks"),
        ("heat=jpeg", 422, "heat"),
        ("model=blue", 404, "no model"),
        ("layer=own", 400, "unknown parameter"),
    ],
)
def test_questions_that_have_no_answer(client, red, query, status, words):
    answer = client.post(f"/v1/explain?{query}", content=red)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_one_picture_at_a_time(client, red):
    answer = client.post("/v1/explain", files=[("file", ("a.png", red)), ("file", ("b.png", red))])
    assert answer.status_code == 422
    assert client.post("/v1/explain", content=b"text").status_code == 415


def test_switched_off(serving, red):
    client = serving(explain=False)
    assert client.get("/v1/models").json()["models"][0]["explain"] is False
    assert client.post("/v1/explain", content=red).status_code == 404


def test_kserve_explains_instances(client, red):
    image = {"b64": base64.b64encode(red).decode()}
    body = {
        "instances": [
            {"image": image, "masks": 4},
            {"image": image, "masks": 4, "at": [40, 30, 90, 80], "class": 0},
        ]
    }
    answer = client.post("/v1/models/red:explain", json=body).json()
    first, second = answer["explanations"]
    assert first["detection"]["label"] == "red"
    assert second["near"]
    assert client.get("/v1/models/red").json() == {"name": "red", "ready": True}


@pytest.mark.thorough
@pytest.mark.extended
def test_gradients_where_there_is_a_network(serving):
    pytest.importorskip("torch")
    client = serving({"bundled": Detector.load()}, timeout=100)
    methods = client.get("/v1/models").json()["models"][0]["methods"]
    assert methods[0] == "odam-box"
    assert "search" not in methods  # a client would wait too long
    assert "drise" in methods
    answer = client.post("/v1/explain", content=STREET.read_bytes()).json()
    assert answer["method"] == "odam-box"
    assert answer["layers"]
    assert answer["figures"]["randomised"] is not None
    small = encoded(np.zeros((64, 64, 3), np.uint8))
    missed = client.post("/v1/explain?method=eigencam&at=1,1,60,60&class=dog", content=small).json()
    assert missed["near"]
    assert missed["detection"]["label"] == "dog"
