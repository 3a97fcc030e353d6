"""Still pictures in files, read one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lucidbox.core.errors import ImageError
from lucidbox.images.reading import MAX_PIXELS, read_image, read_reduced
from lucidbox.sources.items import Failure, Picture, SourceKind


@dataclass(frozen=True)
class StillPictures:
    """Picture files, read one after the other.

    Attributes:
        name: what the user named: a file, folder or pattern.
        root: ``Picture.name`` is relative to this folder.
        paths: the files, in order.
        kind: "image" if the user named the file itself, else "folder".
        max_pixels: larger pictures are refused.
        within: height, width that every picture will be shrunk into, if large JPEGs may be decoded in part; see
            :func:`lucidbox.images.reading.read_reduced`.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    kind: SourceKind = "folder"
    max_pixels: int = MAX_PIXELS
    within: tuple[int, int] | None = None
    live: ClassVar[bool] = False

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.paths)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """A picture, or a failure, for each file."""
        return (self.read(path) for path in self.paths)

    def read(self, path: Path) -> Picture | Failure:
        """One of ``paths``. Files do not depend on each other: threads may read several at once."""
        try:
            if self.within is None:
                pixels, whole = read_image(path, max_pixels=self.max_pixels), None
            else:
                pixels, whole = read_reduced(path, self.within, max_pixels=self.max_pixels)
        except ImageError as error:
            return Failure(str(path), error)
        return Picture(pixels, source=str(path), name=name_below(self.root, path), whole=whole)


def name_below(root: Path, path: Path) -> str:
    """A file's name with the folders between it and ``root``, "/" between them; never leads out of a folder."""
    inner = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return "/".join(part for part in inner.parts if part != "..")
