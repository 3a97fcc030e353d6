"""From uploaded files to results: read, detect, and the shapes of answers that clients parse."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from lucidbox.core.version import __version__
from lucidbox.detect.nms import Limits
from lucidbox.detect.stream import Result
from lucidbox.detect.tiles import Tiling
from lucidbox.images.reading import read_image
from lucidbox.save.json_lines import json_line, json_record
from lucidbox.save.results import txt_lines
from lucidbox.serve.models import ServedModel
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.uploads import UploadedFile
from lucidbox.serve.worker_pool import Job
from lucidbox.sources import Picture

JSON = "application/json"
_LONGEST_JSON = 32 * 2**20  # as objects it takes up to twenty times as much


@dataclass
class Stages:
    """Where the time of one request went, in seconds."""

    queue: float = 0.0
    decode: float = 0.0
    inference: float = 0.0

    def header(self) -> str:
        """As ``Server-Timing`` has it, in milliseconds."""
        parts = (("queue", self.queue), ("decode", self.decode), ("inference", self.inference))
        return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in parts)


@dataclass(frozen=True)
class Work:
    """The detections that one request asks for; called in a worker's thread.

    Attributes:
        model: finds them.
        files: what was uploaded, all of it pictures.
        limits: what counts as a detection.
        max_pixels: of a picture.
        tiling: how pictures are divided, if at all.
        stages: filled in.
    """

    model: ServedModel
    files: Sequence[UploadedFile]
    limits: Limits
    max_pixels: int
    tiling: Tiling | None = None
    stages: Stages = field(default_factory=Stages)

    def __call__(self, job: Job) -> list[Result]:
        """The results, in the order of the files.

        Raises:
            ImageError: a file is no picture that can be read; names it.
            OptionError: a picture would have too many tiles.
            EngineError: the model fails.
            RequestError: nobody waits for the answer any more.
        """
        self.stages.queue = job.waited
        results = []
        for file in self.files:
            _go_on(job)
            results.append(self._result(file, job))
        return results

    def _result(self, file: UploadedFile, job: Job) -> Result:
        began = time.perf_counter()
        name = "picture" if file.name == "-" else file.name
        pixels = read_image(file.content, max_pixels=self.max_pixels, name=name)
        read = time.perf_counter()
        size = pixels.shape[0], pixels.shape[1]
        views = self.tiling.views(size, self.model.detector.size) if self.tiling else ()
        if len(views) > 1:
            found = self.model.detect_in_views(pixels, views, self.limits, job.alone, partial(_go_on, job))
        else:
            found = self.model.detect(pixels, self.limits, job.alone)
        ended = time.perf_counter()
        self.stages.decode += read - began
        self.stages.inference += ended - read
        return Result(Picture(pixels, file.name, name), found, (ended - read) * 1000)


def _go_on(job: Job) -> None:
    """Stop work that nobody waits for any more."""
    if job.dropped.is_set():
        raise RequestError(503, "given up")


def _records(results: Sequence[Result]) -> Any:
    records = [json_record(result) for result in results]
    return records[0] if len(records) == 1 else {"results": records}


def _coco(results: Sequence[Result]) -> Any:
    return [entry for row, result in enumerate(results) for entry in result.detections.to_coco(row)]


def _ultralytics(results: Sequence[Result]) -> Any:
    images = []
    for result in results:
        found = [
            {
                "class": one["class"],
                "name": one["label"],
                "confidence": one["score"],
                "box": dict(zip(("x1", "y1", "x2", "y2"), one["box"], strict=True)),
            }
            for one in result.detections.to_dicts()
        ]
        speed = {"preprocess": 0.0, "inference": round(result.milliseconds, 2), "postprocess": 0.0}
        images.append({"shape": list(result.picture.size), "speed": speed, "results": found})
    return {"images": images, "metadata": {"imageCount": len(images), "version": __version__}}


def _roboflow(results: Sequence[Result]) -> Any:
    answers = []
    for result in results:
        predictions = []
        for one in result.detections.to_dicts():
            left, top, right, bottom = one["box"]
            predictions.append(
                {
                    "x": round((left + right) / 2, 3),
                    "y": round((top + bottom) / 2, 3),
                    "width": round(right - left, 2),
                    "height": round(bottom - top, 2),
                    "confidence": one["score"],
                    "class": one["label"],
                    "class_id": one["class"],
                }
            )
        height, width = result.picture.size
        seconds = round(result.milliseconds / 1000, 6)
        answers.append({"time": seconds, "image": {"width": width, "height": height}, "predictions": predictions})
    return answers[0] if len(answers) == 1 else answers


ANSWER_FORMATS: dict[str, Callable[[Sequence[Result]], Any]] = {
    "lucidbox": _records,
    "coco": _coco,
    "ultralytics": _ultralytics,
    "roboflow": _roboflow,
}
"""Shapes of answers in JSON."""

YOLO = "yolo"
"""The format that is text: of several pictures, each begins with a line ``# NAME``."""


def formatted(shape: str, results: Sequence[Result]) -> tuple[bytes, str]:
    """The body of an answer and its media type."""
    if shape == YOLO:
        return _yolo(results).encode(errors="replace"), "text/plain; charset=utf-8"
    return json_line(ANSWER_FORMATS[shape](results)).encode(), JSON


def _yolo(results: Sequence[Result]) -> str:
    lines = []
    for result in results:
        height, width = result.picture.size
        lines += [f"# {result.picture.source}"] if len(results) > 1 else []
        lines += txt_lines(result.detections, width, height)
    return "".join(f"{line}\n" for line in lines)


def annotated(result: Result, media_type: str) -> bytes:
    """The picture with its boxes, as PNG or JPEG."""
    from lucidbox.draw.annotate import draw
    from lucidbox.save.encode import encode_image

    return encode_image(draw(result.picture.pixels, result.detections), "." + media_type.removeprefix("image/"))


def wants(accept: str, media_type: str) -> bool:
    """Whether a client names this media type among those that it takes."""
    return any(part.partition(";")[0].strip().lower() == media_type for part in accept.split(","))


def json_of(body: bytes) -> Any:
    """The value of a JSON body.

    Raises:
        RequestError: 400, it is no JSON, or holds what no JSON may (NaN); 413, it is too long.
    """
    if len(body) > _LONGEST_JSON:
        raise RequestError(413, f"JSON of more than {_LONGEST_JSON} bytes; send pictures as files or binary data")
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise RequestError(400, f"the body is no JSON: {str(error)[:120]}") from error
