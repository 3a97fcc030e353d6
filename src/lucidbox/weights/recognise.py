"""Find out which network a file's tensors belong to, and check that all are present and valid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.model_files.metadata import MOST_NAMES
from lucidbox.weights import keys
from lucidbox.weights.contents import LARGEST_OPTION, Tensors, Weights, WeightsSource
from lucidbox.weights.families import READABLE, family_of
from lucidbox.weights.unwrapping import STEM, unwrapped, with_norms

if TYPE_CHECKING:
    from lucidbox.model import Network

MOST_NAMED = 3
"""Most tensors named in one message."""

_RGB = 3
_KERNEL_AXES = 4

DISTRIBUTION_SHAPE = (1, 16, 1, 1)
"""Shape of the published fixed numbers."""

MOST_TENSORS = 20_000
"""Most tensors of a file. YOLO11x has 1,000."""

MOST_BINS = 1024
"""Most fixed numbers that are compared; a network of ours has 16."""


@dataclass(frozen=True)
class TensorSpec:
    """The shape and the type that a network requires of one tensor."""

    shape: tuple[int, ...]
    is_floating: bool


@dataclass(frozen=True)
class NetworkKind:
    """The arguments with which :func:`lucidbox.model.build` makes a network."""

    architecture: str
    classes: int
    options: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.architecture} of {self.classes} {'class' if self.classes == 1 else 'classes'}"


def recognise(source: WeightsSource, source_sha256: str) -> Weights:
    """The weights in a file.

    Raises:
        WeightsError: they are of no network of ours, tensors are missing, left over or of wrong shape, numbers
            are not finite, or there are more or fewer class names than classes.
    """
    check_count(len(source.tensors))
    given = unwrapped(source.tensors)
    is_published = any(name.startswith("model.") for name in given)
    try:
        return _recognised(replace(source, tensors=given), source_sha256, is_published)
    except WeightsError:
        if other := source.network or (family_of(given) if is_published else ""):
            raise WeightsError(f"{other}; {READABLE}") from None
        raise


def check_count(count: int) -> None:
    """Refuse more tensors than any network has.

    Raises:
        WeightsError: there are more.
    """
    if count > MOST_TENSORS:
        raise WeightsError(f"{count} tensors; at most {MOST_TENSORS} are read")


def _recognised(source: WeightsSource, source_sha256: str, is_published: bool) -> Weights:
    tensors = _from_published(source.tensors) if is_published else source.tensors
    is_notebook = any(name.startswith("backbone.stage1.") for name in tensors)
    kind = _notebook(tensors) if is_notebook else _yolo11(tensors)
    if kind.classes > MOST_NAMES:  # a small file can claim very many
        raise WeightsError(f"a network of {kind.classes} classes; at most {MOST_NAMES} are read")
    for option, value in kind.options:
        if value > LARGEST_OPTION:
            raise WeightsError(f"a network with {option} {value}; at most {LARGEST_OPTION} is read")
    if any(name.endswith(".conv.bias") for name in tensors):
        tensors = with_norms(tensors, empty_network(kind))
    placeholders = tuple(f"class_{number}" for number in range(kind.classes))
    return checked(
        Weights(
            architecture=kind.architecture,
            names=placeholders if source.names is None else source.names,
            tensors=tensors,
            licence=source.licence,
            provenance=source.provenance,
            source_sha256=source_sha256,
            size=source.size,
            options=dict(kind.options),
        ),
        kind,
        keys.to_published if is_published else str,
    )


def kind_of(weights: Weights) -> NetworkKind:
    """The network that weights state; their tensors may be of another."""
    return NetworkKind(weights.architecture, len(weights.names), tuple(sorted(weights.options.items())))


def checked(weights: Weights, kind: NetworkKind, spell: Callable[[str], str] = str) -> Weights:
    """The weights with their tensors in the network's order, if the network can be made of them.

    Args:
        weights: any.
        kind: the network that the tensors should be of.
        spell: gives the file's name of one of our tensors, for messages.

    Raises:
        WeightsError: as for :func:`recognise`.
    """
    if len(weights.names) != kind.classes:
        raise WeightsError(
            f"{len(weights.names)} class names for {kind.classes} classes; the numbers must be equal"
        )
    specs, tensors = expected(kind), weights.tensors
    _refuse_any(f"these tensors of a {kind} are missing", (spell(name) for name in specs if name not in tensors))
    _refuse_any(f"these tensors do not belong to a {kind}", (name for name in tensors if name not in specs))
    for name, spec in specs.items():
        _check_tensor(spell(name), tensors[name], spec, kind)
    return replace(weights, tensors={name: tensors[name] for name in specs})


@lru_cache(maxsize=16)
def expected(kind: NetworkKind) -> dict[str, TensorSpec]:
    """Shape and type of every tensor of a network's state, in its order.

    Raises:
        WeightsError: there is no such network.
    """
    state = empty_network(kind).state_dict()
    return {name: TensorSpec(tuple(tensor.shape), tensor.is_floating_point()) for name, tensor in state.items()}


def empty_network(kind: NetworkKind) -> "Network":
    """A network whose tensors have shapes but no values (torch's meta device).

    Raises:
        WeightsError: there is no such network.
    """
    import torch

    from lucidbox.model import build

    try:
        with torch.device("meta"):
            return build(kind.architecture, kind.classes, **dict(kind.options))
    except OptionError as error:
        raise WeightsError(str(error)) from None


def _check_tensor(name: str, array: Shaped[np.ndarray, "..."], spec: TensorSpec, kind: NetworkKind) -> None:
    if array.shape != spec.shape:
        raise WeightsError(f"tensor {name} has shape {list(array.shape)}; a {kind} needs {list(spec.shape)}")
    if (array.dtype.kind == "f") != spec.is_floating:
        wanted = "floating-point" if spec.is_floating else "whole"
        raise WeightsError(f"tensor {name} is of type {array.dtype}; it should hold {wanted} numbers")
    if spec.is_floating and not np.isfinite(array).all():
        raise WeightsError(
            f"tensor {name} holds NaN or infinite numbers; the file is damaged or its training failed"
        )
    if name.endswith(".running_var") and (array < 0).any():
        raise WeightsError(f"tensor {name} holds a negative variance; the file is damaged")


def _refuse_any(problem: str, names: Iterable[str]) -> None:
    listed = list(names)
    if listed:
        more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
        raise WeightsError(f"{problem}: {', '.join(listed[:MOST_NAMED])}{more}")


def _from_published(tensors: Tensors) -> Tensors:
    """The same tensors by our names, without the fixed numbers, which are checked."""
    fixed = tensors.get(keys.DISTRIBUTION_KEY)
    if fixed is None:
        raise WeightsError(f"this tensor of a published network is missing: {keys.DISTRIBUTION_KEY}")
    if fixed.shape != DISTRIBUTION_SHAPE:
        shapes = f"has shape {list(fixed.shape)}; YOLO11 needs {list(DISTRIBUTION_SHAPE)}"
        raise WeightsError(f"tensor {keys.DISTRIBUTION_KEY} {shapes}")
    keys.check_distribution(keys.DISTRIBUTION_KEY, fixed.ravel().tolist())
    return {keys.from_published(name): array for name, array in tensors.items() if name != keys.DISTRIBUTION_KEY}


_CLASS_WIDTH = "head.class_branches.0.first.pointwise.conv.weight"


def _yolo11(tensors: Tensors) -> NetworkKind:
    """The size whose first convolution and depth are the file's; two sizes differ in depth alone.

    The class branch's width is the file's too: fine-tuned weights keep that of the weights they began with.
    """
    from lucidbox.model.yolo11 import SIZES, default_class_width

    channels = _stem_channels(tensors)
    depth = 1 + any(name.startswith("backbone.mix_p2.repeats.1.") for name in tensors)
    classes = _first_axis(tensors, "head.class_branches.0.predict.weight")
    fitting = [name for name, size in SIZES.items() if size.channels(64) == channels]
    if not fitting:
        widths = ", ".join(f"{name} {size.channels(64)}" for name, size in SIZES.items())
        raise WeightsError(f"the first convolution has {channels} channels; YOLO11 has them as follows: {widths}")
    best = min(fitting, key=lambda name: abs(SIZES[name].repeats - depth))
    # Where this tensor is missing, the check that follows says so by the file's own name for it.
    default = default_class_width(SIZES[best].channels(256), classes)
    width = _first_axis(tensors, _CLASS_WIDTH) if _CLASS_WIDTH in tensors else default
    return NetworkKind(f"yolo11{best}", classes, () if width == default else (("class_width", width),))


def _notebook(tensors: Tensors) -> NetworkKind:
    for name, array in tensors.items():
        if name.endswith(".dfl.project"):
            if array.size > MOST_BINS:  # before it is made a list, which needs many times the memory
                raise WeightsError(f"tensor {name} has shape {list(array.shape)}, which no network has")
            keys.check_distribution(name, array.ravel().tolist())
    classes = _first_axis(tensors, "head_p3.cls_branch.2.weight")
    return NetworkKind("notebook", classes, (("base_channels", _stem_channels(tensors)),))


def _stem_channels(tensors: Tensors) -> int:
    """Channels that the first convolution makes of an RGB image.

    Raises:
        WeightsError: it takes images of other kinds.
    """
    channels = _first_axis(tensors, STEM)
    shape = tensors[STEM].shape
    if len(shape) == _KERNEL_AXES and shape[1] != _RGB:
        what = "grey images" if shape[1] == 1 else f"images of {shape[1]} channels"
        raise WeightsError(f"a network for {what}; lucidbox reads networks for RGB, of {_RGB} channels")
    return channels


def _first_axis(tensors: Tensors, name: str) -> int:
    """Length of a tensor's first axis, by which a network is recognised.

    Raises:
        WeightsError: the tensor is missing, or has no such axis or no numbers.
    """
    array = tensors.get(name)
    if array is None:
        raise WeightsError(
            f"no network of ours: it lacks the tensor {name}. lucidbox reads YOLO11 detectors as published, "
            "checkpoints of the notebook series, and its own files"
        )
    # An array without numbers can claim any length in a small file.
    if array.ndim == 0 or array.size == 0:
        raise WeightsError(f"tensor {name} has shape {list(array.shape)}, which no network has")
    return int(array.shape[0])
