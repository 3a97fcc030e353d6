"""Pictures from a web server on this machine, well-behaved and otherwise."""

import base64
import socket
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import ImageError, SourceError
from lucidbox.sources import Failure, Picture, Url, open_sources


def png():
    file = BytesIO()
    Image.new("RGB", (8, 6), (1, 2, 3)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """This machine's proxy settings must not reach the tests' own server."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/redirect/") or "/redirect/")
            self.end_headers()
        elif path == "/missing.jpg":
            self.send_error(404)
        elif path == "/words.jpg":
            self.answer(b"<html>these are words</html>")
        elif path == "/short.png":
            self.answer(png()[:-30], length=len(png()))
        elif path == "/endless":
            self.answer(bytes(10_000), length=None)
        elif path.startswith("/film"):
            body = self.server.film
            self.answer(body, "video/mp4" if "typed" in path else None, len(body) + 10 if "short" in path else -1)
        elif path == "/live":
            self.live()
        elif path == "/agent":
            self.answer(self.headers["User-Agent"].encode())
        elif path == "/who":
            self.answer(self.headers.get("Authorization", "nobody").encode())
        elif path == "/host":
            self.answer(self.headers["Host"].encode())
        else:
            self.answer(png())

    def live(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for _ in range(1000):
                part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
                self.wfile.write(part % (len(self.server.jpeg), self.server.jpeg))
                time.sleep(0.01)
        except OSError:  # the visitor has gone
            pass

    def answer(self, body, kind=None, length=-1):
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Served(ThreadingHTTPServer):
    """The server, and what it has to offer."""

    film = b""
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 99, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def server():
    with Served(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@contextmanager
def raw_server(serve):
    """A server that does ``serve(connection, stop)`` with its one visitor; gives its address."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def work():
            connection, _ = listening.accept()
            with connection:
                serve(connection, stop)

        thread = threading.Thread(target=work)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
        stop.set()
        thread.join()


def failure(url):
    (item,) = url
    assert isinstance(item, Failure)
    assert item.source == url.name
    assert "\n" not in str(item.error)
    assert str(item.error).startswith(url.name)
    return item.error


def test_a_picture(server):
    (picture,) = open_sources([f"{server}/photos/street%20view.png?size=large#top"])
    assert isinstance(picture, Picture)
    assert np.array_equal(picture.pixels, np.full((6, 8, 3), (1, 2, 3)))
    assert picture.source == f"{server}/photos/street%20view.png?size=large#top"
    assert picture.name == "street view.png"
    assert picture.frame is None


def test_spaces_and_letters_beyond_ascii_in_an_address(server):
    (picture,) = open_sources([f"{server}/straße 图.png"])
    assert picture.name == "straße 图.png"


def test_redirections_within_http_are_followed(server):
    (picture,) = Url(f"{server}/redirect/{server}/a.png")
    assert picture.pixels.shape == (6, 8, 3)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.png", "data:,x"])
def test_redirections_to_anything_else_are_not(server, target):
    assert isinstance(failure(Url(f"{server}/redirect/{target}")), SourceError)


def test_circles_of_redirections_end(server):
    assert "302" in str(failure(Url(f"{server}/redirect/")))


def test_not_found(server):
    assert str(failure(Url(f"{server}/missing.jpg"))) == f"{server}/missing.jpg: the server answers 404 Not Found"


def test_what_comes_is_no_picture(server):
    error = failure(Url(f"{server}/words.jpg"))
    assert isinstance(error, ImageError)
    assert "not a picture" in str(error)


def test_a_connection_that_breaks_off(server):
    assert "the connection ended after" in str(failure(Url(f"{server}/short.png")))


@pytest.mark.parametrize("path", ["endless", "a.png"])
def test_more_bytes_than_allowed(server, path):
    assert "the answer is longer than 20 bytes" in str(failure(Url(f"{server}/{path}", max_bytes=20)))


def test_the_pixel_limit_holds(server):
    assert "8×6 pixels exceed the limit of 47" in str(failure(Url(f"{server}/a.png", max_pixels=47)))


def test_we_say_who_asks(server):
    assert Url(f"{server}/agent")._fetch().startswith(b"lucidbox/")


def test_a_server_that_says_nothing():
    with raw_server(lambda connection, stop: stop.wait(30)) as address:
        assert str(failure(Url(address, silence=0.1))) == f"{address}: no answer within 0.1 seconds"


def test_a_server_that_drips_meets_the_deadline():
    def drip(connection, stop):
        try:
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                connection.sendall(b"x")
        except OSError:  # the visitor has gone
            pass

    with raw_server(drip) as address:
        error = failure(Url(address, silence=5, deadline=0.3))
        assert str(error) == f"{address}: no complete answer within 0.3 seconds"


def test_a_server_that_speaks_no_http():
    def mumble(connection, stop):
        connection.recv(1000)
        connection.sendall(b"220 mail server ready\r\n")

    with raw_server(mumble) as address:
        assert isinstance(failure(Url(address)), SourceError)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "refused" in str(failure(Url(f"http://127.0.0.1:{port}/a.png"))).lower()


@pytest.mark.parametrize(
    "address", ["http://", "http:///a.jpg", "http://[::1/a.jpg", "http://a b/c.jpg", "http://x:y/"]
)
def test_addresses_that_are_none(address):
    assert isinstance(failure(Url(address)), SourceError)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://user@example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://user:sec@ret@example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://user:sec/ret@example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://example.org/@user/a.jpg", "https://example.org/@user/a.jpg"),
        ("https://example.org:80/@user/a.jpg", "https://example.org:80/@user/a.jpg"),
        ("https://example.org/a//b@c.jpg", "https://example.org/a//b@c.jpg"),
        ("https://[::1]:80/a@b.jpg", "https://[::1]:80/a@b.jpg"),
        ("https://example.org?at=a@b", "https://example.org?at=a@b"),
    ],
)
def test_passwords_are_not_shown(address, shown):
    assert Url(address).name == shown


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("user:secret", b"user:secret"),
        ("user", b"user:"),
        ("us%65r:a%40b%2F%3A:c", b"user:a@b/::c"),
        ("üser:pässword", "üser:pässword".encode()),
    ],
)
def test_user_and_password_are_sent_as_authorization(server, given, pair):
    address = server.replace("//", f"//{given}@")
    assert Url(f"{address}/who")._fetch() == b"Basic " + base64.b64encode(pair)
    assert Url(f"{address}/host")._fetch().decode() == server.removeprefix("http://")
    assert Url(f"{server}/who")._fetch() == b"nobody"


def test_a_password_does_not_follow_a_redirection(server):
    address = server.replace("//", "//user:secret@")
    elsewhere = server.replace("127.0.0.1", "localhost")
    assert Url(f"{address}/redirect/{elsewhere}/who")._fetch() == b"nobody"


@pytest.mark.parametrize("given", ["user:s3cret", "user:s3cret/more", "user:s3/cret", "user:s3cret@x"])
def test_no_error_holds_a_password(server, given):
    error = failure(Url(server.replace("//", f"//{given}@") + "/missing.jpg"))
    assert not any(part in str(error) for part in ("s3", "cret", "user", "more"))


def test_addresses_that_are_not_read_are_refused_without_their_password():
    (item,) = open_sources(["ftp://user:secret@example.org/a.jpg"])
    assert str(item.error) == "ftp://example.org/a.jpg: ftp addresses are not read; http, https and rtsp are"
    assert item.source == "ftp://example.org/a.jpg"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a.jpg", "a.jpg"),
        ("/a/b/", "b"),
        ("", "127.0.0.1"),
        ("/..", "127.0.0.1"),
        ("/x%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("/x%5C..%5Cb.jpg", "b.jpg"),
    ],
)
def test_names_never_lead_out_of_a_folder(server, path, name):
    (picture,) = Url(server + path)
    assert picture.name == name


@pytest.mark.parametrize("path", ["film", "film.mp4?key=1", "film-typed"])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_video_file(server, film, tmp_path, monkeypatch, path, stride):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Served.film = film("road.mp4", "mp4v", frames=10).read_bytes()
    pictures = list(open_sources(f"{server}/{path}", video_stride=stride))
    assert [picture.frame for picture in pictures] == list(range(0, 10, stride))
    assert [picture.time for picture in pictures] == pytest.approx([picture.frame / 25 for picture in pictures])
    assert {picture.source for picture in pictures} == {f"{server}/{path}"}
    assert {picture.name for picture in pictures} == {path.partition("?")[0]}
    assert [item().frame for item in open_sources(f"{server}/film").lazy_items()] == list(range(10))
    assert [path.name for path in tmp_path.iterdir()] == ["road.mp4"]


def test_a_damaged_video_file_is_named_by_its_address(server, film):
    content = film("road.mp4", "mp4v").read_bytes()
    Served.film = content.replace(content[content.index(b"mdat") + 400 :][:300], bytes(300))
    *_, failure = Url(f"{server}/film")
    assert str(failure.error).startswith(f"{server}/film: ")
    assert f"{failure.counts['lost']} of 30 frames are lost" in str(failure.error)


def test_a_video_file_that_breaks_off(server, film):
    Served.film = film("road.mp4", "mp4v").read_bytes()
    assert "the connection ended after" in str(failure(Url(f"{server}/film-short")))
    assert "longer than 320 bytes" in str(failure(Url(f"{server}/film-typed", max_bytes=10)))


def test_an_endless_stream_of_jpegs_is_live(server):
    with closing(open_sources(f"{server}/live").lazy_items()) as items:
        pictures = [next(items)() for _ in range(5)]
    assert all(picture.pixels.shape == (48, 64, 3) for picture in pictures)
    assert {picture.source for picture in pictures} == {f"{server}/live"}
    frames = [picture.frame for picture in pictures]
    assert frames == sorted(set(frames))
    assert pictures[0].time < pictures[-1].time
