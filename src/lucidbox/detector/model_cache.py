"""The door between the wings: any weights file becomes one ONNX file, once; from then on no torch is needed.

Knows: which file engines run as it is, where converted ones are kept, and what their metadata says.
Does not know: networks, tensors or engines. Conversion is lent from ``lucidbox.export`` and only then
imports torch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import WeightsError
from lucidbox.core.filesystem import cache_folder, output_error, sha256_of
from lucidbox.model_files import file_format
from lucidbox.model_files.file_format import DEFAULT_CONF, Format, Suppression

GRAPH_VERSION = 2
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
        shape: batch, height and width that the graph is fixed to; None where it takes any.
        suppression: what the graph suppresses by itself; None where it leaves that to us.
        conf: the score above which its boxes are worth showing, unless a user says otherwise.
    """

    architecture: str
    names: tuple[str, ...]
    size: int
    licence: str
    source_sha256: str
    shape: tuple[int, int, int] | None = None
    suppression: Suppression | None = None
    conf: float = DEFAULT_CONF


def through(weights: Path, say: Callable[[str], None] = lambda message: None) -> Path:
    """The file that engines run: this one, or an ONNX made from it now or earlier and kept in the cache folder.

    Args:
        weights: an artefact of ours (ONNX, OpenVINO IR, TorchScript), .safetensors of ours, a published .pt,
            or a notebook checkpoint.
        say: told in a few words when a conversion starts, which takes seconds.

    Raises:
        WeightsError: the file is missing, refused, or must be converted where torch is not installed.
        OutputError: the cache folder cannot be written.
    """
    if form_of(weights) != "weights":
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


def form_of(path: Path) -> Format:
    """Which form of artefact the file is, or "weights"; see :func:`lucidbox.model_files.file_format.form_of`.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    try:
        return file_format.form_of(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


_REMEDIES = {
    "onnx": "not an ONNX file made by lucidbox; make one with: lucidbox weights convert WEIGHTS OUT.onnx",
    "openvino": "not an OpenVINO IR made by lucidbox; make one with: lucidbox export WEIGHTS --to openvino",
    "torchscript": "not TorchScript made by lucidbox; make it with: lucidbox export WEIGHTS --to torchscript",
}


def read_info(path: Path) -> ModelInfo:
    """What a weights file says about itself; of an artefact of ours its metadata are read only, not the weights.

    Raises:
        WeightsError: the file is missing or refused, or an artefact and not one of ours.
    """
    form = form_of(path)
    if form == "weights":
        from lucidbox import weights as weights_files

        read = weights_files.read(path)
        return ModelInfo(
            read.architecture, read.names, read.size, read.licence, read.source_sha256, conf=read.conf
        )
    try:
        return _info(file_format.read_metadata(path, form))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"{path}: {_REMEDIES[form]}") from error


def _info(metadata: dict[str, str]) -> ModelInfo:
    """What an artefact's metadata say.

    Raises:
        KeyError, ValueError: an entry is missing or malformed.
    """
    names = json.loads(metadata["names"])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("names are no texts")
    return ModelInfo(
        metadata["architecture"],
        tuple(names),
        int(metadata["size"]),
        metadata.get("licence", ""),
        metadata.get("source_sha256", ""),
        file_format.shape_of(metadata),
        file_format.suppression_of(metadata),
        file_format.conf_of(metadata),
    )
