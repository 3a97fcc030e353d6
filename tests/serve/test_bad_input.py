"""What strangers send: every one gets an answer that says why, in the right status, and nothing else."""

import base64
import json
import struct
import zlib

import pytest
from servers import red_detector

from models import RedFinder


def png_header(width, height):
    """A PNG that states this size, and has one byte of compressed pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"\0")]
    framed = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def message(answer):
    """The words of an error, which every error has; nothing of our code is in them."""
    error = answer.json()["error"]
    text = error if isinstance(error, str) else error["message"]
    assert "Traceback" not in text
    assert ".py" not in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"just some text", 415),
        (b"\0" * 5000, 415),
        (b"\0\0\0\x18ftypheic" + b"\0" * 100, 415),
        (png_header(20_000, 20_000), 413),
        (png_header(0, 5), 422),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, 422),
    ],
    ids=["nothing", "text", "zeros", "HEIC", "20000² pixels", "no pixels", "half a JPEG"],
)
def test_what_is_no_picture(client, content, status):
    answer = client.post("/v1/detect", content=content)
    assert answer.status_code == status
    assert message(answer)
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_one_bad_file_of_several_is_named(client, red):
    answer = client.post("/v1/detect", files=[("file", ("good.png", red)), ("file", ("bad.png", b"text"))])
    assert answer.status_code == 415
    assert message(answer).startswith("bad.png: ")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("conf=7", 422, "conf 7.0 is not between 0 and 1"),
        ("conf=nan", 400, "conf 'nan' is not a number"),
        ("conf=", 400, "is not a number"),
        ("iou=-0.1", 422, "iou"),
        ("iou=1_0", 400, "is not a number"),
        ("max_det=0", 422, "max_det"),
        ("max_det=1.5", 400, "is not a whole number"),
        ("max_det=" + "9" * 5000, 400, "is not a whole number"),
        ("classes=unicorn", 422, "'unicorn' is not in the model"),
        ("classes=99", 422, "class 99"),
        ("agnostic=maybe", 400, "agnostic"),
        ("model=other", 404, "there is no model 'other'"),
        ("format=xml", 422, "there are lucidbox, coco"),
        ("annotate=1&format=coco", 422, "annotate"),
        ("confidence=0.5", 400, "unknown parameter 'confidence'"),
        ("conf=0.2&conf=0.3", 400, "given twice"),
        ("conf=%ff", 400, "malformed"),
        ("api_key=secret", 400, "unknown parameter"),
    ],
)
def test_parameters(client, red, query, status, words):
    answer = client.post(f"/v1/detect?{query}", content=red)
    assert answer.status_code == status
    assert words in message(answer)


def form(*parts, boundary=b"x", end=b"--x--\r\n"):
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=" + boundary.decode()}}


FIELD = b'Content-Disposition: form-data; name="conf"\r\n\r\n0.5'


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (form(FIELD), 400, "no field 'file'"),
        (form(FIELD, end=b""), 400, "the closing boundary is missing"),
        (form(), 400, "the form is empty"),
        (form(b"no header at all"), 400, "a part has no header"),
        (form(b"X: y\r\n\r\nabc"), 400, "no Content-Disposition"),
        (form(b"Content-Disposition: attachment\r\n\r\nabc"), 400, "no form-data with a name"),
        (form(*[FIELD] * 10_000), 413, "more than 200 parts"),
        (
            form(b'Content-Disposition: form-data; name="' + b"n" * 9000 + b'"\r\n\r\nx'),
            400,
            "a part has no header",
        ),
        (form(b'Content-Disposition: form-data; name="conf"\r\n\r\n' + b"0" * 9000), 400, "too long"),
        (form(b'Content-Disposition: form-data; name="conf"\r\n\r\n\xff\xfe'), 400, "no UTF-8"),
        ({"content": b"abc", "headers": {"Content-Type": "multipart/form-data"}}, 400, "no boundary"),
        (
            {"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "closing boundary",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_forms(client, sent, status, words):
    answer = client.post("/v1/detect", **sent)
    assert answer.status_code == status
    assert words in message(answer)


def test_a_body_is_refused_before_it_is_read(serving):
    client = serving(max_bytes=1000)
    stated = client.post("/v1/detect", content=b"x", headers={"Content-Length": "314572800"})
    in_chunks = client.post("/v1/detect", content=(b"x" * 600 for _ in range(3)))
    assert stated.status_code == in_chunks.status_code == 413
    assert "1000 bytes" in message(stated)
    assert 'lucidbox_rejected_total{reason="bytes"} 2.0' in client.get("/metrics").text


def test_compressed_bodies_are_refused(client, red):
    answer = client.post("/v1/detect", content=red, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert "Content-Encoding" in message(answer)


@pytest.mark.parametrize("name", ["Content-Type", "Authorization", "X-API-Key", "Inference-Header-Content-Length"])
def test_headers_that_are_there_twice(client, name):
    answer = client.post("/v1/detect", content=b"x", headers=[(name, "1"), (name, "2")])
    assert answer.status_code == 400
    assert "twice" in message(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/page/../__init__.py",
        "/page/..%2f__init__.py",
        "/page/%2e%2e/settings.py",
        "/page//etc/passwd",
        "/page/examples/../../settings.py",
        "/page/",
        "/v1/models/..%2f..",
        "/v2/models/%00",
        "/v1/detect/",
    ],
)
def test_paths_lead_nowhere(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert message(answer)


def test_methods_that_an_address_does_not_take(client):
    answer = client.get("/v1/detect")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert message(answer)


def test_a_defect_of_ours_shows_nothing(serving, red):
    class Broken(RedFinder):
        def __call__(self, images):
            raise RuntimeError("secret of the server")

    answer = serving({"broken": red_detector(Broken())}).post("/v1/detect", content=red)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "request id" in message(answer)


def instance(**changes):
    return {"image": {"b64": base64.b64encode(b"text").decode()}, **changes}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"[]", 400),
        (b'{"instances": []}', 400),
        (b'{"instances": "x"}', 400),
        (b'{"instances": [{}]}', 400),
        (b'{"instances": [{"b64": "!!"}]}', 400),
        (b'{"instances": [{"b64": 5}]}', 400),
        (json.dumps({"instances": [instance()]}).encode(), 415),
        (json.dumps({"instances": [instance(conf=0.5)]}).encode(), 400),
        (json.dumps({"instances": [instance()], "parameters": {"conf": 7}}).encode(), 422),
        (json.dumps({"instances": [instance()], "parameters": {"conf": {}}}).encode(), 400),
        (json.dumps({"instances": [instance()] * 65}).encode(), 400),
    ],
)
def test_kserve_instances(client, body, status):
    answer = client.post("/v1/models/red:predict", content=body)
    assert answer.status_code == status
    assert message(answer)
