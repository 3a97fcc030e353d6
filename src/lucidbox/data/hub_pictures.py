"""The pictures in the rows of a Hugging Face data set."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.data.headers import Watch, unwatched
from lucidbox.data.problems import Kind, Problem
from lucidbox.errors import ImageError
from lucidbox.images import read_image
from lucidbox.shapes import Int, UInt8
from lucidbox.sources.hub import content, first_line

_ROWS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class HubPictures:
    """The pictures of one split by number; a worker process gets no more than where they are.

    Attributes:
        rows: the split, with its column of undecoded pictures alone.
        column: name of that column.
        numbers: the row of each picture.
        source: what messages call the split.
    """

    rows: Any
    column: str
    numbers: Int[np.ndarray, " i"]
    source: str

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.numbers)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """One picture, RGB, upright.

        Raises:
            ImageError: it cannot be read.
        """
        name = self.name(index)
        return read_image(content(self.rows[int(self.numbers[index])][self.column], name), name=name)

    def name(self, index: int) -> str:
        """Split and row: ``hf:NAME:SPLIT#ROW``."""
        return f"{self.source}#{self.numbers[index]}"

    def stamp(self, index: int) -> str:
        """The fingerprint that ``datasets`` gives to a split's content, and the row."""
        return f"{self.rows._fingerprint}\0{self.numbers[index]}"


@dataclass(frozen=True)
class PictureFile:
    """What a picture is called, and its width and height in pixels as a viewer shows it."""

    name: str
    size: tuple[int, int]


def look(
    rows: Any,
    column: str,
    stated: Sequence[tuple[int, int] | None],
    source: str,
    problems: list[Problem],
    watch: Watch = unwatched,
) -> dict[int, PictureFile]:
    """What the usable pictures of a split are called and how large they are, by row, from their first bytes.

    Args:
        rows: the split, with its column of undecoded pictures.
        column: name of that column.
        stated: width and height of each row's picture; None where not stated.
        source: what messages call the split.
        problems: to which pictures are added that are none, or not as large as stated.
        watch: sees the pictures pass.
    """
    found, names = {}, set[str]()
    for row, cell in enumerate(watch(_cells(rows, column), len(rows))):
        place = f"{source}#{row}"
        try:
            size = _size(content(cell, place), place)
        except ImageError as error:
            kind, message = Kind.UNREADABLE_PICTURE, str(error).removeprefix(f"{place}: ")
            problems.append(Problem(kind, place, "", message))
            continue
        expected = stated[row]
        if expected is not None and expected != size:
            message = f"is {size[0]}×{size[1]}, annotated as {expected[0]}×{expected[1]}"
            problems.append(Problem(Kind.PICTURE_SIZE, place, "", message))
            continue
        name = Path((cell and cell["path"]) or "").name
        if not name or name in names:
            name = f"{row:06d}"
        names.add(name)
        found[row] = PictureFile(name, size)
    return found


def _cells(rows: Any, column: str) -> Iterator[dict[str, Any] | None]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from rows[start : start + _ROWS_AT_ONCE][column]


def _size(content: bytes | Path, name: str) -> tuple[int, int]:
    """Width and height of a picture as a viewer shows it, from its first bytes.

    Raises:
        ImageError: it is none.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of large pictures: read_image judges those
            with Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image:
                turned = image.getexif().get(0x0112) in (5, 6, 7, 8) if image.info.get("exif") else False
                width, height = image.size[::-1] if turned else image.size
    except Exception as error:  # damaged bytes make Pillow's parsers raise nearly every type of error
        raise ImageError(f"{name}: not a picture, or its start is damaged ({first_line(error)})") from error
    return width, height
