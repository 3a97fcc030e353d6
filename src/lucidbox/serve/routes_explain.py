"""``POST /v1/explain``, and KServe's first protocol: ``/v1/models/NAME`` with ``:predict`` and ``:explain``."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lucidbox.save.json_lines import json_line, json_record
from lucidbox.serve.detecting import JSON, Work, json_of, wants
from lucidbox.serve.explaining import PARAMETERS, explain_upload, question_of
from lucidbox.serve.parameters import LIMIT_NAMES, limit_changes, query_of, texts_of, without_repeats
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.service import Service
from lucidbox.serve.uploads import UploadedFile, UploadForm, form_of
from lucidbox.serve.worker_pool import Job

_MOST_INSTANCES = 64


class ExplainRoutes:
    """Explanations, and KServe's first protocol."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def explain(self, request: Request) -> Response:
        """Why a box is there, or why none is."""
        service = self.service
        query = query_of(request.scope["query_string"], PARAMETERS)
        service.check_room(service.explainers)
        async with service.uploads.body(request) as body:
            form = form_of(body, request.headers)
            explain = self._explaining(request, form, query | without_repeats(form.fields, PARAMETERS))
            content, media_type = await service.run(request, service.explainers, explain)
        return Response(content, media_type=media_type)

    def _explaining(
        self, request: Request, form: UploadForm, given: dict[str, str]
    ) -> Callable[[Job], tuple[bytes, str]]:
        question = question_of(self.service.model(request, given.get("model")), given)
        if len(form.files) != 1:
            raise RequestError(422, f"{len(form.files)} pictures; one is explained at a time")
        picture = wants(request.headers.get("accept", ""), "image/png")

        def explain(job: Job) -> tuple[bytes, str]:
            reasons = explain_upload(question, form.files[0], self.service.settings.max_pixels, job)
            if picture:
                return reasons.panel(), "image/png"
            return json_line(reasons.to_dict()).encode(), JSON

        return explain

    async def model(self, request: Request) -> Response:
        """KServe's first protocol: whether a model is ready."""
        name = self.service.model(request, request.path_params["name"]).name
        return JSONResponse({"name": name, "ready": self.service.ready}, 200 if self.service.ready else 503)

    async def predict(self, request: Request) -> Response:
        """KServe's first protocol: detections in each instance."""
        service = self.service
        query = query_of(request.scope["query_string"], LIMIT_NAMES)
        model = service.model(request, request.path_params["name"])
        service.check_room(service.pool)
        async with service.uploads.body(request) as body:

            def detect(job: Job) -> tuple[bytes, Work]:
                files, parameters = _instances(body, frozenset({"image", "b64"}), LIMIT_NAMES)
                limits = model.limits(limit_changes(query | parameters))
                work = Work(model, [file for file, _ in files], limits, service.settings.max_pixels)
                answer = json_line({"predictions": [json_record(result) for result in work(job)]})
                return answer.encode(), work

            content, work = await service.run(request, service.pool, detect)
        service.observe(model, work.stages)
        return Response(content, media_type=JSON, headers={"Server-Timing": work.stages.header()})

    async def explain_instances(self, request: Request) -> Response:
        """KServe's first protocol: an explanation of each instance."""
        service = self.service
        query_of(request.scope["query_string"], frozenset())
        model = service.model(request, request.path_params["name"])
        service.check_room(service.explainers)
        known = PARAMETERS - {"model"}
        async with service.uploads.body(request) as body:

            def explain(job: Job) -> bytes:
                files, parameters = _instances(body, known | {"image", "b64"}, known)
                explanations = []
                for file, own in files:
                    question = question_of(model, {**parameters, **own})
                    explanations.append(explain_upload(question, file, service.settings.max_pixels, job).to_dict())
                return json_line({"explanations": explanations}).encode()

            content = await service.run(request, service.explainers, explain)
        return Response(content, media_type=JSON)


_Instances = list[tuple[UploadedFile, dict[str, str]]]


def _instances(body: bytes, known: frozenset[str], for_all: frozenset[str]) -> tuple[_Instances, dict[str, str]]:
    """The pictures of a body of KServe's first protocol, each with its parameters; and those for all of them.

    Raises:
        RequestError: 400, the body is none, or an instance holds no picture.
    """
    document = json_of(body)
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not 1 <= len(instances) <= _MOST_INSTANCES:
        raise RequestError(400, f'give {{"instances": [...]}} with 1 to {_MOST_INSTANCES} of them')
    parameters = texts_of(document.get("parameters") or {}, for_all)
    return [_instance(instance, known) for instance in instances], parameters


def _instance(instance: Any, known: frozenset[str]) -> tuple[UploadedFile, dict[str, str]]:
    """A picture in base64: as a text, as ``{"b64": text}``, or either of them as ``{"image": ...}``."""
    given = instance if isinstance(instance, dict) else {"b64": instance}
    content = given.get("image", given.get("b64"))
    if isinstance(content, dict):
        content = content.get("b64")
    if not isinstance(content, str):
        raise RequestError(400, 'an instance is {"image": {"b64": "..."}}, a picture file in base64')
    try:
        decoded = b64decode(content, validate=True)
    except ValueError as error:
        raise RequestError(400, "an instance's picture is no base64") from error
    own = {name: value for name, value in given.items() if name not in ("image", "b64")}
    return UploadedFile("-", decoded), texts_of(own, known)
