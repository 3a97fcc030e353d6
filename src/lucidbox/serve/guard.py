"""What stands around all routes: keys, origins, headers of security, request ids, the access log, counters."""

import asyncio
import contextlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.service import MODEL, ROUTE, Service
from lucidbox.serve.static_page import POLICY

_OPEN = re.compile(r"/|/page/.*|/v2/health/(live|ready)|/openapi\.json|/favicon\.ico")
"""Paths that need no key: the page, which asks for one, and what a probe asks."""

_SINGLE = ("authorization", "x-api-key", "content-type", "content-length", "inference-header-content-length")
"""Headers that must not be there twice."""

_LINGER = 3.0
"""Seconds for which the rest of a body is thrown away after an answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_EXPOSED = "Server-Timing, X-Request-Id, Retry-After, Inference-Header-Content-Length"


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; in small letters."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def error_body(route: str, message: str, request_id: str) -> Mapping[str, Any]:
    """An error as clients of the route expect it: a text in KServe's protocols, else an object."""
    if route.startswith("/v2") or route.endswith((":predict", ":explain")):
        return {"error": message}
    return {"error": {"message": message, "request_id": request_id}}


class Guard:
    """An ASGI application around another: refuses strangers, and logs and counts every request."""

    def __init__(self, inner: ASGIApp, service: Service) -> None:
        self.inner, self.service = inner, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.inner(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send, self._extra_headers(headers, request_id))
        self.service.in_hand += 1
        self.service.metrics.in_flight.inc()
        try:
            answer = self._answer_at_once(scope, headers)
            await (answer or self.inner)(scope, exchange.receive, exchange.send)
        finally:
            self.service.in_hand -= 1
            self.service.metrics.in_flight.dec()
            self._record(scope, exchange, request_id)

    def _extra_headers(self, headers: Headers, request_id: str) -> dict[str, str]:
        extra = _SECURITY | {"X-Request-Id": request_id}
        origin = headers.get("origin", "")
        if origin in self.service.settings.allow_origins:
            extra |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": _EXPOSED,
                "Vary": "Origin",
            }
            extra["Cross-Origin-Resource-Policy"] = "cross-origin"
        return extra

    def _answer_at_once(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """An answer to a request that goes no further: a refusal, or a browser's question about other origins."""
        try:
            for name in _SINGLE:
                if len(headers.getlist(name)) > 1:
                    raise RequestError(400, f"header {name} is there twice")
            self._check_host(headers.get("host", ""))
            if origin := headers.get("origin"):
                self._check_origin(scope, headers, origin)
                if scope.get("method") == "OPTIONS" and "access-control-request-method" in headers:
                    return Response(status_code=204, headers=_preflight(headers))
            self._check_key(scope["path"], headers)
        except RequestError as refusal:
            return self.refused(scope, refusal)
        return None

    def _check_host(self, host: str) -> None:
        """Refuse requests that call the server by a name which is not its own."""
        hosts = self.service.settings.hosts
        name = _host_name(host)
        if hosts and host and name not in hosts and not name.endswith(".localhost"):
            raise RequestError(421, f"this server does not answer to the name {name[:100]!r}; see --allow-host")

    def _check_origin(self, scope: Scope, headers: Headers, origin: str) -> None:
        """Refuse what a page of another site makes a browser send, unless it is allowed."""
        safe = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        own = urlsplit(origin).netloc == headers.get("host")
        if not (safe or own or origin in self.service.settings.allow_origins):
            raise RequestError(403, "pages of other sites may not call this server; see --allow-origin")

    def _check_key(self, path: str, headers: Headers) -> None:
        key = self.service.settings.api_key
        if key is None or _OPEN.fullmatch(path):
            return
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode(), key.encode()):
            message = "an API key is needed, as Authorization: Bearer KEY or X-API-Key: KEY"
            raise RequestError(401, message, headers={"WWW-Authenticate": "Bearer"})

    def refused(self, scope: Scope, refusal: RequestError) -> ASGIApp:
        """The answer to a request that is refused."""
        if refusal.reason:
            self.service.metrics.rejected.labels(refusal.reason).inc()
        if scope["type"] == "websocket":
            return _deny
        from starlette.responses import JSONResponse

        body = error_body(scope.get(ROUTE, scope["path"]), refusal.message, scope["state"]["request_id"])
        return JSONResponse(body, refusal.status, refusal.headers)

    def _record(self, scope: Scope, exchange: "_Exchange", request_id: str) -> None:
        seconds = time.perf_counter() - exchange.began
        model, route = scope.get(MODEL, ""), scope.get(ROUTE, "other")
        self.service.metrics.requests.labels(model, route, str(exchange.status)).inc()
        if scope["type"] == "http":
            self.service.metrics.seconds.labels(route).observe(seconds)
        client = scope.get("client")
        self.service.settings.log(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request_id": request_id,
                "client": client[0] if client else None,
                "method": scope.get("method", "WS"),
                "path": scope["path"],
                "model": model or None,
                "status": exchange.status,
                "milliseconds": round(seconds * 1000, 2),
                "bytes": exchange.sent,
            }
        )


class _Exchange:
    """One request and its answer, as they pass: its status and length, with headers added.

    An answer that comes before all of the body has a client that still sends: what it sends is thrown away for a
    short while, since a connection that is closed under it may take the answer with it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, extra: Mapping[str, str]) -> None:
        self._receive, self._send, self._extra = receive, send, extra
        sends = {b"content-length", b"transfer-encoding"}.intersection(name for name, _ in scope["headers"])
        self._more_comes = scope["type"] == "http" and bool(sends)
        self.websocket = scope["type"] == "websocket"
        self.status = 403 if self.websocket else 499  # nothing was answered: the client had gone
        self.sent = 0
        self.began = time.perf_counter()

    async def receive(self) -> Message:
        """Pass a message on to the application."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._more_comes = False
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on to the client."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._extra.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        elif message["type"] == "websocket.accept":
            self.status = HTTPStatus.SWITCHING_PROTOCOLS.value
        self.sent += len(message.get("body", b"") or message.get("text", "") or b"")
        if message["type"] == "http.response.body" and not message.get("more_body") and self._more_comes:
            await self._send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    while self._more_comes:
                        await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _preflight(headers: Headers) -> dict[str, str]:
    """What a page of an allowed site may send."""
    return {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": headers.get("access-control-request-headers", "")[:500],
        "Access-Control-Max-Age": "600",
    }


async def _deny(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket before it is open."""
    await send({"type": "websocket.close", "code": 1008})
