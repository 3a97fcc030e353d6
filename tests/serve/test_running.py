"""``lucidbox serve`` as a process: start, signals, connections, keys in files."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from servers import EXAMPLES

from lucidbox.cli import main

STREET = EXAMPLES / "street.jpg"
pytestmark = pytest.mark.thorough  # most start a process


def asked(url, data=None, headers=None):
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def received(connection, seconds=30):
    """All that comes until the other side closes."""
    connection.settimeout(seconds)
    parts = []
    with contextlib.suppress(ConnectionError):  # of what was never read, such as an endless header
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def head(length, extra=""):
    return f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{extra}\r\n".encode()


def test_sigterm_answers_what_is_in_hand_and_ends_with_0(server, capsys):
    running = server()
    content = STREET.read_bytes()
    answers = []
    clients = [
        threading.Thread(target=lambda: answers.append(asked(f"{running.url}/v1/detect", content)))
        for _ in range(8)
    ]
    upload = socket.create_connection(("127.0.0.1", running.port))
    upload.sendall(head(len(content), "Connection: close\r\n") + content[:1000])
    for client in clients:
        client.start()
    while asked(f"{running.url}/metrics")[1].count(b"lucidbox_in_flight 1.0"):
        time.sleep(0.01)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    status, body = asked(f"{running.url}/v2/health/ready")  # an upload is in hand: it still listens
    assert status == 503
    assert json.loads(body) == {"ready": False}
    upload.sendall(content[1000:])
    assert received(upload).startswith(b"HTTP/1.1 ")
    upload.close()
    for client in clients:
        client.join()
    code, log = running.stop()
    assert code == 0
    assert len(answers) == 8
    assert {status for status, _ in answers} <= {200, 503}
    assert sum(one["path"] == "/v1/detect" for one in log) == 9


def test_ctrl_c_ends_with_0_and_streams_do_not_hold_it(server):
    websockets = pytest.importorskip("websockets.sync.client")
    running = server()
    with websockets.connect(running.url.replace("http", "ws") + "/v1/stream") as stream:
        stream.send(STREET.read_bytes())
        assert json.loads(stream.recv())["detections"]
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
    assert "Traceback" not in running.process.stderr.read()


def test_what_is_cut_off_makes_it_1(server):
    running = server("--grace", "0.5")
    upload = socket.create_connection(("127.0.0.1", running.port))
    upload.sendall(head(1000) + b"x")
    time.sleep(0.3)
    code, _ = running.stop()  # waits for less than the grace it would have without that option
    assert code == 1
    upload.close()


def test_connections_are_bounded_and_idle_ones_give_way(server):
    running = server("--connections", "20")
    idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(200)]
    for one in idle[::3]:
        one.sendall(b"GET /v1/models HTTP/1.1\r\nHo")
    assert asked(f"{running.url}/v1/detect", STREET.read_bytes())[0] == 200
    for one in idle:
        one.close()
    assert running.stop()[0] == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\0" * 1000,
    ],
    ids=["TLS", "two lengths", "broken chunks", "long header", "no WebSocket key", "zeros"],
)
def test_what_is_no_http(bundled_server, sent):
    with socket.create_connection(("127.0.0.1", bundled_server.port)) as connection:
        with contextlib.suppress(OSError):  # refused, and closed, before all of it was sent
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert not answer or answer[9:12] in (b"400", b"403", b"426", b"431")
    assert asked(f"{bundled_server.url}/v2/health/ready")[0] == 200


def test_malformed_websocket_frames_end_the_stream_only(bundled_server):
    greeting = (
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for frame in (b"\x82\x05hello", b"\xff\xff\xff\xff", b"\x82\xff" + b"\xff" * 8 + b"mask", b"\x8f\x80mask"):
        with socket.create_connection(("127.0.0.1", bundled_server.port)) as connection:
            connection.sendall(greeting)
            assert connection.recv(65536).startswith(b"HTTP/1.1 101")
            with contextlib.suppress(OSError):  # the stream may have been closed already
                connection.sendall(frame)
                connection.shutdown(socket.SHUT_WR)
            received(connection)
    assert asked(f"{bundled_server.url}/v2/health/ready")[0] == 200


def test_a_large_upload_gets_its_answer(bundled_server):
    """413 comes before the body has been sent, and the connection is not torn from under it."""
    status, body = asked(f"{bundled_server.url}/v1/detect", bytes(70 * 2**20))
    assert status == 413
    assert b"67108864" in body


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_as_documented(bundled_server, tmp_path):
    def curl(*arguments):
        command = ["curl", "--silent", "--show-error", "--fail", *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=60, cwd=EXAMPLES).stdout

    url = bundled_server.url
    raw = json.loads(curl("--data-binary", "@street.jpg", f"{url}/v1/detect?conf=0.4"))
    assert raw["source"] == "-"
    form = json.loads(
        curl("-F", "file=@street.jpg", "-F", "file=@pizza.jpg", "-F", "conf=0.4", f"{url}/v1/detect")
    )
    assert form["results"][0]["detections"] == raw["detections"]
    assert [result["source"] for result in form["results"]] == ["street.jpg", "pizza.jpg"]
    drawn = curl("--data-binary", "@street.jpg", f"{url}/v1/detect?annotate=1")
    assert drawn.startswith(b"\xff\xd8\xff")
    why = json.loads(
        curl("-F", "file=@street.jpg", "-F", "box=1", "-F", "method=drise", "-F", "masks=8", f"{url}/v1/explain")
    )
    assert why["detection"] == raw["detections"][0]


def test_answers_are_sent_without_delay():
    """asyncio turns Nagle's algorithm off for sockets that state their protocol; else answers take 40 ms more."""
    from lucidbox.serve.running import bound_socket

    with bound_socket("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_a_port_in_use(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"--port {port}: address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "--port 99999"),
        (["--host", "no such host"], "--host no such host"),
        (["--weights", "a=missing.onnx"], "missing.onnx"),
        (["--queue", "-1"], "queue -1 is less than 0"),
        (["--timeout", "nan"], "timeout nan"),
        (["--allow-origin", "*"], "origin '*'"),
        (["--api-key-file", "missing.txt"], "--api-key-file missing.txt: no such file"),
        (["--weights", "a=x.onnx", "--weights", "b=y.onnx", "--name", "c"], "--name is for one model"),
    ],
)
def test_usage(arguments, words, capsys):
    assert main(["serve", "--port", "0", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_keys_in_files(tmp_path, capsys):
    file = tmp_path / "key"
    for content in ("", "short", "two words of it", "x" * 20 + "\nsecond line"):
        file.write_text(content)
        file.chmod(0o600)
        assert main(["serve", "--port", "0", "--api-key-file", str(file)]) == 2
        assert "give one line" in capsys.readouterr().err


def test_a_key_that_others_can_read_is_warned_of(server, tmp_path):
    file = tmp_path / "key"
    file.write_text("a-long-secret\n")
    file.chmod(0o644)
    running = server("--api-key-file", str(file))
    assert any("can be read by others" in line for line in running.lines)
    assert asked(f"{running.url}/v1/models")[0] == 401
    assert asked(f"{running.url}/v1/models", headers={"X-API-Key": "a-long-secret"})[0] == 200
    code, log = running.stop()
    assert code == 0
    assert "a-long-secret" not in json.dumps(log) + "".join(running.lines)


def test_other_addresses_without_a_key_are_warned_of(server):
    running = server("--host", "0.0.0.0")
    assert any("everybody who reaches this address" in line for line in running.lines)


@pytest.mark.extended
def test_models_have_names(server):
    from lucidbox.model_files import bundled

    running = server("--weights", f"one={bundled.ONNX}", "--weights", str(bundled.ONNX), "--no-explain")
    models = json.loads(asked(f"{running.url}/v1/models")[1])
    assert [model["name"] for model in models["models"]] == ["one", "yolo11n"]
    assert models["default"] == "one"
    assert not any(model["explain"] for model in models["models"])
