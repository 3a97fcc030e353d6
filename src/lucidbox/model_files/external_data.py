"""Numbers of an ONNX file's tensors that lie in other files: only in files beside it, never behind links.

A large graph keeps its numbers in files of their own (https://onnx.ai/onnx/repo-docs/ExternalData.html). Engines
open whatever a graph names, so what it names is checked before an engine sees it.
"""

import stat
from collections.abc import Mapping
from pathlib import Path

from lucidbox.core.errors import WeightsError

LARGEST_DATA = 2**33
"""Most bytes of one such file."""

_NO_NAME = ("", ".", "..")


class ExternalData:
    """The files beside an ONNX file that its tensors name, checked as they are named.

    Args:
        path: of the ONNX file.

    Attributes:
        sizes: bytes of each file, by its path.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self.sizes: dict[Path, int] = {}

    def check(self, stated: Mapping[str, str], numbers: int) -> None:
        """Check where one tensor lies.

        Args:
            stated: "location", a file's name, "offset" and "length" in bytes, as the tensor states them.
            numbers: how many the tensor has.

        Raises:
            WeightsError: it lies elsewhere than in a file beside the ONNX file, or not wholly in it.
        """
        name = stated.get("location", "")
        if name in _NO_NAME or any(letter in name for letter in "/\\:\0"):
            raise WeightsError(
                f"its tensors lie in {name!r}; only files in the folder of the ONNX file itself are read: put the"
                " file there and save the graph anew, or save both as one file (onnx.save without external data)"
            )
        path = self._folder / name
        size = self.sizes[path] if path in self.sizes else self.sizes.setdefault(path, _size_of(path))
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
