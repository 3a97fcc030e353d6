"""The routes below ``/v1``: models, detections, and KServe's first protocol."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lucidbox.core.version import __version__
from lucidbox.serve.detecting import ANSWER_FORMATS, YOLO, Work, annotated, formatted, wants
from lucidbox.serve.parameters import (
    LIMIT_NAMES,
    TILE_NAMES,
    limit_changes,
    query_of,
    switch,
    tiling_asked,
    without_repeats,
)
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.service import Service
from lucidbox.serve.static_page import StaticPage
from lucidbox.serve.uploads import UploadForm, form_of
from lucidbox.serve.worker_pool import Job

_DETECT = LIMIT_NAMES | TILE_NAMES | {"model", "format", "annotate"}


class DetectRoutes:
    """``GET /v1/models``, ``POST /v1/detect``."""

    def __init__(self, service: Service, page: StaticPage) -> None:
        self.service, self.page = service, page

    async def models(self, request: Request) -> Response:
        """What is served."""
        query_of(request.scope["query_string"], frozenset())
        models = self.service.models
        return JSONResponse(
            {
                "models": [model.to_dict() for model in models.by_name.values()],
                "default": models.default,
                "version": __version__,
                "max_bytes": self.service.settings.max_bytes,
                "examples": self.page.examples,
            }
        )

    async def detect(self, request: Request) -> Response:
        """Detections in the uploaded pictures."""
        service = self.service
        query = query_of(request.scope["query_string"], _DETECT)
        service.model(request, query.get("model"))
        service.check_room(service.pool)
        async with service.uploads.body(request) as body:
            form = form_of(body, request.headers)
            given = query | without_repeats(form.fields, _DETECT)
            work, shape, picture = self._work(request, form, given)

            def detect(job: Job) -> tuple[bytes, str]:
                results = work(job)
                return (annotated(results[0], picture), picture) if picture else formatted(shape, results)

            content, media_type = await service.run(request, service.pool, detect)
        service.observe(work.model, work.stages)
        return Response(content, media_type=media_type, headers={"Server-Timing": work.stages.header()})

    def _work(self, request: Request, form: UploadForm, given: dict[str, str]) -> tuple[Work, str, str]:
        """What is to be done, the shape of the answer, and the media type if it is to be a picture."""
        model = self.service.model(request, given.get("model"))
        shape = given.get("format", "lucidbox")
        if shape not in ANSWER_FORMATS and shape != YOLO:
            raise RequestError(
                422, f"format {shape[:40]!r} is unknown; there are {', '.join((*ANSWER_FORMATS, YOLO))}"
            )
        draws = switch(given, "annotate")
        if not form.files:
            raise RequestError(400, "no picture: the form has no field 'file'")
        if draws and (len(form.files) > 1 or "format" in given):
            raise RequestError(422, "annotate takes one picture, and no format")
        accept = request.headers.get("accept", "")
        picture = ("image/png" if wants(accept, "image/png") else "image/jpeg") if draws else ""
        limits = model.limits(limit_changes(given))
        most = self.service.settings.max_pixels
        return Work(model, form.files, limits, most, tiling_asked(given)), shape, picture
