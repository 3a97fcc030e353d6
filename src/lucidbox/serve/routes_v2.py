"""The routes below ``/v2``: the Open Inference Protocol, version 2."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lucidbox.core.version import __version__
from lucidbox.images.reading import read_image
from lucidbox.save.json_lines import json_line
from lucidbox.serve.detecting import JSON, Stages
from lucidbox.serve.models import ServedModel
from lucidbox.serve.parameters import LIMIT_NAMES, limit_changes, query_of, texts_of
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.service import Service
from lucidbox.serve.tensors import INPUTS, OUTPUTS, InferRequest, read_request, write_outputs
from lucidbox.serve.worker_pool import Job

VERSION = "1"
"""The one version of every model."""

_HEADER_LENGTH = "Inference-Header-Content-Length"


class InferenceRoutes:
    """The Open Inference Protocol."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def server(self, request: Request) -> Response:
        """What this server is."""
        return JSONResponse({"name": "lucidbox", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, request: Request) -> Response:
        """Whether the server runs."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether the server takes requests; 503 when it is being stopped."""
        return JSONResponse({"ready": self.service.ready}, 200 if self.service.ready else 503)

    async def models(self, request: Request) -> Response:
        """Names of all models."""
        return JSONResponse({"models": list(self.service.models.by_name)})

    async def model(self, request: Request) -> Response:
        """What a model takes and gives."""
        model = self._model(request)
        platform = f"lucidbox_{model.detector.engine.name}"
        return JSONResponse(
            {
                "name": model.name,
                "versions": [VERSION],
                "platform": platform,
                "inputs": list(INPUTS),
                "outputs": list(OUTPUTS),
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """Whether a model takes requests."""
        name = self._model(request).name
        return JSONResponse({"name": name, "ready": self.service.ready}, 200 if self.service.ready else 503)

    async def infer(self, request: Request) -> Response:
        """Detections in one picture, as tensors."""
        service = self.service
        query_of(request.scope["query_string"], frozenset())
        model = self._model(request)
        service.check_room(service.pool)
        header_length = request.headers.get(_HEADER_LENGTH)
        stages = Stages()
        async with service.uploads.body(request) as body:

            def infer(job: Job) -> tuple[bytes, bytes]:
                stages.queue = job.waited
                began = time.perf_counter()
                asked = read_request(body, header_length, service.settings.max_pixels)
                limits = model.limits(limit_changes(texts_of(asked.parameters, LIMIT_NAMES)))
                pixels = asked.picture
                if isinstance(pixels, bytes):
                    pixels = read_image(pixels, max_pixels=service.settings.max_pixels, name="input image")
                read = time.perf_counter()
                found = model.detect(pixels, limits, job.alone)
                stages.decode, stages.inference = read - began, time.perf_counter() - read
                entries, binary = write_outputs(found, asked.outputs)
                return json_line(_answer(model, asked, entries)).encode(), binary

            document, binary = await service.run(request, service.pool, infer)
        service.observe(model, stages)
        headers = {"Server-Timing": stages.header()}
        if not binary and b'"binary_data_size"' not in document:
            return Response(document, media_type=JSON, headers=headers)
        headers[_HEADER_LENGTH] = str(len(document))
        return Response(document + binary, media_type="application/octet-stream", headers=headers)

    def _model(self, request: Request) -> ServedModel:
        model = self.service.model(request, request.path_params["name"])
        if request.path_params.get("version", VERSION) != VERSION:
            raise RequestError(404, f"model {model.name} has version {VERSION} only")
        return model


def _answer(model: ServedModel, asked: InferRequest, entries: list[dict[str, Any]]) -> dict[str, Any]:
    own = {} if asked.request_id is None else {"id": asked.request_id}
    return {"model_name": model.name, "model_version": VERSION, **own, "outputs": entries}
