"""Keys, origins, and the headers that keep browsers from doing what they should not."""

import pytest

from lucidbox.core.errors import OptionError
from lucidbox.serve import ServerSettings

KEY = "a-long-secret-key"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
    ],
)
def test_the_key_lets_in(serving, red, headers):
    client = serving(api_key=KEY)
    assert client.post("/v1/detect", content=red, headers=headers).status_code == 200
    assert client.get("/v2/models/red", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "Bearer ä".encode("latin-1")},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": ""},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_without_it_nothing_is_done(serving, red, headers):
    client = serving(api_key=KEY)
    for answer in (
        client.post("/v1/detect", content=red, headers=headers),
        client.get("/v1/models", headers=headers),
        client.get("/metrics", headers=headers),
        client.get("/v2", headers=headers),
        client.get("/nothing", headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert KEY not in answer.text


def test_a_key_in_the_address_is_none(serving, red):
    answer = serving(api_key=KEY).post(f"/v1/detect?api_key={KEY}&key={KEY}", content=red)
    assert answer.status_code == 401


def test_the_page_and_probes_need_no_key(serving):
    client = serving(api_key=KEY)
    for path in ("/", "/v2/health/live", "/v2/health/ready", "/openapi.json"):
        assert client.get(path).status_code == 200
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}


def test_the_key_is_in_no_repr():
    assert KEY not in repr(ServerSettings(api_key=KEY))


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing", "/v1/detect"])
def test_headers_for_browsers(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_pages_of_other_sites_may_not_call(client, red):
    for origin in ("https://example.org", "null", "http://127.0.0.1:9000"):
        assert client.post("/v1/detect", content=red, headers={"Origin": origin}).status_code == 403
        assert client.options(
            "/v1/detect", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        ).status_code in (403, 405)
    own = {"Origin": "http://127.0.0.1:8000"}
    assert client.post("/v1/detect", content=red, headers=own).status_code == 200


def test_a_name_of_a_stranger_that_leads_here_is_not_answered(serving, red):
    """A site whose name is made to lead to this machine sends an Origin that equals its Host."""
    client = serving(hosts=("127.0.0.1", "::1", "localhost", "proxy.example"))
    rebound = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}
    assert client.post("/v1/detect", content=red, headers=rebound).status_code == 421
    assert client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 421
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST", "my.localhost", "proxy.example"):
        assert client.get("/v1/models", headers={"Host": host}).status_code == 200, host
    for host in ("[", "localhost.evil.example", "user@evil.example", "127.0.0.1.evil.example"):
        assert client.get("/v1/models", headers={"Host": host}).status_code == 421, host


def test_allowed_sites_may(serving, red):
    client = serving(allow_origins=("https://example.org",), api_key=KEY)
    origin = {"Origin": "https://example.org"}
    asked = client.options(
        "/v1/detect",
        headers=origin
        | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"},
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "https://example.org"
    assert asked.headers["access-control-allow-headers"] == "x-api-key,content-type"
    answer = client.post("/v1/detect", content=red, headers=origin | {"X-API-Key": KEY})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    assert client.post("/v1/detect", content=red, headers={"Origin": "https://example.com"}).status_code == 403


@pytest.mark.parametrize("origin", ["*", "example.org", "https://*.example.org", "https://example.org/path"])
def test_what_is_no_origin(origin):
    with pytest.raises(OptionError, match="origin"):
        ServerSettings(allow_origins=(origin,))


@pytest.mark.parametrize(
    "changes",
    [
        {"max_bytes": 0},
        {"queue": -1},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"grace": -1},
        {"api_key": "ü" * 9},
    ],
)
def test_settings_out_of_range(changes):
    with pytest.raises(OptionError):
        ServerSettings(**changes)
