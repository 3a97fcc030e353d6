"""What is known of a model file that lucidbox did not write, as the same facts that our own files state."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.file_format import Format, read_metadata
from lucidbox.model_files.layouts.layout import Kind
from lucidbox.model_files.layouts.metadata import LARGEST, Stated, stated_by
from lucidbox.model_files.layouts.recognise import Recognised, input_sides, recognise_layout
from lucidbox.model_files.layouts.sidecar import read_sidecar, sidecar_of
from lucidbox.model_files.layouts.signature import Port, Signature, ir_signature, onnx_signature
from lucidbox.model_files.metadata import ModelInfo, Suppression

SIZE = 640
"""Longer side of the input where a graph takes any and states none."""


def foreign_info(
    path: Path, file_format: Format, *, kind: Kind | None = None, names: tuple[str, ...] | None = None
) -> ModelInfo:
    """What a model of someone else is: from the description beside it, else recognised.

    Args:
        path: of the file.
        file_format: "onnx", "openvino" or "torchscript".
        kind: what a user says it is.
        names: class names that a user gives.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError, KeyError: it is damaged.
        WeightsError: it is no detector, or what it is cannot be decided; says how to decide. It does
            not name the file.
    """
    signature, stated = signature_of(path, file_format)
    sidecar = sidecar_of(path)
    if kind is None and sidecar.is_file():
        layout, described = read_sidecar(sidecar)
        found = Recognised(layout, names or described, (f"described in {sidecar}",))
    else:
        found = recognise_layout(signature, stated, kind=kind, names=names)
    _check_ports(signature, found)
    return _info(signature, stated, found)


def signature_of(path: Path, file_format: Format) -> tuple[Signature, Stated]:
    """What a graph takes and gives, and what its metadata state.

    Raises:
        OSError, ValueError, IndexError, KeyError: as :func:`foreign_info`.
    """
    if file_format == "onnx":
        metadata = read_metadata(path, file_format)
        return onnx_signature(path, metadata), stated_by(metadata)
    if file_format == "openvino":
        read_metadata(path, file_format)  # refuses documents that are made to fill the memory
        signature = ir_signature(ElementTree.fromstring(path.read_bytes()))  # noqa: S314 - see above
        return signature, stated_by({**signature.metadata, **_yaml_beside(path)})
    stated = stated_by(_torchscript_metadata(path))
    height, width = stated.size or (None, None)
    numbers = 4 + len(stated.names) if stated.names and stated.task == "detect" else None
    # TorchScript states no shapes: metadata of the exporter stand for them, and the first answer is checked.
    image = Port("images", "float32", (1, 3, height, width))
    return Signature((image,), (Port("output0", "float32", (1, numbers, None)),)), stated


def _yaml_beside(path: Path) -> dict[str, str]:
    """The ``metadata.yaml`` that exporters put beside an IR."""
    beside = path.with_name("metadata.yaml")
    if not beside.is_file() or beside.stat().st_size > LARGEST:
        return {}
    import yaml

    try:
        stated: Any = yaml.safe_load(beside.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}
    return {str(key): _text(value) for key, value in stated.items()} if isinstance(stated, dict) else {}


def _torchscript_metadata(path: Path) -> dict[str, str]:
    """The ``config.txt`` that exporters put into a TorchScript archive."""
    with _archive(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith("/extra/config.txt")]
        if len(entries) != 1 or entries[0].file_size > LARGEST:
            return {}
        try:
            stated = json.loads(archive.read(entries[0]))
        except (ValueError, RecursionError):
            return {}
    return {key: _text(value) for key, value in stated.items()} if isinstance(stated, dict) else {}


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise ValueError("damaged archive") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _check_ports(signature: Signature, found: Recognised) -> None:
    """Refuse a layout that names inputs or outputs which the graph does not have."""
    layout = found.layout
    for what, ports, wanted in (
        ("input", signature.inputs, (layout.pixels.input, layout.sizes_input, layout.mask_input)),
        ("output", signature.outputs, layout.outputs),
    ):
        present = [port.name for port in ports]
        for name in wanted:
            if name is not None and name not in present:
                raise WeightsError(f"it has no {what} {name!r}; there are {', '.join(present)}")
    unfed = {port.name for port in signature.inputs} - {layout.pixels.input, layout.sizes_input, layout.mask_input}
    if unfed:
        raise WeightsError(f"nothing is known of its input {sorted(unfed)[0]!r}")


def _info(signature: Signature, stated: Stated, found: Recognised) -> ModelInfo:
    batch, height, width = input_sides(signature, found.layout.pixels)
    shape = None if height is None or width is None else (batch or 1, height, width)
    info = ModelInfo(
        architecture=stated.description or found.layout.kind,
        names=found.names,
        size=max(shape[1:]) if shape else max(stated.size or (SIZE, SIZE)),
        licence=stated.licence or "not stated in the file",
        source_sha256="",
        shape=shape,
        layout=found.layout,
        reasons=found.reasons,
        notes=found.notes,
    )
    if found.layout.needs_suppression:
        return info
    answer = next(port for port in signature.outputs if port.name == found.layout.outputs[0])
    boxes = (answer.shape[1] if answer.shape and len(answer.shape) > 1 else None) or 300
    if found.layout.suppresses:
        return replace(info, suppression=Suppression(conf=0.0, iou=1.0, max_det=boxes), iou=1.0)
    return replace(info, iou=1.0)
