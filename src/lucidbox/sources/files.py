"""Still pictures in files, and finding them in folders and by patterns.

In a folder, what counts is the extension, in any case; hidden files and folders (a leading dot) are skipped.
Pipes, sockets and devices are left out: reading one may never end.
Order is natural (``img2`` before ``img10``) and the same on every machine.
"""

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lucidbox.core.errors import ImageError, SourceError
from lucidbox.images.reading import MAX_PIXELS, read_image, read_reduced
from lucidbox.sources.items import Failure, Picture, SourceKind

PICTURE_EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
VIDEO_EXTENSIONS = frozenset(
    {".asf", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)


@dataclass(frozen=True)
class StillPictures:
    """Picture files, read one after the other.

    Attributes:
        name: what the user named: a file, folder or pattern.
        root: ``Picture.name`` is relative to this folder.
        paths: the files, in order.
        kind: "image" if the user named the file itself, else "folder".
        max_pixels: larger pictures are refused.
        passed_over: number of other entries in the folder, neither picture nor video file.
        within: height, width that every picture will be shrunk into, if large JPEGs may be decoded in part; see
            :func:`lucidbox.images.reading.read_reduced`.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    kind: SourceKind = "folder"
    max_pixels: int = MAX_PIXELS
    passed_over: int = 0
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


@dataclass(frozen=True)
class Found:
    """What a folder or pattern holds. ``root`` is the folder that ``Picture.name`` is relative to."""

    root: Path
    pictures: tuple[Path, ...]
    videos: tuple[Path, ...]
    passed_over: int
    errors: tuple[SourceError, ...] = field(default=())


def find_in_folder(folder: Path, *, recursive: bool, links: bool = False) -> Found:
    """Pictures and videos in a folder, in natural order.

    Links to files are followed, links to folders only with ``links``; they may lead in circles, so each folder is
    entered once.

    Raises:
        SourceError: the folder cannot be listed, or holds neither pictures nor videos.
    """
    errors: list[SourceError] = []
    paths: list[Path] = []
    has_folders = False

    def unreadable(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: the folder cannot be listed ({error.strerror})"))

    entered = {_identity(folder)}
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=links):
        has_folders = has_folders or bool(folders)
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        if links and folders:
            folders[:] = _not_entered(Path(place), folders, entered)
        paths += [Path(place, name) for name in names if not name.startswith(".")]
    found = _sort_out(folder, paths, tuple(errors))
    if found.pictures or found.videos:
        return found
    if errors:
        raise errors[0]
    deeper = "; --recursive looks into its subfolders" if has_folders and not recursive else ""
    raise SourceError(f"{folder}: no pictures or videos in this folder ({_looked_for()}){deeper}")


def _not_entered(place: Path, names: list[str], entered: set[tuple[int, int]]) -> list[str]:
    """The folders that were not entered before, links last; they are noted as entered."""
    fresh = []
    for name in sorted(names, key=lambda name: ((place / name).is_symlink(), name)):
        identity = _identity(place / name)
        if identity not in entered:
            entered.add(identity)
            fresh.append(name)
    return fresh


def _identity(folder: Path) -> tuple[int, int]:
    """Device and number of a folder; of one that cannot be looked at, nothing that another one has."""
    try:
        status = folder.stat()
    except OSError:
        return -1, hash(folder)
    return status.st_dev, status.st_ino


def find_by_pattern(pattern: str) -> Found:
    """Pictures and videos that a pattern matches; ``**`` stands for any number of folders.

    Raises:
        SourceError: there are none.
    """
    matches = glob.iglob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    paths = [path for path in map(Path, matches) if not path.is_dir()]
    found = _sort_out(_fixed_part(pattern), paths)
    if not found.pictures and not found.videos:
        raise SourceError(f"{pattern}: no picture or video matches this pattern ({_looked_for()})")
    return found


def name_below(root: Path, path: Path) -> str:
    """A file's name with the folders between it and ``root``, "/" between them; never leads out of a folder."""
    inner = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return "/".join(part for part in inner.parts if part != "..")


def natural_order(path: Path) -> list[tuple[list[str | int], str]]:
    """Sort key: numbers in names count as numbers, case decides only between names otherwise alike."""
    return [
        ([int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())], name)
        for name in path.parts
    ]


def _sort_out(root: Path, paths: Iterable[Path], errors: tuple[SourceError, ...] = ()) -> Found:
    ordered = sorted(paths, key=natural_order)
    pictures = tuple(path for path in ordered if _is_file_of(PICTURE_EXTENSIONS, path))
    videos = tuple(path for path in ordered if _is_file_of(VIDEO_EXTENSIONS, path))
    return Found(root, pictures, videos, len(ordered) - len(pictures) - len(videos), errors)


def _is_file_of(extensions: frozenset[str], path: Path) -> bool:
    """Whether to read a path: a regular file with one of these extensions.

    What cannot be looked at, such as a link that leads nowhere, counts as a file: reading it says what is wrong.
    """
    if path.suffix.lower() not in extensions:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _fixed_part(pattern: str) -> Path:
    """The folders at the start of a pattern that hold no wildcard."""
    fixed: list[str] = []
    for part in Path(pattern).parent.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _looked_for() -> str:
    return "looked for " + " ".join(sorted(PICTURE_EXTENSIONS | VIDEO_EXTENSIONS))
