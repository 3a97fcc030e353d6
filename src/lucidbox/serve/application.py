"""The ASGI application: routes, and what becomes of errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from lucidbox.core.errors import LucidboxError
from lucidbox.detector import Detector
from lucidbox.serve.guard import Guard
from lucidbox.serve.openapi import openapi
from lucidbox.serve.request_errors import RequestError, request_error_of
from lucidbox.serve.routes_explain import ExplainRoutes
from lucidbox.serve.routes_v1 import DetectRoutes
from lucidbox.serve.routes_v2 import InferenceRoutes
from lucidbox.serve.service import ROUTE, Service
from lucidbox.serve.settings import ServerSettings
from lucidbox.serve.static_page import StaticPage
from lucidbox.serve.streaming import StreamRoute

_Endpoint = Callable[[Request], Awaitable[Response]]


def app(models: Mapping[str, Detector], settings: ServerSettings | None = None) -> Guard:
    """An ASGI application that serves detectors; any ASGI server runs it.

    Args:
        models: detectors by name; the first is the default.
        settings: what clients are allowed.

    Raises:
        OptionError: there is no model, or a name cannot stand in an address.

    Example:
        >>> application = app({"yolo11n": Detector.load()}, ServerSettings(queue=16))
    """
    service = Service(models, settings or ServerSettings())
    page = StaticPage()
    detect, explain = DetectRoutes(service, page), ExplainRoutes(service)
    routes: list[BaseRoute] = [
        _route("/", page, "GET"),
        _route("/page/{name:path}", page, "GET"),
        _route("/v1/models", detect.models, "GET"),
        _route("/v1/detect", detect.detect, "POST"),
        _route("/v1/explain", explain.explain, "POST"),
        # Before "/v1/models/{name}", which would take them for names.
        _route("/v1/models/{name}:predict", explain.predict, "POST"),
        _route("/v1/models/{name}:explain", explain.explain_instances, "POST"),
        _route("/v1/models/{name}", explain.model, "GET"),
        _route("/metrics", _metrics(service), "GET"),
        _route("/openapi.json", _description(service), "GET"),
        *_inference_routes(service),
        WebSocketRoute("/v1/stream", StreamRoute(service).run),
    ]
    inner = Starlette(routes=routes, lifespan=_lifespan(service))
    inner.router.redirect_slashes = False
    guard = Guard(inner, service)

    async def answered(request: Request, error: Exception) -> Response:
        return guard.refused(request.scope, _refusal(error))  # type: ignore[return-value]

    for kind in (RequestError, LucidboxError, HTTPException, ClientDisconnect, Exception):
        inner.add_exception_handler(kind, answered)
    return guard


def _refusal(error: Exception) -> RequestError:
    """The answer to a request that an error ended; of a defect of ours it says nothing."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, LucidboxError):
        return request_error_of(error)
    if isinstance(error, HTTPException):
        words = {404: "there is nothing at this address", 405: "this address does not take this method"}
        return RequestError(error.status_code, words.get(error.status_code, error.detail), headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return RequestError(499, "the client has gone", reason="gone")
    return RequestError(500, "an error of the server; its log names the request id")


def _route(path: str, endpoint: _Endpoint, method: str) -> Route:
    """A route whose template the log and the counters name."""

    async def named(request: Request) -> Response:
        request.scope[ROUTE] = path
        return await endpoint(request)

    return Route(path, named, methods=[method])


def _description(service: Service) -> _Endpoint:
    document = openapi(service.settings.api_key is not None)

    async def description(request: Request) -> Response:
        return JSONResponse(document)

    return description


def _inference_routes(service: Service) -> list[Route]:
    """The Open Inference Protocol."""
    routes = InferenceRoutes(service)
    made = [
        _route("/v2", routes.server, "GET"),
        _route("/v2/health/live", routes.live, "GET"),
        _route("/v2/health/ready", routes.ready, "GET"),
        _route("/v2/models", routes.models, "GET"),
    ]
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        made += [
            _route(model, routes.model, "GET"),
            _route(f"{model}/ready", routes.model_ready, "GET"),
            _route(f"{model}/infer", routes.infer, "POST"),
        ]
    return made


def _metrics(service: Service) -> _Endpoint:
    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    return metrics


def _lifespan(service: Service) -> Callable[[ASGIApp], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(application: ASGIApp) -> AsyncIterator[None]:
        warming = asyncio.get_running_loop().run_in_executor(None, service.warm_up)
        yield
        await warming
        service.close()

    return lifespan
