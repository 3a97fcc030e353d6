"""Which format a model file has, and the metadata it carries, read without any engine.

Knows ONNX, OpenVINO IR and TorchScript, by their content. Does not know networks or engines.
"""

import mmap
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.onnx_fields import read_onnx_metadata

Format = Literal["onnx", "openvino", "torchscript", "weights"]
"""A format that an engine runs as it is; "weights" is everything else, for :mod:`lucidbox.weights` to read."""

TORCHSCRIPT_SUFFIXES = (".torchscript", ".ts")
"""TorchScript is a program. Only a name that says so makes us run one; in a ``.pt`` nothing is ever run."""

OURS = {"architecture", "names", "size"}
"""Metadata that every graph has which lucidbox wrote."""

LARGEST_FILE = 2**31
"""Most bytes of a model file. A YOLO11x with all that its training kept has 1.0 billion."""


def format_of(path: Path) -> Format:
    """The format of a file, by its content; for TorchScript by its name, too.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    start = beginning(path)
    # An ONNX file's first field is the version of its format. A safetensors file begins with the length of its
    # header, eight bytes that may begin alike, and the header's brace.
    is_core_ml = path.suffix.lower() == ".mlmodel"  # which begins alike, too
    if start[:1] == b"\x08" and not is_core_ml and not (start[4:8] == bytes(4) and start[8:9] == b"{"):
        return "onnx"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net")):
        return "openvino"
    if start.startswith(b"PK") and path.suffix.lower() in TORCHSCRIPT_SUFFIXES:
        return "torchscript"
    from lucidbox.model_files.other_kinds import refuse_other_kind

    refuse_other_kind(path, start)
    return "weights"


def beginning(path: Path) -> bytes:
    """The first bytes of a model file, which is opened only if it is a file and of a size that one can have.

    Raises:
        WeightsError: it is missing, cannot be read, or is no file.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            from lucidbox.model_files.other_kinds import model_in

            raise WeightsError(f"{model_in(path)}: an OpenVINO IR, not weights; give what it was made from")
        if not stat.S_ISREG(status.st_mode):
            raise WeightsError(f"{path}: not a file but a device, a pipe or a socket; give a weights file")
        if status.st_size > LARGEST_FILE:
            raise WeightsError(f"{path}: has {status.st_size} bytes, more than the {LARGEST_FILE} that are read")
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise WeightsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_metadata(path: Path, file_format: Format) -> dict[str, str]:
    """The metadata that lucidbox wrote into a file; empty where there are none.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError: it is damaged, or not of that format.
        WeightsError: it holds what lucidbox does not run.
    """
    if file_format != "onnx":
        from lucidbox.model_files import toolkit_metadata

        return toolkit_metadata.of_ir(path) if file_format == "openvino" else toolkit_metadata.of_torchscript(path)
    metadata, data = _of_onnx(path)
    if data and metadata.keys() >= OURS:
        raise WeightsError(
            f"its tensors lie in {data[0].name}, and lucidbox writes all into one file; make it again"
        )
    return metadata


def data_files(path: Path) -> tuple[Path, ...]:
    """The files beside a graph that hold numbers of it: those that an ONNX file names, or the ``.bin`` of an IR.

    Args:
        path: of a graph that has been looked at.

    Raises:
        OSError, ValueError, IndexError, WeightsError: it has been replaced since by something else.
    """
    if path.suffix.lower() == ".xml":
        numbers = path.with_suffix(".bin")
        return (numbers,) if numbers.exists() else ()
    return _of_onnx(path)[1] if format_of(path) == "onnx" else ()


def _of_onnx(path: Path) -> tuple[dict[str, str], tuple[Path, ...]]:
    """The metadata of an ONNX file, and the files beside it that hold numbers of its tensors."""
    external: list[tuple[Mapping[str, str], int]] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        metadata = read_onnx_metadata(content, lambda stated, numbers: external.append((stated, numbers)))
    if not external:
        return metadata, ()
    from lucidbox.model_files.external_data import tensor_files

    return metadata, tensor_files(path, external)
