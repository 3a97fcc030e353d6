"""Published checkpoints, which are whole pickled modules: their tensors, class names and licence."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lucidbox.core.errors import WeightsError
from lucidbox.weights.class_names import checked_names
from lucidbox.weights.contents import Tensors, WeightsSource, usable_size
from lucidbox.weights.families import READABLE, stated_network
from lucidbox.weights.licence_text import licence_of, stated
from lucidbox.weights.safe_pickle import Record

DEEPEST = 32
"""Most levels of nested modules. YOLO11 has about eight; a module that contains itself has no end."""

MOST_MODULES = 5_000
"""Most modules, and most entries of one. YOLO11x has 780 modules; a malicious file can repeat one endlessly."""

MOST_ENTRIES = 20_000
"""Most parameters, buffers and inner modules in all. YOLO11x has about 4,000; modules can share theirs, so that a
small file would name millions."""

_LONGEST_NAME = 100
"""Most characters in one module's or tensor's own name."""

MOST_WRAPPERS = 4
"""Most modules around a network that hold nothing but it."""

_STRIDES = [8, 16, 32]

GROUPS = ("_parameters", "_buffers", "_modules")
"""The attributes in which a torch module keeps its parts by name."""


def module_of(checkpoint: Any) -> Record | None:
    """The pickled network of a checkpoint, if there is one: the averaged one rather than the model itself."""
    places = [checkpoint.get(key) for key in ("ema", "model")] if isinstance(checkpoint, dict) else [checkpoint]
    return next((_inside_wrappers(place) for place in places if isinstance(place, Record)), None)


def _inside_wrappers(module: Record) -> Record:
    """The network in modules that hold nothing but it, such as torch's DataParallel; else the module."""
    inner: Any = module
    for _ in range(MOST_WRAPPERS):
        if not isinstance(inner, Record) or not isinstance(inner.state, dict):
            return module
        if "stride" in inner.state or "yaml" in inner.state:
            return inner
        parts = inner.state.get("_modules")
        if not isinstance(parts, dict) or len(parts) != 1:
            return module
        (inner,) = parts.values()
    return module


def read_module(checkpoint: Any, module: Record, file_name: str) -> WeightsSource:
    """The content of a published checkpoint.

    Args:
        checkpoint: the whole checkpoint.
        module: its network, from :func:`module_of`.
        file_name: for the provenance.

    Raises:
        WeightsError: the network is not built as torch modules are, or is not a detector of our strides.
    """
    attributes = _attributes(module, module.name)
    about = checkpoint if isinstance(checkpoint, dict) else {}
    class_name = module.name.rpartition(".")[2]
    network = stated_network(class_name, attributes)
    task = attributes.get("task", "detect")
    if not isinstance(task, str) or task != "detect":
        what = repr(task[:40]) if isinstance(task, str) else f"of type {_kind(task)}"
        raise WeightsError(f"{network or 'a network'} for the task {what}; lucidbox reads detectors")
    strides = attributes.get("stride")
    if isinstance(strides, np.ndarray) and (strides.size != len(_STRIDES) or strides.ravel().tolist() != _STRIDES):
        known = f"{strides.flat[:8].tolist()}; YOLO11's are {_STRIDES}"
        raise WeightsError(f"{network}; {READABLE}" if network else f"a network of strides {known}")
    names, arguments = attributes.get("names"), about.get("train_args")
    details = [class_name, *stated(about, version="version {}", date="{}")]
    return WeightsSource(
        tensors=state_dict(module),
        names=None if names is None else checked_names(names),
        licence=licence_of(about, attributes),
        provenance=f"published checkpoint {file_name} ({', '.join(details)})",
        size=usable_size(arguments.get("imgsz") if isinstance(arguments, dict) else None),
        network=network,
    )


def state_dict(module: Record) -> Tensors:
    """Every tensor of a recorded module, with the names and the order of torch's ``state_dict``.

    Raises:
        WeightsError: the records are not those of torch modules.
    """
    tensors: Tensors = {}
    entries = 0
    for count, (prefix, attributes) in enumerate(_modules(module, "", 0)):
        if count >= MOST_MODULES:
            raise WeightsError(f"its network has more than {MOST_MODULES} modules")
        hidden = attributes.get("_non_persistent_buffers_set", set())
        if not isinstance(hidden, set):
            raise WeightsError(f"{prefix}_non_persistent_buffers_set is not a set")
        own, buffers, inner = (_group(attributes, group, prefix) for group in GROUPS)
        entries += len(own) + len(buffers) + len(inner)
        if entries > MOST_ENTRIES:
            raise WeightsError(f"its network has more than {MOST_ENTRIES} parameters, buffers and modules")
        own |= {name: value for name, value in buffers.items() if name not in hidden}
        tensors |= _tensors(own, prefix)
    return tensors


def _tensors(own: Mapping[str, Any], prefix: str) -> Tensors:
    """A module's own tensors by their full names."""
    tensors: Tensors = {}
    for name, value in own.items():
        if value is None:  # a bias that a convolution does not have
            continue
        if not isinstance(value, np.ndarray):
            raise WeightsError(f"{prefix}{name} is not a tensor but a {_kind(value)}")
        tensors[prefix + name] = value
    return tensors


def _modules(module: Record, prefix: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Attributes of a module and of all modules in it, depth first, each with its prefix."""
    if depth > DEEPEST:
        raise WeightsError(f"its network has more than {DEEPEST} modules inside each other, at {prefix[:100]}")
    attributes = _attributes(module, prefix)
    yield prefix, attributes
    for name, inner in _group(attributes, "_modules", prefix).items():
        if inner is not None:
            if not isinstance(inner, Record):
                raise WeightsError(f"{prefix}{name} is not a module but a {_kind(inner)}")
            yield from _modules(inner, f"{prefix}{name}.", depth + 1)


def _attributes(module: Record, where: str) -> dict[str, Any]:
    if not isinstance(module.state, dict) or "_modules" not in module.state:
        raise WeightsError(f"{where.rstrip('.')} ({module.name}) is not a network")
    return module.state


def _group(attributes: Mapping[str, Any], group: str, prefix: str) -> dict[str, Any]:
    """A module's parameters, buffers or inner modules by name."""
    values = attributes.get(group)
    if not isinstance(values, dict) or len(values) > MOST_MODULES or not all(map(_is_name, values)):
        raise WeightsError(f"{prefix}{group} is not a dict of names, as torch modules have")
    return dict(values)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Record) else type(value).__name__
