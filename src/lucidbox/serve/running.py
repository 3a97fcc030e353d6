"""Runs the application under uvicorn: connections are bounded; told to stop, it answers what is in hand."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lucidbox.core.errors import OptionError
from lucidbox.serve.guard import Guard
from lucidbox.serve.streaming import LONGEST_FRAME

_HEAD = 20.0
"""Seconds within which a connection that has no request in hand must bring one."""

_WAIT = 0.05
_OWN_FILES = 256  # files that are open besides connections, at most


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket bound to an address, before anything slow is done.

    Raises:
        OptionError: the address cannot be had, such as a port in use.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"--port {port} is not between 0 and 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With its protocol: asyncio looks at it, and sends without delay over TCP only.
        bound = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise OptionError(f"--host {host} --port {port}: {getattr(error, 'strerror', None) or error}") from error
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"--host {host} --port {port}: {reason[:1].lower()}{reason[1:]}") from error
    return bound


def run(application: Guard, bound: socket.socket, on_ready: Any = lambda: None) -> bool:
    """Serve until SIGTERM or SIGINT.

    Args:
        application: what is served.
        bound: a socket that is bound.
        on_ready: called when requests are taken.

    Returns:
        Whether everything in hand could be answered.
    """
    settings = application.service.settings
    _allow_files(settings.connections + _OWN_FILES)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what strangers send is theirs to know
    config = uvicorn.Config(
        application,
        http=_protocol(settings.connections),
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
        ws_max_size=min(settings.max_bytes, LONGEST_FRAME),
        ws_max_queue=2,
        ws_per_message_deflate=False,
        proxy_headers=False,
    )
    server = _Server(config, application, on_ready)
    server.run(sockets=[bound])
    return not server.cut_off


def _allow_files(needed: int) -> None:
    """Raise the number of files that the process may have open, if that is less than needed and can be done."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # ImportError: Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < needed:
            allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


class _Server(uvicorn.Server):
    """A server that, told to stop, says that it is not ready, and stops when nothing is in hand."""

    def __init__(self, config: uvicorn.Config, application: Guard, on_ready: Any) -> None:
        super().__init__(config)
        self._application, self._on_ready = application, on_ready
        self._stopping: asyncio.Task[None] | None = None
        self.cut_off = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals stop the server; the process goes on and ends as its caller wants."""
        loop = asyncio.get_running_loop()
        before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._stop))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        """Stop when nothing is in hand; at once when told a second time."""
        if self._stopping is not None:
            self.cut_off = self.should_exit = self.force_exit = True
            return
        self._application.service.stop()
        self._stopping = asyncio.get_running_loop().create_task(self._drained())

    async def _drained(self) -> None:
        service = self._application.service
        last = asyncio.get_running_loop().time() + service.settings.grace
        await asyncio.sleep(_WAIT)
        while service.in_hand and asyncio.get_running_loop().time() < last:
            await asyncio.sleep(_WAIT)
        self.cut_off = bool(service.in_hand)
        self.config.timeout_graceful_shutdown = 1
        self.should_exit = True


def _protocol(most: int) -> type[H11Protocol]:
    """HTTP as uvicorn has it, with at most so many connections, none of which may hold its place for nothing."""
    waiting: dict[H11Protocol, None] = {}  # in the order in which they began to wait

    class BoundedProtocol(H11Protocol):
        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                longest = next(iter(waiting), self)
                waiting.pop(longest, None)
                longest.transport.abort()
            if not transport.is_closing():
                self._wait_for_head()

        @property
        def idle(self) -> bool:
            """Whether no request is in hand."""
            return self.cycle is None or self.cycle.response_complete

        def _wait_for_head(self) -> None:
            self._stop_waiting()
            waiting[self] = None
            self._patience = self.loop.call_later(_HEAD, self._lose_patience)

        def _stop_waiting(self) -> None:
            waiting.pop(self, None)
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

        def _lose_patience(self) -> None:
            if self.idle and not self.transport.is_closing():
                self.transport.abort()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self.idle:
                self._stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.idle and not self.transport.is_closing():
                self._wait_for_head()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stop_waiting()
            self._patience = self.loop.call_later(_HEAD, self.transport.abort)  # it does not read its answer

        def resume_writing(self) -> None:
            self._stop_waiting()
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._stop_waiting()
            super().handle_websocket_upgrade(event)

    return BoundedProtocol
