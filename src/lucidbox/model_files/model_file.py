"""A model file, looked at once."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.model_files.file_format import Format, format_of, read_metadata
from lucidbox.model_files.layouts.layout import KINDS, Kind
from lucidbox.model_files.metadata import ModelInfo, info_from

NAMES = {"onnx": "ONNX", "openvino": "OpenVINO IR", "torchscript": "TorchScript"}
"""Formats of graphs, as people call them."""

OURS = {"architecture", "names", "size"}
"""Metadata that every graph has which lucidbox wrote."""


@dataclass(frozen=True)
class ModelFile:
    """A model file: where it is, its format, and what it states about itself.

    Attributes:
        path: of the file.
        format: "onnx", "openvino" or "torchscript", which engines run as they are, or "weights".
        info: what the graph's metadata state; None for weights, which only :mod:`lucidbox.weights` reads.

    Example:
        >>> file = look_at(Path("yolo11n.onnx"))
        >>> file.format, file.info.names
    """

    path: Path
    format: Format
    info: ModelInfo | None = None

    @property
    def is_graph(self) -> bool:
        """Whether an engine runs the file as it is."""
        return self.format != "weights"

    @property
    def graph_info(self) -> ModelInfo:
        """What the graph states; only for graphs."""
        assert self.info is not None, f"{self.path} is no graph"
        return self.info


def look_at(path: Path, *, layout: str | None = None, names: tuple[str, ...] | None = None) -> ModelFile:
    """The format of a file and, of a graph, what it states or is recognised as; the weights in it are not read.

    Args:
        path: of the file.
        layout: what a graph that lucidbox did not write is: one of ``layouts.layout.KINDS``.
        names: its class names.

    Raises:
        WeightsError: the file is missing, cannot be read, or is a graph of no detector that lucidbox knows.
        OptionError: there is no such layout, or the file is not one that takes a layout or names.
    """
    file_format, kind = format_of(path), _kind(layout)
    if file_format == "weights":
        _refuse_options(path, layout, names)
        return ModelFile(path, file_format)
    try:
        metadata = read_metadata(path, file_format)
        ours = metadata.keys() >= OURS
        info = info_from(metadata) if ours else _foreign(path, file_format, kind, names)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{path}: damaged, or not a whole {NAMES[file_format]} file; fetch or copy it again"
        ) from error
    if ours:
        _refuse_options(path, layout, names)
    return ModelFile(path, file_format, info)


def _foreign(path: Path, file_format: Format, kind: Kind | None, names: tuple[str, ...] | None) -> ModelInfo:
    from lucidbox.model_files.layouts.foreign import foreign_info

    return foreign_info(path, file_format, kind=kind, names=names)


def _kind(layout: str | None) -> Kind | None:
    if layout is not None and layout not in KINDS:
        raise OptionError(f"layout {layout!r} is unknown; choose one of {', '.join(KINDS)}")
    return cast("Kind | None", layout)


def _refuse_options(path: Path, layout: str | None, names: tuple[str, ...] | None) -> None:
    if layout or names:
        raise OptionError(
            f"{path}: its file states layout and names; --layout and --names are for models of others"
        )
