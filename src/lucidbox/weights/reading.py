"""Any weights file → :class:`~lucidbox.weights.contents.Weights`. The content tells the form, never the name."""

import hashlib
from pathlib import Path

from lucidbox.errors import WeightsError
from lucidbox.weights.contents import Weights
from lucidbox.weights.notebook import read_state_dict
from lucidbox.weights.onnx_file import read_onnx
from lucidbox.weights.published import module_of, read_module
from lucidbox.weights.recognise import recognise
from lucidbox.weights.statements import one_line
from lucidbox.weights.store import read_safetensors
from lucidbox.weights.unpickle import read_checkpoint

FORMS = "a published YOLO11 .pt, a notebook checkpoint, safetensors, or an ONNX file that lucidbox wrote"
"""What can be read, in words for messages."""

LONGEST_MESSAGE = 1000
"""Characters of a refusal; some quote names that the file gives."""


def read(path: str | Path) -> Weights:
    """Weights of a published ``.pt``, a notebook checkpoint, safetensors, or our ONNX. Nothing in it is run.

    Raises:
        WeightsError: the file is missing, damaged or refused, or its tensors are not those of a network of ours.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); give {FORMS}") from None
    try:
        return read_content(content, one_line(path.name))
    except ModuleNotFoundError as error:
        raise WeightsError(f"{path}: reading it needs {error.name}; pip install 'lucidbox[train]'") from error
    except WeightsError as error:
        # The message may quote the file's own names, and a terminal obeys control characters.
        raise WeightsError(f"{path}: {one_line(str(error)[:LONGEST_MESSAGE])}") from None


def read_content(content: bytes, file_name: str) -> Weights:
    """Weights from a file's content.

    Args:
        content: all of it.
        file_name: for the provenance.

    Raises:
        WeightsError: as for :func:`read`, without the path.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    if not content:
        raise WeightsError("an empty file; fetch or copy it again")
    if content.startswith(b"PK"):
        return _read_torch(content, sha256, file_name)
    if content[8:9] == b"{":
        return read_safetensors(content, sha256, file_name)
    if content.startswith(b"\x80") and content[1:2] <= b"\x05":
        raise WeightsError(
            "a pickle, or a torch file in the form of before 2020; it is refused and nothing in it was run. "
            "Where you trust it, load it with torch's load(weights_only=True) and save that again"
        )
    return read_onnx(content)


def _read_torch(content: bytes, sha256: str, file_name: str) -> Weights:
    checkpoint = read_checkpoint(content)
    module = module_of(checkpoint)
    if module is not None:
        return recognise(read_module(checkpoint, module, file_name), sha256)
    return recognise(read_state_dict(checkpoint, file_name), sha256)
