"""What all routes share: models, threads, uploads, counters; and running work for a client that may leave."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from lucidbox.core.parallel import cores
from lucidbox.detector import Detector
from lucidbox.serve.detecting import Stages
from lucidbox.serve.metrics import Metrics
from lucidbox.serve.models import ServedModel, ServedModels
from lucidbox.serve.request_errors import stopping, too_late
from lucidbox.serve.settings import ServerSettings
from lucidbox.serve.uploads import Uploads
from lucidbox.serve.worker_pool import Job, WorkerPool

_Answer = TypeVar("_Answer")

MODEL = "lucidbox.model"
"""The key of a request's scope under which the access log finds the model's name."""

ROUTE = "lucidbox.route"
"""The key under which it finds the template of the route."""


class Service:
    """One server's models and threads.

    Attributes:
        pool: threads that detect: as many as a stream has.
        explainers: one thread that explains, so that this, which takes seconds, keeps nobody from detecting.
        in_hand: requests that are being answered.
        on_stop: called when no new work is taken: ends streams.
    """

    def __init__(self, detectors: Mapping[str, Detector], settings: ServerSettings) -> None:
        self.settings = settings
        self.models = ServedModels(detectors, settings.explain)
        threads = max(model.detector.stream_runner.workers for model in self.models.by_name.values())
        self.pool: WorkerPool[Any] = WorkerPool(threads, settings.queue)
        self.explainers: WorkerPool[Any] = WorkerPool(1, min(settings.queue, 8))
        self.uploads = Uploads(settings)
        self.metrics = Metrics()
        self.in_hand = 0
        self.on_stop: set[Callable[[], None]] = set()

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return not self.pool.stopped

    def stop(self) -> None:
        """Take no new work; what is in hand goes on."""
        self.pool.stopped = self.explainers.stopped = True
        for end in list(self.on_stop):
            end()

    def close(self) -> None:
        """End the threads."""
        self.pool.close()
        self.explainers.close()

    def warm_up(self) -> None:
        """Make what concurrent requests will need, so that the first of them do not wait for it."""
        if cores() > 1:
            for model in self.models.by_name.values():
                model.predictor(alone=False)

    def model(self, request: Request, name: str | None) -> ServedModel:
        """The model that a request names, which the access log will name.

        Raises:
            RequestError: 404, there is no such model.
        """
        model = self.models[name]
        request.scope[MODEL] = model.name
        return model

    def check_room(self, pool: WorkerPool[Any]) -> None:
        """Refuse a request before its body is read.

        Raises:
            RequestError: 429 or 503.
        """
        if not self.ready:
            raise stopping()
        pool.check_room()

    async def run(self, request: Request, pool: WorkerPool[_Answer], work: Callable[[Job], _Answer]) -> _Answer:
        """The answer of ``work``, within the deadline; a client that goes away frees its place in the queue.

        Explanations, which take hundreds of inferences, have four times as long.

        Raises:
            RequestError: 429 where there is no place, 503 at the deadline.
            ClientDisconnect: the client has gone.
        """
        seconds = self.settings.timeout * (4 if pool is self.explainers else 1)
        doing = asyncio.ensure_future(pool.run(work))
        gone = asyncio.ensure_future(_gone(request))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise ClientDisconnect
        except TimeoutError as error:
            raise too_late(seconds) from error
        finally:
            gone.cancel()
            doing.cancel()

    def observe(self, model: ServedModel, stages: Stages) -> None:
        """Count where a request's time went."""
        self.metrics.queue.labels(model.name).observe(stages.queue)
        self.metrics.inference.labels(model.name).observe(stages.inference)


async def _gone(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
