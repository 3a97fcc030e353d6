"""Files that engines run as they are: which form one has, and what its metadata say. Needs no engine.

Knows: ONNX, OpenVINO IR and TorchScript as ``lucidbox export`` writes them, by their content. Does not know:
networks, engines, or how such files are made.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

Format = Literal["onnx", "openvino", "torchscript", "weights"]
"""A form an engine runs as it is; "weights" is everything else, for the weights reader to recognise."""

TORCHSCRIPT_SUFFIXES = (".torchscript", ".ts")
"""TorchScript is a program. Only a name that says so makes us run one; in a ``.pt`` nothing is ever run."""

EXTRA_FILE = "lucidbox.json"
"""The entry of a TorchScript archive that holds our metadata."""

DEFAULT_CONF = 0.25
"""The score above which a box is shown where neither its model nor a user says otherwise."""

LARGEST_METADATA = 10_000_000
"""Most bytes of metadata that are read from an archive."""


@dataclass(frozen=True)
class Suppression:
    """What a graph that suppresses by itself was told to keep; :class:`lucidbox.detect.nms.Limits` explains each.

    Attributes:
        conf: least score, exclusive.
        iou: most overlap with a better box of the same class.
        max_det: most boxes of a picture.
    """

    conf: float = DEFAULT_CONF
    iou: float = 0.7
    max_det: int = 300


def form_of(path: Path) -> Format:
    """The form of a file, by its content; for TorchScript by its name, too.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(64)
    # An ONNX file's first field is the version of its form. A safetensors file begins with the length of its
    # header, eight bytes that may begin alike, and the header's brace.
    if start[:1] == b"\x08" and not (start[4:8] == bytes(4) and start[8:9] == b"{"):
        return "onnx"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net")):
        return "openvino"
    if start.startswith(b"PK") and path.suffix.lower() in TORCHSCRIPT_SUFFIXES:
        return "torchscript"
    return "weights"


def read_metadata(path: Path, form: Format) -> dict[str, str]:
    """Our metadata in an artefact; empty where there are none.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError: it is damaged, or not of that form.
    """
    if form == "openvino":
        return _of_ir(path)
    if form == "torchscript":
        return _of_torchscript(path)
    with path.open("rb") as file:
        return dict(_of_onnx(file))


def shape_of(metadata: dict[str, str]) -> tuple[int, int, int] | None:
    """Batch, height and width that an artefact is fixed to; None where it takes any.

    Raises:
        ValueError: the entry is malformed.
    """
    if not metadata.get("shape"):
        return None
    batch, height, width = map(int, metadata["shape"].split(","))
    if min(batch, height, width) < 1 or height % 32 or width % 32:
        raise ValueError("no shape of ours")
    return batch, height, width


def suppression_of(metadata: dict[str, str]) -> Suppression | None:
    """What the artefact suppresses by itself; None where it leaves that to us.

    Raises:
        ValueError: the entry is malformed.
    """
    if not metadata.get("suppression"):
        return None
    stated = json.loads(metadata["suppression"])
    if not isinstance(stated, dict):
        raise ValueError("suppression is no object")
    try:
        return Suppression(float(stated["conf"]), float(stated["iou"]), int(stated["max_det"]))
    except (KeyError, TypeError) as error:
        raise ValueError("suppression is malformed") from error


def conf_of(metadata: Mapping[str, str]) -> float:
    """The score threshold that is stated, or the default.

    Raises:
        ValueError: the entry is malformed.
    """
    conf = float(metadata.get("conf", DEFAULT_CONF))
    if not 0 <= conf <= 1:
        raise ValueError("no score")
    return conf


def _of_ir(path: Path) -> dict[str, str]:
    """Values below ``rt_info/lucidbox`` of an OpenVINO IR."""
    content = path.read_bytes()
    # OpenVINO writes neither; entities are how XML is made to fill the memory.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("XML with a document type")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ValueError("not XML") from error
    entries = root.find("rt_info/lucidbox")
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
