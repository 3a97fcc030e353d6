"""Tensors of a torch file as NumPy arrays: storages (flat bytes of one type) and strided views of them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float32, Shaped
from lucidbox.core.errors import WeightsError

MAX_DIMENSIONS = 8

_LARGEST = 2**40
"""More than any length, offset or stride of a tensor of weights."""


@dataclass(frozen=True)
class StorageKind:
    """The element type of a storage, by torch's name for it.

    Attributes:
        name: torch's name, "HalfStorage".
        dtype: the elements as they are in the file, little endian; bfloat16 as its 16 raw bits.
        is_bfloat16: whether those bits are bfloat16, which NumPy lacks.
    """

    name: str
    dtype: str
    is_bfloat16: bool = False

    @property
    def bytes_per_element(self) -> int:
        """Size of one element in the file."""
        return np.dtype(self.dtype).itemsize


STORAGE_KINDS = {
    f"torch.{kind.name}": kind
    for kind in (
        StorageKind("DoubleStorage", "<f8"),
        StorageKind("FloatStorage", "<f4"),
        StorageKind("HalfStorage", "<f2"),
        StorageKind("BFloat16Storage", "<u2", is_bfloat16=True),
        StorageKind("LongStorage", "<i8"),
        StorageKind("IntStorage", "<i4"),
        StorageKind("ShortStorage", "<i2"),
        StorageKind("CharStorage", "<i1"),
        StorageKind("ByteStorage", "<u1"),
        StorageKind("BoolStorage", "|b1"),
    )
}


@dataclass(frozen=True, eq=False)
class Storage:
    """The elements of one storage."""

    elements: Shaped[np.ndarray, " elements"]


def bfloat16_to_float32(bits: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Numbers from their bfloat16 bits: bfloat16 is float32's upper half, so this is exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def storage(kind: StorageKind, content: bytes, count: int, big_endian: bool) -> Storage:
    """The storage whose bytes are ``content``; raises as :func:`check_length` does."""
    check_length(kind, content, count)
    dtype = np.dtype(kind.dtype).newbyteorder(">" if big_endian else "<")
    if kind.name == "BoolStorage":  # any byte but 0 and 1 would be a bool NumPy does not know
        elements = np.frombuffer(content, np.uint8) != 0
    else:
        elements = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)
    return Storage(bfloat16_to_float32(elements) if kind.is_bfloat16 else elements)


def check_length(kind: StorageKind, content: bytes, count: int) -> None:
    """Check a storage's bytes against its stated number of elements.

    Raises:
        WeightsError: the number of bytes is not that of ``count`` elements.
    """
    wanted = count * kind.bytes_per_element
    if len(content) != wanted:
        raise WeightsError(
            f"a {kind.name} of {count} elements should have {wanted} bytes and has {len(content)}; "
            "the file is damaged"
        )


def tensor(arguments: tuple[Any, ...]) -> Shaped[np.ndarray, "..."]:
    """A tensor: a view of a storage, with the arguments of torch's ``_rebuild_tensor_v2``.

    Args:
        arguments: storage, offset, shape, strides (offset and strides count elements), and others that do not
            affect the values: whether it requires gradients, its hooks.

    Raises:
        WeightsError: the arguments are not those of a tensor, or it reaches outside its storage.
    """
    if len(arguments) < 4:
        raise WeightsError(f"a tensor is described by {len(arguments)} arguments instead of four or more")
    source, offset, shape, strides = arguments[:4]
    if not isinstance(source, Storage) or not all(isinstance(part, tuple) for part in (shape, strides)):
        raise WeightsError("a tensor is described by something other than a storage and whole numbers")
    # Before they are looked through: one tuple can be the shape of many tensors.
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(f"a tensor has {len(shape)} dimensions and {len(strides)} strides")
    if not _counts((offset, *shape, *strides)):
        raise WeightsError("a tensor is described by something other than a storage and whole numbers")
    available = source.elements.size
    count = math.prod(shape)
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    # A view larger than its storage repeats elements. No weights do, and a tiny file could claim terabytes.
    outside = offset > available or count > available or (count > 0 and last >= available)
    if outside or math.prod(length or 1 for length in shape) >= _LARGEST:
        raise WeightsError(f"a tensor of shape {list(shape)} reaches outside its storage of {available} elements")
    if count == 0:
        return np.empty(shape, source.elements.dtype)
    item = source.elements.itemsize
    byte_strides = tuple(stride * item for stride in strides)
    return np.ndarray(shape, source.elements.dtype, source.elements, offset * item, byte_strides)


def parameter(arguments: tuple[Any, ...]) -> Shaped[np.ndarray, "..."]:
    """A parameter is its tensor, the first argument of torch's ``_rebuild_parameter``.

    Raises:
        WeightsError: it is built from something else.
    """
    if not arguments or not isinstance(arguments[0], np.ndarray):
        raise WeightsError("a parameter is built from something that is not a tensor")
    return arguments[0]


def _counts(values: tuple[Any, ...]) -> bool:
    """Whether these are whole numbers from 0 that fit an array's index."""
    return all(type(value) is int and 0 <= value < _LARGEST for value in values)
