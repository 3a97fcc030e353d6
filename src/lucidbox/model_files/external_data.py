"""Numbers of an ONNX file's tensors that lie in other files: only in files beside it, never behind links.

A large graph keeps its numbers in files of their own (https://onnx.ai/onnx/repo-docs/ExternalData.html). Engines
open whatever a graph names, so what it names is checked before an engine sees it.
"""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from lucidbox.core.errors import WeightsError

LARGEST_DATA = 2**33
"""Most bytes of one such file."""

_NO_NAME = ("", ".", "..")


TensorPlace = tuple[Mapping[str, str], int]
"""Where a tensor lies, as it states it: "location", a file's name, "offset" and "length" in bytes; its numbers."""


def tensor_files(path: Path, tensors: Iterable[TensorPlace]) -> tuple[Path, ...]:
    """The files beside an ONNX file that hold the numbers of these tensors of it.

    Args:
        path: of the ONNX file.
        tensors: where each lies, and how many numbers it has.

    Raises:
        WeightsError: one lies elsewhere than in a file beside the ONNX file, or not wholly in it.
    """
    sizes: dict[Path, int] = {}
    for stated, numbers in tensors:
        file = path.parent / _name_in(stated)
        if file not in sizes:
            sizes[file] = _size_of(file)
        _check_place(stated, numbers, file.name, sizes[file])
    return tuple(sizes)


def _name_in(stated: Mapping[str, str]) -> str:
    """The name that is stated, if it is that of a file in the ONNX file's own folder."""
    name = stated.get("location", "")
    if name in _NO_NAME or any(letter in name for letter in "/\\:\0"):
        raise WeightsError(
            f"its tensors lie in {name!r}; only files in the folder of the ONNX file itself are read: put the"
            " file there and save the graph anew, or save both as one file (onnx.save without external data)"
        )
    return name


def _check_place(stated: Mapping[str, str], numbers: int, name: str, size: int) -> None:
    """Refuse a tensor that does not lie within its file of this size."""
    try:
        offset = int(stated.get("offset", "0"))
        length = int(stated.get("length", size - offset))
    except ValueError as error:
        raise WeightsError(f"where its tensors lie in {name} is no number; the file is damaged") from error
    if min(offset, length) < 0 or offset + length > size or numbers > 2 * length:  # half a byte is the least
        raise WeightsError(
            f"a tensor of {numbers} numbers does not lie in {name}, which has {size} bytes; it is cut off, or"
            " of another model: fetch or copy both files again"
        )


def _size_of(path: Path) -> int:
    """Bytes of a file that is no link.

    Raises:
        WeightsError: it is missing, a link, no file, or too large.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise WeightsError(
            f"its tensors lie in {path.name}, which must lie beside it and cannot be read: {error.strerror}"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a link" if stat.S_ISLNK(status.st_mode) else "no file"
        raise WeightsError(f"its tensors lie in {path.name}, which is {what}; put the file itself beside it")
    if status.st_size > LARGEST_DATA:
        raise WeightsError(f"{path.name} has {status.st_size} bytes, more than the {LARGEST_DATA} that are read")
    return status.st_size
