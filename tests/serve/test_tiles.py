"""``tiles`` and ``tile_overlap`` as parameters: the very answers of the detector's own call."""

import pytest
from servers import BOX, Gate, encoded, red_detector

from lucidbox import Detector
from models import RedFinder, picture

IMAGE = picture(300, 400, BOX)


def small_detector(**options):
    return Detector(RedFinder(), ("blue", "red"), size=(128, 128), **options)


@pytest.mark.parametrize("options", [{}, {"batch": 4}])
def test_the_answer_of_a_call(serving, options):
    detector, expected = small_detector(**options), small_detector()(IMAGE, tiles=128, tile_overlap=0.3)
    client = serving({"red": detector})
    for query in ("tiles=128&tile_overlap=0.3", "tiles=128,128&tile_overlap=.3"):
        answer = client.post(f"/v1/detect?{query}", content=encoded(IMAGE)).json()
        assert [one["box"] for one in answer["detections"]] == [one["box"] for one in expected.to_dicts()]
    assert sum(shape[0] for shape in detector.engine.shapes) == 2 * (1 + 5 * 3)
    assert max(shape[0] for shape in detector.engine.shapes) == options.get("batch", 1)


def test_as_fields_of_a_form_and_in_a_stream(serving):
    client = serving({"red": small_detector()})
    expected = small_detector()(IMAGE, tiles="auto").to_dicts()
    sent = {"file": ("a.png", encoded(IMAGE))}
    assert client.post("/v1/detect", files=sent, data={"tiles": "auto"}).json()["detections"] == expected
    with client.websocket_connect("/v1/stream?tiles=auto") as socket:
        socket.send_bytes(encoded(IMAGE))
        assert socket.receive_json()["detections"] == expected


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("tiles=many", 422, "tiles 'many': give auto"),
        ("tiles=", 422, "tiles ''"),
        ("tiles=1", 422, "too small"),
        ("tiles=128&tile_overlap=1", 422, "tile overlap 1"),
        ("tiles=128&tile_overlap=x", 400, "tile_overlap 'x' is not a number"),
        ("tile_overlap=0.2", 422, "without tiles has no meaning"),
        ("tiles=32&tile_overlap=0.96", 422, "tiles of 32,32 pixels in an image of 400x300"),
    ],
)
def test_what_cannot_be_is_refused(client, query, status, words):
    answer = client.post(f"/v1/detect?{query}", content=encoded(IMAGE))
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_tiles_end_when_nobody_waits_for_the_answer(serving):
    gate = Gate()
    client = serving({"red": red_detector(gate)}, timeout=0.3)
    assert client.post("/v1/detect?tiles=64", content=encoded(IMAGE)).status_code == 503
    gate.open.set()
    # The next request is answered; of the tiles before it one inference had begun.
    assert client.post("/v1/detect", content=encoded(IMAGE)).status_code == 200
    assert gate.calls == 2
