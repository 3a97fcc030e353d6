"""A model file, looked at once."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.file_format import Format, format_of, read_metadata
from lucidbox.model_files.metadata import ModelInfo, info_from
from lucidbox.model_files.other_kinds import model_in

_REMEDIES = {
    "onnx": "not an ONNX file made by lucidbox; make one with: lucidbox weights convert WEIGHTS OUT.onnx",
    "openvino": "not an OpenVINO IR made by lucidbox; make one with: lucidbox export WEIGHTS --to openvino",
    "torchscript": "not TorchScript made by lucidbox; make it with: lucidbox export WEIGHTS --to torchscript",
}


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


def look_at(path: Path) -> ModelFile:
    """The format of a file and, of a graph, its metadata; the weights in it are not read.

    A folder that holds one OpenVINO IR stands for it.

    Raises:
        WeightsError: the file is missing, cannot be read, or is a graph and not one that lucidbox wrote.
    """
    try:
        path = model_in(path) if path.is_dir() else path
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    file_format = format_of(path)
    if file_format == "weights":
        return ModelFile(path, file_format)
    try:
        return ModelFile(path, file_format, info_from(read_metadata(path, file_format)))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, IndexError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: {_REMEDIES[file_format]}") from error
