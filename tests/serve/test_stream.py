"""``/v1/stream``: frames in, records out, the newest frame wins."""

import pytest
from servers import BOX, Gate, encoded, is_red, red_detector
from starlette.websockets import WebSocketDisconnect

from models import picture


def test_a_record_for_each_frame(client, red):
    with client.websocket_connect("/v1/stream?conf=0.5") as socket:
        for number in range(3):
            socket.send_bytes(red)
            record = socket.receive_json()
            assert record["frame"] == number
            assert is_red(record["detections"][0]["box"])


def test_the_newest_frame_wins(serving):
    gate = Gate()
    client = serving({"red": red_detector(gate)})
    with client.websocket_connect("/v1/stream") as socket:
        for size in range(100, 110):
            socket.send_bytes(encoded(picture(100, size, BOX)))
        while not gate.calls:
            pass
        gate.open.set()
        first, last = socket.receive_json(), socket.receive_json()
    assert first["width"] < 109 or first["frame"] == 9
    assert (last["frame"], last["width"]) == (9, 109) or first["frame"] == 9
    assert gate.calls <= 3


def test_a_frame_that_is_no_picture_does_not_end_the_stream(client, red):
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_bytes(b"no picture")
        assert socket.receive_json()["error"]["status"] == 415
        socket.send_bytes(red)
        assert len(socket.receive_json()["detections"]) == 1


def test_texts_end_it(client):
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_text("hello")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1003


@pytest.mark.parametrize("query", ["conf=7", "model=blue", "format=coco", "classes=unicorn"])
def test_what_cannot_be_asked_is_refused_at_once(client, query):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"/v1/stream?{query}"):
        pass


def test_streams_are_bounded(client, red, monkeypatch):
    monkeypatch.setattr("lucidbox.serve.streaming.MOST_STREAMS", 1)
    stream = client.websocket_connect
    with stream("/v1/stream"), pytest.raises(WebSocketDisconnect), stream("/v1/stream"):
        pass
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_bytes(red)
        assert socket.receive_json()["frame"] == 0


def test_keys_and_origins_hold_here_too(serving, red):
    client = serving(api_key="a-long-secret")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/stream"):
        pass
    key = {"X-API-Key": "a-long-secret"}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v1/stream", headers=key | {"Origin": "https://example.org"}),
    ):
        pass
    with client.websocket_connect("/v1/stream", headers=key) as socket:
        socket.send_bytes(red)
        assert socket.receive_json()["frame"] == 0
