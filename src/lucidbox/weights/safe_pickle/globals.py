"""What a name in a pickle may become. Nothing named there is ever looked up, imported or called.

A pickle names Python objects as *module* and *name*, and the usual reader imports them: that is how a
weights file runs code. Here a name becomes one of the following, or is refused:

- a :class:`Builder`, one of the few plain values worth building (ordered dict, set, tensor, parameter);
- a :class:`StorageKind`, the element type of a tensor's bytes;
- an :class:`InertClass`, for classes whose objects are only recorded.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lucidbox.core.errors import WeightsError
from lucidbox.weights.families import OWN_CODE, READABLE
from lucidbox.weights.safe_pickle.storages import STORAGE_KINDS, StorageKind, parameter, tensor

_LONGEST_NAME = 200
"""Most characters of a module's or a class's name. A long one could be copied by every instruction."""

_LONGEST_KEY = 1000
"""Most characters of a dict's key or a set's item: equal ones are compared letter by letter, each time."""


@dataclass(frozen=True)
class Builder:
    """A function of ours that replaces a Python object named in a pickle."""

    name: str
    build: Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class InertClass:
    """The name of a class; nothing of it exists but the name."""

    name: str


@dataclass(eq=False, slots=True)
class Record:
    """What a pickle says about an object of an inert class; no such object is made.

    Attributes:
        name: the class's full name, such as "torch.nn.modules.conv.Conv2d".
        arguments: the arguments for its constructor.
        state: the values for its attributes; usually a dict.
        entries: its entries, if it is a list (items) or a dict (pairs).
    """

    name: str
    arguments: tuple[Any, ...]
    state: Any = None
    entries: list[Any] = field(default_factory=list)


def _ordered_dict(arguments: tuple[Any, ...]) -> OrderedDict[Any, Any]:
    if arguments:
        raise WeightsError("an ordered dict is built with arguments, which no writer of torch files does")
    return OrderedDict()


def _set(arguments: tuple[Any, ...]) -> set[Any]:
    if len(arguments) != 1 or not isinstance(arguments[0], list):
        raise WeightsError("a set is built from something that is not a list")
    return set(map(hashable, arguments[0]))


def hashable(value: Any) -> Any:
    """The value, if it may be a dict's key or a set's item: a short text or bytes, a number or None.

    Tuples are refused with everything else: their hashes can be made to collide, and hashing deeply
    nested ones exhausts the C stack.
    """
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST_KEY:
        raise WeightsError(f"a dict's key or a set's item has more than {_LONGEST_KEY} characters")
    if value is None or isinstance(value, (str, bytes, float)):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    raise WeightsError(f"a dict's key or a set's item is of type {type(value).__name__}")


BUILDERS = {
    name: Builder(name, build)
    for name, build in {
        "collections.OrderedDict": _ordered_dict,
        "__builtin__.set": _set,  # Python 2's name, which pickle protocol 2 keeps writing
        "builtins.set": _set,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": parameter,
    }.items()
}
"""Everything a pickle may build."""

_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_ARRAYS = ("multiarray.scalar", "multiarray._reconstruct")
_INERT_NAMES = {
    "types.SimpleNamespace",
    # Real checkpoints: a head remembers its last output's size, a criterion its device.
    "torch.Size",
    "torch.device",
    # A NumPy number ("best_fitness") is its type and its bytes; protocol 2 spells bytes as this call.
    "_codecs.encode",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.{name}" for core in ("_core", "core") for name in _ARRAYS),
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
}
_MODULE = re.compile(r"(ultralytics|torch\.nn)(\.(?!__)[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
# A class by Python's naming habit: some capital letter, and no dot, by which a name reaches into an object.
_CLASS = re.compile(r"(?!__)(?=[A-Za-z0-9_]*[A-Z])[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NUMPY_TYPE = re.compile(r"numpy\.((float|int|uint)[0-9]{1,3}|bool_?|dtypes\.[A-Z][A-Za-z0-9]*DType)", re.ASCII)


def meaning(module: Any, name: Any) -> Builder | StorageKind | InertClass:
    """What a name in a pickle becomes.

    Raises:
        WeightsError: the name is none of those a weights file needs.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise WeightsError("a name in its pickle is not text; the file is refused and nothing in it was run")
    if max(len(module), len(name)) > _LONGEST_NAME:
        raise WeightsError(f"a name in its pickle has more than {_LONGEST_NAME} characters; the file is refused")
    return _meaning(module, name)


@lru_cache(maxsize=10_000)
def _meaning(module: str, name: str) -> Builder | StorageKind | InertClass:
    full = f"{module}.{name}"
    if "." not in name:  # else "torch" + "_utils.x" would read like "torch._utils" + "x"
        if full in BUILDERS:
            return BUILDERS[full]
        if full in STORAGE_KINDS:
            return STORAGE_KINDS[full]
        if full in _INERT_NAMES or _NUMPY_TYPE.fullmatch(full) or _is_class_of_networks(module, name):
            return InertClass(full)
    for beginning, whose in OWN_CODE.items():
        if module.startswith(beginning):
            raise WeightsError(
                f"a checkpoint of {whose} own code ({full[:200]}), in which nothing was run; {READABLE}"
            )
    raise WeightsError(
        f"its pickle names {full[:200]!r}, which weights do not need; the file is refused and nothing in it "
        "was run. Get the weights from someone you trust, or have them saved as a plain state dict"
    )


def _is_class_of_networks(module: str, name: str) -> bool:
    return _MODULE.fullmatch(module) is not None and _CLASS.fullmatch(name) is not None
