"""What a model file states about itself: classes, input size, what its graph is fixed to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lucidbox.model_files.layouts.layout import Layout

STRIDE = 32
"""Input pixels per cell of the coarsest level: sides of an input are multiples of it."""

LARGEST_SIDE = 16384
"""Longest side of an input, in pixels, that can be asked for, written or read anywhere."""

DEFAULT_CONF = 0.25
"""The score above which a box is shown where neither its model nor a user says otherwise."""


MOST_NAMES = 100_000
LONGEST_NAME = 200
"""Characters in a class name: it is drawn beside a box."""

LARGEST_INPUT = 2**29
"""Most pixels that a graph may be fixed to, batch and all: they are allocated for every answer."""

_LARGEST_SIDE = 8192
_MOST_BOXES = 2**31


@dataclass(frozen=True)
class Suppression:
    """What a graph that suppresses by itself keeps; :class:`lucidbox.detect.nms.Limits` explains each.

    Attributes:
        conf: least score, exclusive.
        iou: largest overlap with a better box of the same class.
        max_det: most boxes of an image.
    """

    conf: float = DEFAULT_CONF
    iou: float = 0.7
    max_det: int = 300


@dataclass(frozen=True)
class ModelInfo:
    """What a model file states about itself.

    Attributes:
        architecture: such as "yolo11n".
        names: class names, by class id.
        size: longer side of the input the network was trained for, pixels.
        licence: licence of the weights, as their source states it.
        source_sha256: hash of the file they were converted from.
        shape: batch, height and width that the graph is fixed to; None where it takes any.
        suppression: what the graph suppresses by itself; None where it leaves that to us.
        conf: the score above which its boxes are shown, unless a user says otherwise.
        precision: of the kernels: "fp32", "fp16" (storage only) or "int8" (convolutions compute in it).
        iou: the overlap above which a box is dropped, unless a user says otherwise; 1 where the answer has one box
            of each object.
        layout: how a model that lucidbox did not write takes pixels and answers; None for our own.
        reasons: why that layout was recognised.
        notes: what was assumed of it, for a user to check.
    """

    architecture: str
    names: tuple[str, ...]
    size: int
    licence: str
    source_sha256: str
    shape: tuple[int, int, int] | None = None
    suppression: Suppression | None = None
    conf: float = DEFAULT_CONF
    precision: str = "fp32"
    iou: float = 0.7
    layout: Layout | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the graph takes any shape, in fp32, and does not suppress: as it is first exported."""
        return self.shape is None and self.suppression is None and self.precision == "fp32"


def info_from(metadata: Mapping[str, str]) -> ModelInfo:
    """What the metadata of a graph state.

    Raises:
        KeyError, ValueError, RecursionError: an entry is missing or malformed.
    """
    names = json.loads(metadata["names"])
    if not isinstance(names, list) or len(names) > MOST_NAMES:
        raise ValueError("names are no list")
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names):
        raise ValueError("names are no short texts")
    size = int(metadata["size"])
    if not 32 <= size <= _LARGEST_SIDE or size % 32:
        raise ValueError("no size of ours")
    return ModelInfo(
        metadata["architecture"],
        tuple(names),
        size,
        metadata.get("licence", ""),
        metadata.get("source_sha256", ""),
        _shape(metadata),
        _suppression(metadata),
        conf_of(metadata),
        metadata.get("precision", "fp32"),
    )


def conf_of(metadata: Mapping[str, str]) -> float:
    """The score threshold that is stated, or the default.

    Raises:
        ValueError: the entry is malformed.
    """
    conf = float(metadata.get("conf", DEFAULT_CONF))
    if not 0 <= conf <= 1:
        raise ValueError("no score")
    return conf


def _shape(metadata: Mapping[str, str]) -> tuple[int, int, int] | None:
    if not metadata.get("shape"):
        return None
    batch, height, width = map(int, metadata["shape"].split(","))
    too_large = batch * height * width > LARGEST_INPUT
    if min(batch, height, width) < 1 or height % 32 or width % 32 or too_large:
        raise ValueError("no shape of ours")
    return batch, height, width


def _suppression(metadata: Mapping[str, str]) -> Suppression | None:
    if not metadata.get("suppression"):
        return None
    stated = json.loads(metadata["suppression"])
    if not isinstance(stated, dict):
        raise ValueError("suppression is no object")
    try:
        suppression = Suppression(float(stated["conf"]), float(stated["iou"]), int(stated["max_det"]))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("suppression is malformed") from error
    if not (0 <= suppression.conf <= 1 and 0 <= suppression.iou <= 1 and 1 <= suppression.max_det < _MOST_BOXES):
        raise ValueError("suppression is out of range")
    return suppression
