"""``/openapi.json``: every route is in it, and schemathesis finds no answer that it does not describe."""

import pytest
from servers import red_detector
from starlette.routing import Route

from lucidbox.serve import app


def routes_of(application):
    return {route.path: route.methods - {"HEAD"} for route in application.inner.routes if isinstance(route, Route)}


def test_every_route_is_described():
    application = app({"red": red_detector()})
    from lucidbox.serve.openapi import openapi

    described = {
        path: {method.upper() for method in item if method != "parameters"}
        for path, item in openapi(False)["paths"].items()
    }
    page = {"/": {"GET"}, "/page/{name}": {"GET"}}
    routes = {path.replace(":path", ""): methods for path, methods in routes_of(application).items()}
    assert described | page == routes


def test_the_description_says_what_is_so(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    model = client.get("/v1/models").json()["models"][0]
    assert set(model) == set(schemas["Model"]["properties"])


@pytest.mark.extended
def test_schemathesis():
    """Generated requests, good and bad: the answers have described statuses, types and shapes; none is a 5xx."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis import checks

    application = app({"red": red_detector()})
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    chosen = [
        checks.not_a_server_error,
        *checks.CHECKS.get_by_names(
            ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
        ),
    ]
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        seen.add(operation.label)

        @given(case=operation.as_strategy())
        @settings(max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        def ask(case):
            case.call_and_validate(checks=chosen)

        ask()
    described = {f"{next(iter(methods))} {path}" for path, methods in routes_of(application).items()}
    assert described - seen == {"GET /", "GET /page/{name:path}", "GET /openapi.json"}
