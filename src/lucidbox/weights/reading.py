"""Read any weights file. Its format is recognised by the content, never by the name."""

import codecs
import hashlib
import pickletools
from itertools import islice
from pathlib import Path

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.file_format import beginning
from lucidbox.model_files.other_kinds import refuse_other_kind
from lucidbox.weights.contents import Weights
from lucidbox.weights.licence_text import one_line
from lucidbox.weights.notebook import read_state_dict
from lucidbox.weights.onnx_file import read_onnx
from lucidbox.weights.published import module_of, read_module
from lucidbox.weights.recognise import recognise
from lucidbox.weights.safe_pickle import read_checkpoint
from lucidbox.weights.store import read_safetensors

_FORMS = "a published YOLO11 .pt, a notebook checkpoint, safetensors, or an ONNX file that lucidbox wrote"
"""What can be read, in words for messages."""

LARGEST_HEADER = 4_000_000
"""Most bytes of a safetensors header; a YOLO11x's has 150,000. Text read as a length gives far more."""

INSTRUCTIONS_TRIED = 1000
"""Number of instructions that are decoded to decide whether a file is an old pickle."""

QUOTED = 40
"""Characters of a text file that an error quotes: enough to recognise a web page or a Git LFS pointer."""

LONGEST_MESSAGE = 1000
"""Characters of an error message; some quote names from the file."""


def read(path: str | Path) -> Weights:
    """Weights of a published ``.pt``, a notebook checkpoint, safetensors, or our ONNX. No code in it is run.

    Raises:
        WeightsError: the file is missing, damaged or refused, or its tensors are not those of a network of ours.
    """
    path = Path(path)
    refuse_other_kind(path, beginning(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); give {_FORMS}") from None
    try:
        return read_content(content, one_line(path.name))
    except ModuleNotFoundError as error:
        raise WeightsError(f"{path}: reading it needs {error.name}; pip install 'lucidbox[train]'") from error
    except WeightsError as error:
        # The message may quote names from the file, and a terminal would obey their control characters.
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
        checkpoint = read_checkpoint(content)
        module = module_of(checkpoint)
        if module is None:
            return recognise(read_state_dict(checkpoint, file_name), sha256)
        return recognise(read_module(checkpoint, module, file_name), sha256)
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= LARGEST_HEADER:
        return read_safetensors(content, sha256, file_name)
    if content.startswith(b"\x08"):  # an ONNX file's first field is its format version
        return read_onnx(content)
    raise WeightsError(_what_else(content))


def _what_else(content: bytes) -> str:
    """An error message for a file of another kind."""
    if (content.startswith(b"\x80") and content[1:2] <= b"\x05") or _is_old_pickle(content):
        return (
            "a pickle, or a torch file in the form of before 2020; it is refused and nothing in it was run. "
            "Where you trust it, load it with torch's load(weights_only=True) and save that again"
        )
    text = _beginning(content)
    if text is not None:
        return f"not a weights file but text, which begins {text!r}; give {_FORMS}"
    return f"not a weights file, or its beginning is damaged; give {_FORMS}"


def _is_old_pickle(content: bytes) -> bool:
    """Whether it is a pickle of protocol 0 or 1, which has no mark at its start: decoded, not run."""
    if not content.endswith(b"."):
        return False
    try:
        # Plain text fails within a few instructions.
        for _ in islice(pickletools.genops(content), INSTRUCTIONS_TRIED):
            pass
    except ValueError:
        return False
    return True


def _beginning(content: bytes) -> str | None:
    """The first characters of a text file, on one line; None if the content is not text in UTF-8."""
    try:
        # Incremental, because the last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(content[:1000])
    except UnicodeDecodeError:
        return None
    is_text = all(character.isprintable() or character in "\t\n\r\f" for character in text)
    return " ".join(text.split())[:QUOTED] if is_text else None
