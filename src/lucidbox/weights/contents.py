"""The content of a weights file of any format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.core.errors import WeightsError
from lucidbox.core.version import __version__
from lucidbox.model_files.metadata import DEFAULT_CONF, LARGEST_SIDE, STRIDE, conf_of
from lucidbox.weights.class_names import checked_names
from lucidbox.weights.licence_text import NOT_STATED, one_line

DEFAULT_SIZE = 640

LARGEST_OPTION = 4096
"""Largest number of base channels, and largest width of a class branch, that a file may state."""

Tensors = dict[str, Shaped[np.ndarray, "..."]]
"""Arrays by name."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's tensors, and what is known about them.

    Attributes:
        architecture: a name that :func:`lucidbox.model.build` knows.
        names: class names, by class id.
        tensors: the network's state by its own names, in the source's number type (which may be float16).
        licence: as the source states it, word for word, or :data:`~lucidbox.weights.licence_text.NOT_STATED`.
        provenance: where they come from, in words.
        source_sha256: hash of the file that they were first read from; empty for a network made here.
        size: longer side of the images the network is meant for, pixels, a multiple of 32.
        options: further options of ``build``.
        conf: the default score threshold for its boxes.

    Example:
        >>> weights = read("yolo11n.pt")
        >>> write(renamed(weights, names), Path("mine.safetensors"))
    """

    architecture: str
    names: tuple[str, ...]
    tensors: Tensors
    licence: str = NOT_STATED
    provenance: str = ""
    source_sha256: str = ""
    size: int = DEFAULT_SIZE
    options: dict[str, int] = field(default_factory=dict)
    conf: float = DEFAULT_CONF


@dataclass(frozen=True, eq=False)
class WeightsSource:
    """A file's content before its network is recognised: tensors by the file's names.

    Attributes:
        tensors: every tensor of the network's state, by the file's names.
        names: class names, or None where the file has none.
        licence: as in :class:`Weights`.
        provenance: as in :class:`Weights`.
        size: as in :class:`Weights`.
        network: what the file says the network is, where that is no YOLO11: "a YOLOv8n (yolov8n.yaml)".
    """

    tensors: Tensors
    names: tuple[str, ...] | None
    licence: str
    provenance: str
    size: int = DEFAULT_SIZE
    network: str = ""


def to_metadata(weights: Weights) -> dict[str, str]:
    """Everything but the tensors, as the metadata of our safetensors and ONNX files."""
    return {
        "architecture": weights.architecture,
        "options": json.dumps(weights.options, sort_keys=True),
        "names": json.dumps(weights.names, ensure_ascii=False),
        "stride": str(STRIDE),
        "size": str(weights.size),
        "conf": str(weights.conf),
        "licence": weights.licence,
        "provenance": weights.provenance,
        "source_sha256": weights.source_sha256,
        "lucidbox_version": __version__,
    }


def from_metadata(metadata: Mapping[str, str], tensors: Tensors) -> Weights:
    """The reverse of :func:`to_metadata`.

    Raises:
        WeightsError: an entry is missing or malformed.
    """
    try:
        stated = (metadata["size"], metadata["stride"])
        weights = Weights(
            architecture=metadata["architecture"],
            names=checked_names(json.loads(metadata["names"])),
            tensors=tensors,
            licence=one_line(metadata["licence"]),
            provenance=one_line(metadata["provenance"]),
            source_sha256=one_line(metadata["source_sha256"]),
            size=usable_size(int(stated[0])),
            options=_options(metadata["options"]),
            conf=conf_of(metadata),
        )
    except KeyError as error:
        raise WeightsError(f"its metadata lack {error.args[0]!r}; convert it again from its source") from None
    except (ValueError, RecursionError):
        raise WeightsError("its metadata are malformed; convert it again from its source") from None
    if stated != (str(weights.size), str(STRIDE)):
        raise WeightsError(
            f"its metadata state size {stated[0]} and stride {stated[1]}; no network of ours has these"
        )
    return weights


def _options(text: str) -> dict[str, int]:
    options = json.loads(text)
    if not isinstance(options, dict) or not all(type(value) is int for value in options.values()):
        raise ValueError("options are numbers by name")
    if any(value > LARGEST_OPTION for value in options.values()):
        raise ValueError("an option is too large")
    return options


def usable_size(size: object) -> int:
    """The image size that a file states, or the default if no network of ours can take it."""
    fits = type(size) is int and STRIDE <= size <= LARGEST_SIDE and size % STRIDE == 0
    return int(size) if fits else DEFAULT_SIZE  # type: ignore[call-overload]
