"""Servers for tests: in the process, finding red; and in one of their own, with the bundled model."""

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")

from servers import BOX, Server, encoded, red_detector

from models import picture


@pytest.fixture
def red():
    """A picture file with a red box at 40, 30, 90, 80."""
    return encoded(picture(120, 160, BOX))


@pytest.fixture
def serving():
    """Function that opens a client of an application with these settings; the model is called "red"."""
    from starlette.testclient import TestClient

    from lucidbox.serve import ServerSettings, app

    clients = []

    def open_client(detectors=None, **settings):
        application = app(detectors or {"red": red_detector()}, ServerSettings(**settings))
        client = TestClient(application, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serving):
    return serving()


@pytest.fixture
def server(cache_folder):
    """Function that starts a server of its own process."""
    started = []

    def start(*arguments):
        started.append(Server(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture(scope="module")
def bundled_server(cache_folder):
    """A server of its own process with the bundled model, for the tests of one file."""
    server = Server("--quiet")
    yield server
    server.process.kill()
    server.process.communicate()


@pytest.fixture(scope="session")
def bundled_detector():
    from lucidbox import Detector

    return Detector.load()
