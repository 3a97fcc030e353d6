"""Plain state dicts: of the notebook series, or of a published network, saved by torch's ``save``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lucidbox.core.errors import WeightsError
from lucidbox.weights.class_names import checked_names
from lucidbox.weights.contents import Tensors, WeightsSource, usable_size
from lucidbox.weights.licence_text import licence_of, stated

PLACES = ("model_state_dict", "model", "state_dict")
"""Keys under which training loops keep a state dict."""

NAME_KEYS = ("names", "class_names", "classes")
"""Keys under which they may keep class names."""


def read_state_dict(checkpoint: Any, file_name: str) -> WeightsSource:
    """The content of a checkpoint that is a state dict, or has one under a key of :data:`PLACES`.

    Raises:
        WeightsError: it has no state dict.
    """
    about: Mapping[Any, Any] = checkpoint if isinstance(checkpoint, dict) else {}
    places = [about, *(about[key] for key in PLACES if key in about)]
    for place in places:
        if _is_state_dict(place):
            details = [] if place is about else stated(about, version="version {}", date="{}")
            return WeightsSource(
                tensors=_with_text_names(place),
                names=None if place is about else _names(about),
                licence=licence_of(about),
                provenance=" ".join([f"state dict {file_name}", *details]),
                size=usable_size(about.get("img_size")),
            )
    raise WeightsError(
        f"a checkpoint without a network: it holds neither a pickled YOLO11 nor tensors, bare or under one of "
        f"{', '.join(PLACES)}"
    )


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(item, np.ndarray) for item in value.values())


def _with_text_names(state: Mapping[Any, Any]) -> Tensors:
    if not all(isinstance(name, str) for name in state):
        raise WeightsError("a tensor's name is not text")
    return dict(state)


def _names(about: Mapping[Any, Any]) -> tuple[str, ...] | None:
    for key in NAME_KEYS:
        if isinstance(about.get(key), (list, tuple, dict)):
            return checked_names(about[key])
    return None
