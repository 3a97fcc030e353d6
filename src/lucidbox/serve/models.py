"""The models of a server: detectors by name, what each states about itself, and how it may be explained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from lucidbox.core.class_names import coco_category_ids
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.merging import merge
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Image, Predictor, View
from lucidbox.detect.tiles import views_together
from lucidbox.detector import Detector
from lucidbox.draw.palette import palette
from lucidbox.explain import DEFAULT_METHOD
from lucidbox.explain.methods import QUICK_METHODS
from lucidbox.model_files import look_at
from lucidbox.serve.batching import Batcher
from lucidbox.serve.request_errors import RequestError

NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
"""What names of models are made of: they stand in addresses."""

CARD_BATCH = 16
"""Most images that share one inference on a graphics card."""

BLACK_BOX = "drise"
"""The method that every engine can be explained by."""


@dataclass(frozen=True)
class ServedModel:
    """One model.

    Attributes:
        name: in addresses and parameters.
        detector: finds objects.
        explain: whether explanations are offered.
    """

    name: str
    detector: Detector
    explain: bool

    def predictor(self, alone: bool) -> Predictor:
        """The form that answers soonest for a request alone, else the one that answers most; the same bits."""
        return self.detector.predictor if alone else self.detector.stream_runner.predictor_for_many

    def detect(self, pixels: Image, limits: Limits, alone: bool) -> Detections:
        """Detections in one image; where the engine gains from it, together with those of other requests."""
        if self.batcher is not None:
            return self.detector.predictor.finish(self.batcher(pixels), limits)
        return self.predictor(alone)([pixels], None, limits)[0]

    def detect_in_views(
        self, pixels: Image, views: Sequence[View], limits: Limits, alone: bool, go_on: Callable[[], None]
    ) -> Detections:
        """Detections in several views of one image, put together; tiles share inferences among themselves.

        Args:
            pixels: the image.
            views: the whole image, then its tiles, all of one size.
            limits: what counts as a detection.
            alone: whether no other request waits.
            go_on: called before each inference; raises where nobody waits for the answer any more.
        """
        predictor, most = self.predictor(alone), 1
        if self.batcher is not None:
            predictor, most = self.detector.predictor, self.batcher.most
        parts: list[tuple[View, Detections]] = []
        for some in views_together(views, most):
            go_on()
            parts += zip(some, predictor([view.of(pixels) for view in some], None, limits), strict=True)
        return merge(parts, limits)

    @cached_property
    def batcher(self) -> Batcher | None:
        """What puts images of several requests together: on a graphics card, or where the detector has batches."""
        device = getattr(self.detector.engine, "device", None)
        most = max(self.detector.batch, CARD_BATCH if getattr(device, "type", "cpu") == "cuda" else 1)
        return Batcher(self.detector.predictor, most) if most > 1 else None

    def limits(self, changes: Mapping[str, Any]) -> Limits:
        """The model's limits with some changed.

        Raises:
            OptionError: a limit is out of range, or a class unknown.
        """
        return self.detector.limits_with(dict(changes))

    @cached_property
    def architecture(self) -> str:
        """What the file states, such as "yolo11n"."""
        return self.detector.info.architecture if self.detector.info else "unknown"

    @cached_property
    def methods(self) -> list[str]:
        """Methods of explanation that can run here, the default first."""
        if not self.explain:
            return []
        if not self._has_network():
            return [BLACK_BOX]
        # Searching takes too long for a client that waits; of drise the masks are limited.
        return [DEFAULT_METHOD, *(name for name in QUICK_METHODS if name != DEFAULT_METHOD)]

    def _has_network(self) -> bool:
        """Whether the network itself can be read; torch is looked for, not imported."""
        if self.detector.weights is None or not all(find_spec(name) for name in ("torch", "safetensors", "onnx")):
            return False
        file = look_at(self.detector.weights)
        return file.format == "weights" or (file.format == "onnx" and file.graph_info.precision != "int8")

    def to_dict(self) -> dict[str, Any]:
        """For ``GET /v1/models``."""
        limits = self.detector.limits
        return {
            "name": self.name,
            "architecture": self.architecture,
            "classes": list(self.detector.names),
            "colours": [f"#{bytes(palette(index)).hex()}" for index in range(len(self.detector.names))],
            "category_ids": coco_category_ids(self.detector.names),
            "size": list(self.detector.size),
            "conf": limits.conf,
            "iou": limits.iou,
            "max_det": limits.max_det,
            "engine": self.detector.engine.name,
            "precision": self.detector.engine.precision,
            "explain": bool(self.methods),
            "methods": self.methods,
        }


class ServedModels:
    """All models of a server, by name; the first is the default.

    Raises:
        OptionError: there is none, or a name cannot stand in an address.
    """

    def __init__(self, detectors: Mapping[str, Detector], explain: bool) -> None:
        if not detectors:
            raise OptionError("no model is given to serve")
        for name in detectors:
            if not name or not NAME_LETTERS.issuperset(name) or len(name) > 100 or set(name) == {"."}:
                raise OptionError(f"model name {name!r}: use letters, digits, '.', '_' and '-', at most 100")
        self.by_name = {name: ServedModel(name, detector, explain) for name, detector in detectors.items()}
        self.default = next(iter(self.by_name))

    def __getitem__(self, name: str | None) -> ServedModel:
        """The model of a name; of None the default.

        Raises:
            RequestError: 404, there is no such model.
        """
        model = self.by_name.get(self.default if name is None else name)
        if model is None:
            raise RequestError(404, f"there is no model {name!r}; there are {', '.join(self.by_name)}")
        return model
