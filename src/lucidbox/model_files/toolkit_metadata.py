"""The metadata that lucidbox wrote into OpenVINO IR and TorchScript, read without any engine."""

import json
import struct
import zipfile
import zlib
from pathlib import Path
from xml.parsers import expat

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.onnx_fields import LARGEST_METADATA, refuse_control_flow

EXTRA_FILE = "lucidbox.json"
"""The entry of a TorchScript archive that holds our metadata."""

LARGEST_IR = 32_000_000
"""Most bytes of the XML of an OpenVINO IR; a YOLO11x's has 1.5 million."""

_DEEPEST_XML = 100


def of_ir(path: Path) -> dict[str, str]:
    """Values below ``rt_info/lucidbox`` of an OpenVINO IR, whose layers are checked.

    OpenVINO writes no document type; its entities are how XML is made to fill the memory.
    """
    if path.stat().st_size > LARGEST_IR:
        raise WeightsError(f"an OpenVINO IR of more than {LARGEST_IR} bytes; lucidbox writes none like it")
    metadata: dict[str, str] = {}
    above: list[str] = []

    def enter(tag: str, attributes: dict[str, str]) -> None:
        if tag == "layer":
            refuse_control_flow(attributes.get("type", ""))
        if above[1:] == ["rt_info", "lucidbox"]:
            metadata[tag] = attributes.get("value", "")
        above.append(tag)
        if len(above) > _DEEPEST_XML:
            raise ValueError("XML nested too deep")

    def refuse(*_: object) -> None:
        raise ValueError("XML with a document type")

    parser = expat.ParserCreate("utf-8")  # whatever it declares: OpenVINO takes it so
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = refuse, enter
    parser.EndElementHandler = lambda _: above.pop()
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError("not XML") from error
    return metadata


def of_torchscript(path: Path) -> dict[str, str]:
    """Our entry in a TorchScript archive, which is a zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/extra/{EXTRA_FILE}")]
            entry = archive.getinfo(names[0]) if len(names) == 1 else None
            if entry is None or entry.file_size > LARGEST_METADATA or entry.compress_type != zipfile.ZIP_STORED:
                return {}
            metadata = json.loads(archive.read(entry))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, struct.error) as error:
        raise ValueError("damaged archive") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata are no texts")
    return metadata
