"""``/v1/stream``: a WebSocket that takes frames and gives detections; of frames that wait, the newest wins."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lucidbox.core.errors import LucidboxError
from lucidbox.save.json_lines import json_line, json_record
from lucidbox.serve.detecting import Work
from lucidbox.serve.models import ServedModel
from lucidbox.serve.parameters import LIMIT_NAMES, TILE_NAMES, limit_changes, query_of, tiling_asked
from lucidbox.serve.request_errors import RequestError, request_error_of
from lucidbox.serve.service import MODEL, ROUTE, Service
from lucidbox.serve.uploads import UploadedFile
from lucidbox.serve.worker_pool import Job

_PARAMETERS = LIMIT_NAMES | TILE_NAMES | {"model"}
MOST_STREAMS = 64
"""Streams at a time; each may hold a few frames in memory."""

LONGEST_FRAME = 8 * 2**20
"""Bytes of a frame."""

_POLICY, _NO_DATA, _GOING_AWAY = 1008, 1003, 1001


class _Newest:
    """The frame that came last, its number, and how many before it nobody looked at.

    Attributes:
        number: of the newest frame, from 0; -1 before the first.
    """

    def __init__(self) -> None:
        self.number = -1
        self._frame: bytes | None = None
        self._came = asyncio.Event()
        self.ended = False

    def put(self, frame: bytes) -> None:
        """A frame; one that waits is dropped for it."""
        self._frame, self.number = frame, self.number + 1
        self._came.set()

    def end(self) -> None:
        """No frame will come."""
        self.ended = True
        self._came.set()

    async def take(self) -> bytes | None:
        """The newest frame; None when no more will come."""
        await self._came.wait()
        frame, self._frame = self._frame, None
        if not self.ended:
            self._came.clear()
        return frame


class StreamRoute:
    """Frames in, each a binary message with a picture file; a JSON record out for each that is looked at."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def run(self, socket: WebSocket) -> None:
        """One client's stream, until it closes, or the server is stopped."""
        socket.scope[ROUTE] = "/v1/stream"
        try:
            given = query_of(socket.scope["query_string"], _PARAMETERS)
            model = self.service.models[given.get("model")]
            limits, tiling = model.limits(limit_changes(given)), tiling_asked(given)
            self.service.check_room(self.service.pool)
            if len(self.service.on_stop) >= MOST_STREAMS:
                raise RequestError(429, f"{MOST_STREAMS} streams are open, the most that is taken")
        except (RequestError, LucidboxError) as error:
            refusal = error if isinstance(error, RequestError) else request_error_of(error)
            await socket.close(_POLICY, refusal.message[:120])
            return
        socket.scope[MODEL] = model.name
        await socket.accept()
        newest = _Newest()
        self.service.on_stop.add(newest.end)
        reading = asyncio.create_task(_read(socket, newest))
        try:
            while (frame := await newest.take()) is not None and self.service.ready:
                number = newest.number
                work = Work(model, [UploadedFile("-", frame)], limits, self._most, tiling)
                answer = await self._answer(model, work)
                await socket.send_text(json_line({"frame": number, **answer}))
            with contextlib.suppress(RuntimeError):  # the client has closed it
                await socket.close(_GOING_AWAY if not self.service.ready else 1000)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.service.on_stop.discard(newest.end)
            reading.cancel()

    @property
    def _most(self) -> int:
        return self.service.settings.max_pixels

    async def _answer(self, model: ServedModel, work: Work) -> Mapping[str, Any]:
        """The record of one frame, or why there is none; the stream goes on."""

        def detect(job: Job) -> Mapping[str, Any]:
            return json_record(work(job)[0])

        try:
            async with asyncio.timeout(self.service.settings.timeout):
                record: Mapping[str, Any] = await self.service.pool.run(detect)
        except TimeoutError:
            return _error(503, "not answered in time")
        except RequestError as error:
            return _error(error.status, error.message)
        except LucidboxError as error:
            refusal = request_error_of(error)
            return _error(refusal.status, refusal.message)
        self.service.observe(model, work.stages)
        return record


def _error(status: int, message: str) -> Mapping[str, Any]:
    return {"error": {"status": status, "message": message}}


async def _read(socket: WebSocket, newest: _Newest) -> None:
    """Takes frames as they come, so that none waits in the connection."""
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if not message.get("bytes"):
                await socket.close(_NO_DATA, "a frame is a binary message, a picture file")
                break
            newest.put(message["bytes"])
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        newest.end()
