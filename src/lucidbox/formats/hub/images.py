"""The images in the rows of a Hugging Face data set."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Bool, Int, UInt8
from lucidbox.core.errors import ImageError
from lucidbox.core.filesystem import stamp_of
from lucidbox.core.progress import Progress, no_progress
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.images.headers import read_header
from lucidbox.images.reading import read_image
from lucidbox.sources.hub import content

_ROWS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class HubPictures:
    """The images of one split by number; copies for worker processes hold no pixels.

    Attributes:
        rows: the split, with its column of undecoded images alone.
        column: name of that column.
        numbers: the row of each image.
        outside: whether an image is a file, of which its row has only the path.
        source: what messages call the split.
    """

    rows: Any
    column: str
    numbers: Int[np.ndarray, " i"]
    outside: Bool[np.ndarray, " i"]
    source: str

    def __len__(self) -> int:
        """Number of images."""
        return len(self.numbers)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """One image, RGB, upright.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(self._content(index), name=self.name(index))

    def name(self, index: int) -> str:
        """Split and row: ``hf:NAME:SPLIT#ROW``."""
        return f"{self.source}#{self.numbers[index]}"

    def stamp(self, index: int) -> str:
        """The fingerprint that ``datasets`` gives to a split's content, and the row; or a file's own stamp.

        The fingerprint knows nothing of files that rows only name.
        """
        found = self._content(index) if self.outside[index] else b""
        own = f"\0{stamp_of(found)}" if isinstance(found, Path) else ""
        return f"{self.rows._fingerprint}\0{self.numbers[index]}{own}"

    def _content(self, index: int) -> bytes | Path:
        return content(self.rows[int(self.numbers[index])][self.column], self.name(index))


@dataclass(frozen=True)
class ImageFile:
    """What is known of an image without decoding it.

    Attributes:
        name: what it is called.
        size: width and height in pixels as a viewer shows it.
        outside: whether it is a file.
    """

    name: str
    size: tuple[int, int]
    outside: bool


def look_at_images(
    rows: Any,
    column: str,
    stated: Sequence[tuple[int, int] | None],
    source: str,
    problems: list[Problem],
    progress: Progress = no_progress,
) -> dict[int, ImageFile]:
    """Names and sizes of the usable images of a split, by row, from their first bytes.

    Args:
        rows: the split, with its column of undecoded images.
        column: name of that column.
        stated: width and height of each row's image; None where not stated.
        source: what messages call the split.
        problems: added to, for what is not an image, or not as large as stated.
        progress: shows the images.
    """
    found, names = dict[int, ImageFile](), set[str]()
    for row, cell in enumerate(progress(_cells(rows, column), len(rows))):
        place = f"{source}#{row}"
        try:
            file = content(cell, place)
            size = _size(file, place)
        except ImageError as error:
            message = str(error).removeprefix(f"{place}: ")
            problems.append(Problem(ProblemKind.UNREADABLE_PICTURE, place, "", message))
            continue
        expected = stated[row]
        if expected is not None and expected != size:
            message = f"is {size[0]}×{size[1]}, annotated as {expected[0]}×{expected[1]}"
            problems.append(Problem(ProblemKind.PICTURE_SIZE, place, "", message))
            continue
        name = Path((cell and cell["path"]) or "").name
        if not name or name in names:
            name = f"{row:06d}"
        names.add(name)
        found[row] = ImageFile(name, size, isinstance(file, Path))
    return found


def _cells(rows: Any, column: str) -> Iterator[dict[str, Any] | None]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from rows[start : start + _ROWS_AT_ONCE][column]


def _size(file: bytes | Path, name: str) -> tuple[int, int]:
    """Width and height of an image as a viewer shows it, from its first bytes.

    Raises:
        ImageError: it is none, or of a format that :func:`~lucidbox.images.reading.read_image` does not read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of large images: read_image judges those
        header = read_header(BytesIO(file) if isinstance(file, bytes) else file)
    if header.error:
        raise ImageError(f"{name}: {header.error}")
    return header.width, header.height
