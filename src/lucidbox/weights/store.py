"""Our own format: safetensors (https://github.com/huggingface/safetensors) with metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.core.errors import WeightsError
from lucidbox.core.filesystem import atomic_write
from lucidbox.weights.contents import Weights, WeightsSource, from_metadata, to_metadata
from lucidbox.weights.licence_text import licence_of
from lucidbox.weights.recognise import check_count, checked, kind_of, recognise
from lucidbox.weights.safe_pickle import bfloat16_to_float32

_FORMAT = "lucidbox"
FORMAT_VERSION = "1"

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip
_LENGTH_BYTES = 8


def write(weights: Weights, path: Path) -> None:
    """Write weights; if that fails, there is no file, or the old one.

    Raises:
        WeightsError: the tensors are not those of the network that the weights state.
        OutputError: the file cannot be written.
    """
    atomic_write(path, to_bytes(checked(weights, kind_of(weights))))


def to_bytes(weights: Weights) -> bytes:
    """The file's content."""
    from safetensors.numpy import save

    metadata = {"format": _FORMAT, "format_version": FORMAT_VERSION, **to_metadata(weights)}
    tensors = {name: np.asarray(array, order="C") for name, array in weights.tensors.items()}
    content: bytes = save(tensors, metadata=metadata)
    # The package writes metadata in random order; sorted, the same weights always give the same bytes.
    header = _header(content)
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + content[_header_end(content) :]


def read_safetensors(content: bytes, sha256: str, file_name: str) -> Weights:
    """Weights from the content of a safetensors file, ours or a plain state dict.

    Raises:
        WeightsError: the content is damaged, or of no network of ours.
    """
    from safetensors import SafetensorError, deserialize

    try:
        parts = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise WeightsError(f"truncated or damaged safetensors ({error}); fetch or copy the file again") from None
    check_count(len(parts))
    tensors = {name: _array(name, part) for name, part in parts}
    metadata = _header(content).get("__metadata__") or {}
    if metadata.get("format") != _FORMAT:
        provenance = f"safetensors {file_name}"
        return recognise(WeightsSource(tensors, None, licence_of(metadata), provenance), sha256)
    if metadata.get("format_version") != FORMAT_VERSION:
        raise WeightsError(
            f"of format version {metadata.get('format_version')}; this lucidbox reads {FORMAT_VERSION}: "
            "use the lucidbox that wrote it, or a newer one"
        )
    weights = from_metadata(metadata, tensors)
    return checked(weights, kind_of(weights))


def _array(name: str, part: Mapping[str, object]) -> Shaped[np.ndarray, "..."]:
    dtype = str(part["dtype"])
    if dtype not in _TYPES:
        raise WeightsError(f"tensor {name} is of type {dtype}, which no network of ours has")
    flat = np.frombuffer(part["data"], _TYPES[dtype])  # type: ignore[call-overload]
    try:
        shaped = flat.reshape(part["shape"])
    except ValueError:  # an array without numbers can claim any shape
        raise WeightsError(f"tensor {name[:200]} has the shape {part['shape']}, which no network has") from None
    array = shaped.astype(np.dtype(_TYPES[dtype]).newbyteorder("="), copy=False)
    return bfloat16_to_float32(array) if dtype == "BF16" else array


def _header_end(content: bytes) -> int:
    return _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")


def _header(content: bytes) -> dict[str, dict[str, str]]:
    """The JSON at the start: each tensor's position, and the metadata."""
    header: dict[str, dict[str, str]] = json.loads(content[_LENGTH_BYTES : _header_end(content)])
    return header
