"""From an uploaded picture to why a box is there, or why none is: heat map, figures, words."""

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.class_names import class_ids
from lucidbox.core.detections import Detections
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.explain import METHODS, Explanation, Masking, Near, near_anchors
from lucidbox.explain.explanation import explain_targets
from lucidbox.explain.methods import network_of
from lucidbox.explain.near_anchors import as_detection
from lucidbox.explain.targets import Target, target_at, target_of
from lucidbox.images.reading import read_image
from lucidbox.save.encode import encode_image
from lucidbox.serve.models import BLACK_BOX, ServedModel
from lucidbox.serve.parameters import limit_changes, number, whole
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.uploads import UploadedFile
from lucidbox.serve.worker_pool import Job

_Item = TypeVar("_Item")

PARAMETERS = frozenset({"model", "method", "conf", "box", "at", "class", "masks", "heat"})
"""What a request for an explanation may say."""

MASKS = 300
"""Masks of drise unless a request says otherwise: a client waits for them."""

MOST_MASKS = 4000
_MOST_ARRAY = 4_000_000  # pixels of a map that is asked for as an array
_FIGURES = ("inside", "area", "pointing", "deletion", "insertion", "beyond_place", "randomised", "suspicious")


@dataclass(frozen=True)
class Question:
    """What is to be explained.

    Attributes:
        model: whose detection.
        method: a key of :data:`lucidbox.explain.METHODS` that the model has.
        limits: what counts as a detection.
        box: number of the detection, 1 is the best; None with ``place``.
        place: xyxy, where something was missed; None with ``box``.
        class_id: what was missed there.
        masks: of drise.
        array: whether the map is wanted as an array.
    """

    model: ServedModel
    method: str
    limits: Limits
    box: int | None
    place: tuple[float, ...] | None
    class_id: int
    masks: int
    array: bool


def question_of(model: ServedModel, given: Mapping[str, str]) -> Question:
    """The question that parameters ask.

    Raises:
        RequestError: 400 malformed, 404 no explanations here, 422 the model cannot do this.
        OptionError: the class is not in the model.
    """
    if not model.methods:
        raise RequestError(404, "explanations are switched off")
    method = given.get("method", model.methods[0])
    if method not in model.methods:
        why = "cannot follow this model's network" if method in METHODS else "is unknown"
        raise RequestError(422, f"method {method[:40]!r} {why}; there are {', '.join(model.methods)}")
    if given.get("heat", "png") not in ("png", "npy"):
        raise RequestError(422, "heat is png or npy")
    masks = whole(given, "masks")
    if masks is not None and not 1 <= masks <= MOST_MASKS:
        raise RequestError(422, f"masks {masks} is not between 1 and {MOST_MASKS}")
    place = _place(given.get("at"))
    if (place is None) == ("class" in given) or (place is not None and "box" in given):
        raise RequestError(422, "give box=N, or at=x1,y1,x2,y2 with class=NAME")
    (class_id,) = class_ids([given["class"]], model.detector.names) if place else [0]
    box = None if place else whole({"box": "1", **given}, "box")
    limits = model.limits(limit_changes({"conf": given["conf"]} if "conf" in given else {}))
    return Question(model, method, limits, box, place, class_id, masks or MASKS, given.get("heat") == "npy")


def _place(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 4:
        raise RequestError(400, f"at {text[:40]!r}: give four numbers, left,top,right,bottom")
    return tuple(number({"at": part.strip()}, "at") or 0.0 for part in parts)


@dataclass(frozen=True)
class ExplainedUpload:
    """The answer to a question.

    Attributes:
        explanation: the map and its figures.
        near: the anchors nearest to the place asked about.
        array: whether the map is wanted as an array.
    """

    explanation: Explanation
    near: list[Near]
    array: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON. The last caption is the verdict."""
        stated = self.explanation.to_dict()
        captions = self.explanation.captions()
        words = captions[:-1] + [_in_words(near) for near in self.near]
        detection = {name: stated[name] for name in ("box", "score", "class", "label")}
        return {
            "method": stated["method"],
            "layers": stated["layers"],
            "detection": detection,
            "heat": self._heat(),
            "figures": {name: stated[name] for name in _FIGURES},
            "verdict": captions[-1],
            "words": words,
            **({"near": [near.to_dict() for near in self.near]} if self.near else {}),
        }

    def panel(self) -> bytes:
        """Picture, map and both as one PNG, with the figures in words below."""
        return encode_image(self.explanation.draw(), ".png")

    def _heat(self) -> dict[str, Any]:
        heat = self.explanation.heatmap
        height, width = heat.shape
        size = {"width": width, "height": height}
        if not self.array:
            levels: UInt8[np.ndarray, "h w"] = np.rint(heat * 255).astype(np.uint8)
            return {"png": b64encode(_grey_png(levels)).decode(), **size}
        if heat.size > _MOST_ARRAY:
            raise RequestError(422, f"a map of more than {_MOST_ARRAY} pixels is given as PNG only")
        array = io.BytesIO()
        np.save(array, heat)
        return {"npy": b64encode(array.getvalue()).decode(), **size}


def _grey_png(levels: UInt8[np.ndarray, "h w"]) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", levels)[1].tobytes())


def _in_words(near: Near) -> str:
    box = ", ".join(f"{side:.0f}" for side in near.box)
    return f"score {near.score:.3g}, IoU {near.iou:.2f}, box {box}: {near.fate}"


def explain_upload(question: Question, file: UploadedFile, max_pixels: int, job: Job) -> ExplainedUpload:
    """Answer a question about an uploaded picture; called in a worker's thread.

    Raises:
        ImageError: the file is no picture that can be read.
        OptionError: there is no such box, or the place is outside of the picture.
        RequestError: nobody waits for the answer any more.
    """
    name = "picture" if file.name == "-" else file.name
    pixels = read_image(file.content, max_pixels=max_pixels, name=name)
    predictor = replace(question.model.detector.predictor, limits=question.limits)
    raw = predictor.infer([pixels])[0].copy()
    shown, target, near = _subject(question, predictor, raw)
    network = None
    if question.method != BLACK_BOX:
        network = network_of(question.model.detector, question.method)
    masking = Masking(masks=question.masks, progress=lambda items, count: _while_awaited(items, job))
    (explanation,) = explain_targets(
        predictor, raw, [shown], [target], method=question.method, network=network, masking=masking
    )
    return ExplainedUpload(explanation, near, question.array)


def _subject(
    question: Question, predictor: Predictor, raw: RawPrediction
) -> tuple[Detections, Target, list[Near]]:
    """What is explained: a detection, or what came nearest to one at a place."""
    if question.place is not None:
        near = near_anchors(raw, predictor.names, question.place, question.class_id, question.limits)
        best = near[0]
        shown = as_detection(best, question.class_id, predictor.names)
        return shown, target_at(raw, best.anchor, question.class_id), near
    found = predictor.finish(raw)
    assert question.box is not None
    if not 1 <= question.box <= len(found):
        there = f"there are {len(found)}, best first" if len(found) else "nothing was detected; lower conf"
        raise RequestError(404, f"box {question.box} does not exist: {there}")
    detection = found[question.box - 1]
    return detection, target_of(raw, detection), []


def _while_awaited(items: Iterable[_Item], job: Job) -> Iterator[_Item]:
    """The items, as long as somebody waits for what is made of them."""
    for item in items:
        if job.dropped.is_set():
            raise RequestError(503, "given up")
        yield item
