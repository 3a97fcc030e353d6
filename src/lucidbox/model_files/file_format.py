"""Which format a model file has, and the metadata it carries, read without any engine.

Knows ONNX, OpenVINO IR and TorchScript, by their content. Does not know networks or engines.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from lucidbox.core.errors import WeightsError

Format = Literal["onnx", "openvino", "torchscript", "weights"]
"""A format that an engine runs as it is; "weights" is everything else, for :mod:`lucidbox.weights` to read."""

TORCHSCRIPT_SUFFIXES = (".torchscript", ".ts")
"""TorchScript is a program. Only a name that says so makes us run one; in a ``.pt`` nothing is ever run."""

EXTRA_FILE = "lucidbox.json"
"""The entry of a TorchScript archive that holds our metadata."""

LARGEST_METADATA = 10_000_000
"""Most bytes of metadata that are read from an archive."""


def format_of(path: Path) -> Format:
    """The format of a file, by its content; for TorchScript by its name, too.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    # An ONNX file's first field is the version of its format. A safetensors file begins with the length of its
    # header, eight bytes that may begin alike, and the header's brace.
    if start[:1] == b"\x08" and not (start[4:8] == bytes(4) and start[8:9] == b"{"):
        return "onnx"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net")):
        return "openvino"
    if start.startswith(b"PK") and path.suffix.lower() in TORCHSCRIPT_SUFFIXES:
        return "torchscript"
    return "weights"


def read_metadata(path: Path, file_format: Format) -> dict[str, str]:
    """The metadata that lucidbox wrote into a file; empty where there are none.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError: it is damaged, or not of that format.
    """
    if file_format == "openvino":
        return _of_ir(path)
    if file_format == "torchscript":
        return _of_torchscript(path)
    with path.open("rb") as file:
        return dict(_of_onnx(file))


def parsed_ir(path: Path) -> ElementTree.Element:
    """The XML of an OpenVINO IR.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such XML.
    """
    content = path.read_bytes()
    # OpenVINO writes neither; entities are how XML is made to fill the memory.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("XML with a document type")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ValueError("not XML") from error


def _of_ir(path: Path) -> dict[str, str]:
    """Values below ``rt_info/lucidbox`` of an OpenVINO IR."""
    entries = parsed_ir(path).find("rt_info/lucidbox")
    return {} if entries is None else {entry.tag: entry.get("value", "") for entry in entries}


def _of_torchscript(path: Path) -> dict[str, str]:
    """Our entry in a TorchScript archive, which is a zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/extra/{EXTRA_FILE}")]
            if len(names) != 1 or archive.getinfo(names[0]).file_size > LARGEST_METADATA:
                return {}
            metadata = json.loads(archive.read(names[0]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError("damaged archive") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata are no texts")
    return metadata


# An ONNX file is one protobuf message, ModelProto. Its field 14, metadata_props, is a list of
# StringStringEntryProto (1: key, 2: value). Reading it takes no package: https://protobuf.dev/programming-guides/encoding/
_METADATA_PROPS = 14


def _of_onnx(file: BufferedIOBase) -> Iterator[tuple[str, str]]:
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
    if 1 not in fields:
        raise ValueError("an entry without a key")
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
