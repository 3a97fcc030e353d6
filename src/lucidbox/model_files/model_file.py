"""A model file, looked at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.model_files.file_format import OURS, Format, data_files, format_of, read_metadata
from lucidbox.model_files.layouts.layout import LAYOUTS, Kind
from lucidbox.model_files.metadata import ModelInfo, info_from

_NAMES = {"onnx": "ONNX", "openvino": "OpenVINO IR", "torchscript": "TorchScript"}
"""Formats of graphs, as people call them."""

_UNUSABLE = (LookupError, ValueError, OverflowError, RecursionError, SyntaxError)
"""What parsers raise where a file, or what it states, makes no sense."""

_REMEDIES = {
    "onnx": "not an ONNX file made by lucidbox; make one with: lucidbox weights convert WEIGHTS OUT.onnx",
    "openvino": "not an OpenVINO IR made by lucidbox; make one with: lucidbox export WEIGHTS --to openvino",
    "torchscript": "not TorchScript made by lucidbox; make it with: lucidbox export WEIGHTS --to torchscript",
}
"""What to say of a file whose metadata begin like ours and go on otherwise."""


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
        layout: what a graph that lucidbox did not write is: one of ``layouts.layout.LAYOUTS``.
        names: its class names.

    A folder that holds one OpenVINO IR stands for it.

    Raises:
        WeightsError: the file is missing, cannot be read, or is a graph of no detector that lucidbox knows.
        OptionError: there is no such layout, or the file is not one that takes a layout or names.
    """
    kind = _kind(layout)
    try:
        if path.is_dir():
            from lucidbox.model_files.other_kinds import model_in

            path = model_in(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    file_format = format_of(path)
    if file_format == "weights":
        _refuse_options(path, layout, names)
        return ModelFile(path, file_format)
    with _told(path, file_format):
        metadata = read_metadata(path, file_format)
    if metadata.keys() >= OURS:
        _refuse_options(path, layout, names)
        try:
            return ModelFile(path, file_format, info_from(metadata))
        except _UNUSABLE as error:
            raise WeightsError(f"{path}: {_REMEDIES[file_format]}") from error
    from lucidbox.model_files.layouts.foreign import foreign_info

    with _told(path, file_format):
        return ModelFile(path, file_format, foreign_info(path, file_format, kind=kind, names=names))


def files_beside(path: Path, *, described: bool) -> tuple[Path, ...]:
    """The files beside a model file that decide what it finds, too.

    Args:
        path: of a model file that has been looked at.
        described: whether it is of another tool, so that a description beside it is read.

    Returns:
        Those that hold numbers of it; of another tool's also its description and an exporter's ``metadata.yaml``.

    Raises:
        WeightsError: it has been replaced since by something else.
    """
    from lucidbox.model_files.layouts.sidecar import sidecar_of

    file_format = format_of(path)
    if file_format == "weights":
        return ()
    with _told(path, file_format):
        found = list(data_files(path))
    beside = [sidecar_of(path), *([path.with_name("metadata.yaml")] if file_format == "openvino" else [])]
    return (*found, *(file for file in beside if described and file.is_file()))


@contextmanager
def _told(path: Path, file_format: Format) -> Iterator[None]:
    """Errors of reading as one line that names the file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except _UNUSABLE as error:
        raise WeightsError(
            f"{path}: damaged, or not a whole {_NAMES[file_format]} file; fetch or copy it again"
        ) from error


def _kind(layout: str | None) -> Kind | None:
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r} is unknown; choose one of {', '.join(LAYOUTS)}")
    return cast("Kind | None", layout)


def _refuse_options(path: Path, layout: str | None, names: tuple[str, ...] | None) -> None:
    if layout or names:
        raise OptionError(
            f"{path}: its file states layout and names; --layout and --names are for models of others"
        )
