"""The door between the wings: any weights file becomes one ONNX file, once; from then on no torch is needed.

Knows: which file is already an ONNX of ours, where converted ones are kept, and what their metadata says.
Does not know: networks, tensors or engines. Conversion is lent from ``lucidbox.export`` and only then
imports torch.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from lucidbox.errors import WeightsError
from lucidbox.files import cache_folder, output_error, sha256_of

GRAPH_VERSION = 1
"""Raised whenever exported graphs change, so that cached ones of older versions are not used."""


@dataclass(frozen=True)
class ModelInfo:
    """What a weights file says about itself.

    Attributes:
        architecture: such as "yolo11n".
        names: class names, by class id.
        size: longer side of the input the network was trained for, pixels.
        licence: licence of the weights, as their source states it.
        source_sha256: hash of the file they were converted from.
    """

    architecture: str
    names: tuple[str, ...]
    size: int
    licence: str
    source_sha256: str


def through(weights: Path, say: Callable[[str], None] = lambda message: None) -> Path:
    """The ONNX file for a weights file: itself, or one made now or earlier and kept in the cache folder.

    Args:
        weights: .onnx of ours, .safetensors of ours, a published .pt, or a notebook checkpoint.
        say: told in a few words when a conversion starts, which takes seconds.

    Raises:
        WeightsError: the file is missing, refused, or must be converted where torch is not installed.
        OutputError: the cache folder cannot be written.
    """
    if not _needs_conversion(weights):
        return weights
    kept = cache_folder() / "models" / f"{sha256_of(weights)[:16]}-v{GRAPH_VERSION}.onnx"
    try:
        if kept.exists():
            return kept
    except OSError as error:
        raise output_error(kept, error) from error
    try:
        from lucidbox import export
        from lucidbox import weights as weights_files

        read = weights_files.read(weights)
        say(f"converting {weights.name} to ONNX, once; later runs find it in {kept.parent}")
        export.export_onnx(read, kept)
    except ImportError as error:
        raise WeightsError(
            f"{weights}: converting it once needs {error.name}; pip install 'lucidbox[train]', or convert it where"
            f" that is installed with: lucidbox weights convert {weights.name} {weights.stem}.onnx"
        ) from error
    return kept


def _needs_conversion(path: Path) -> bool:
    """Whether the content is anything but ONNX; the file's name says nothing.

    ONNX starts with the version of its form, field 1. What starts otherwise the weights reader takes, or
    says what is wrong with it.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(1) != b"\x08"
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_info(path: Path) -> ModelInfo:
    """What a weights file says about itself; of an ONNX file of ours the frame is read only, not the weights.

    Raises:
        WeightsError: the file is missing or refused, or is ONNX and not one of ours.
    """
    if _needs_conversion(path):
        from lucidbox import weights as weights_files

        read = weights_files.read(path)
        return ModelInfo(read.architecture, read.names, read.size, read.licence, read.source_sha256)
    try:
        with path.open("rb") as file:
            metadata = dict(_metadata(file))
        names = json.loads(metadata["names"])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("names are no texts")
        return ModelInfo(
            metadata["architecture"],
            tuple(names),
            int(metadata["size"]),
            metadata.get("licence", ""),
            metadata.get("source_sha256", ""),
        )
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(
            f"{path}: not an ONNX file made by lucidbox; make one with: lucidbox weights convert WEIGHTS OUT.onnx"
        ) from error


# An ONNX file is one protobuf message, ModelProto. Its field 14, metadata_props, is a list of
# StringStringEntryProto (1: key, 2: value). Reading it takes no package: https://protobuf.dev/programming-guides/encoding/
_METADATA_PROPS = 14


def _metadata(file: BufferedIOBase) -> Iterator[tuple[str, str]]:
    """Key and value of each metadata entry, skipping everything else without reading it."""
    end = file.seek(0, 2)
    file.seek(0)
    while file.tell() < end:
        number, wire_type = divmod(_varint(file), 8)
        if wire_type == 0:
            _varint(file)
            continue
        if wire_type != 2:
            raise ValueError("not a ModelProto")
        length = _varint(file)
        if file.tell() + length > end:
            raise ValueError("truncated")
        if number == _METADATA_PROPS:
            entry = file.read(length)
            yield _entry(entry)
        else:
            file.seek(length, 1)


def _entry(data: bytes) -> tuple[str, str]:
    """Key and value of one StringStringEntryProto."""
    file, fields = io.BytesIO(data), {}
    while file.tell() < len(data):
        tag = _varint(file)
        fields[tag >> 3] = file.read(_varint(file)).decode()
    return fields[1], fields.get(2, "")


def _varint(file: BufferedIOBase) -> int:
    """A protobuf variable-length integer."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("not a varint")
