"""Checking a data set's image files: whether they exist, are undamaged, and have the annotated size."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import ImageError, SourceError
from lucidbox.core.parallel import in_threads
from lucidbox.core.progress import Progress, no_progress
from lucidbox.formats.dataset import DataSet
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.images.headers import Header, read_header
from lucidbox.images.reading import read_image
from lucidbox.sources.folders import find_in_folder


@dataclass(frozen=True)
class _Look:
    """A file to check, its name in messages, and the annotated size."""

    path: Path
    place: str
    width: int
    height: int


def check_pictures(dataset: DataSet, *, decode: bool = True, progress: Progress = no_progress) -> list[Problem]:
    """Problems of the image files: missing, unreadable, or of another size than stated.

    Args:
        dataset: one split, whose folder of images is known.
        decode: decode every image, which finds damage; else read only its first bytes.
        progress: shows the images.
    """
    looks = [
        _Look(dataset.path(index), str(dataset.path(index)), *size)
        for index, size in enumerate(dataset.sizes.tolist())
    ]
    found = in_threads(_decoded if decode else _glanced_at, looks)
    return [problem for problem in progress(found, len(looks)) if problem is not None]


def _decoded(look: _Look) -> Problem | None:
    if not look.path.is_file():
        return Problem(ProblemKind.MISSING_PICTURE, look.place, "", "no such file")
    try:
        height, width, _ = read_image(look.path).shape
    except ImageError as error:
        reason = str(error).removeprefix(f"{look.path}: ")
        return Problem(ProblemKind.UNREADABLE_PICTURE, look.place, "", reason)
    if look.width and (width, height) != (look.width, look.height):
        return _other_size(look, read_header(look.path), width, height)
    return None


def _glanced_at(look: _Look) -> Problem | None:
    header = read_header(look.path)
    if header.error:
        kind = ProblemKind.UNREADABLE_PICTURE if look.path.is_file() else ProblemKind.MISSING_PICTURE
        return Problem(kind, look.place, "", header.error)
    if look.width and (header.width, header.height) != (look.width, look.height):
        return _other_size(look, header, header.width, header.height)
    return None


def _other_size(look: _Look, header: Header, width: int, height: int) -> Problem:
    """The stated size is not the one a viewer shows."""
    message = f"is {width}×{height}, annotated as {look.width}×{look.height}"
    if header.turned and (height, width) == (look.width, look.height):
        message += (
            f": the size before its EXIF orientation {header.orientation} is applied. Viewers and lucidbox show it"
            " turned, and the boxes would not fit; annotate the turned picture, or remove the EXIF tag"
        )
    return Problem(ProblemKind.PICTURE_SIZE, look.place, "", message, left_out=False)


def check_copies(parts: Iterable[DataSet]) -> list[Problem]:
    """Identical files in one split or in two, which would mix training and validation."""
    by_size: defaultdict[int, list[tuple[Path, str]]] = defaultdict(list)
    for part in parts:
        for path in _existing(part):
            by_size[path.stat().st_size].append((path, part.name))
    problems = []
    for alike in by_size.values():
        first: dict[str, tuple[Path, str]] = {}
        # Most images differ in size already; only the others need to be read.
        for path, name in alike if len(alike) > 1 else ():
            other, other_name = first.setdefault(_content(path), (path, name))
            if (other, other_name) != (path, name):
                message = f"in {name}: the same picture as {other} in {other_name}"
                problems.append(Problem(ProblemKind.SAME_PICTURE, str(path), "", message, left_out=False))
    return problems


def _existing(part: DataSet) -> Iterator[Path]:
    return (path for path in map(part.path, range(len(part))) if path.is_file())


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return str(path)  # unreadable: reported by check_pictures, and not a copy


def unlisted(parts: Iterable[DataSet]) -> dict[Path, int]:
    """How many images in each folder of images are in none of these splits."""
    listed: defaultdict[Path, set[Path]] = defaultdict(set)
    for part in parts:
        if part.root is not None:
            listed[part.root] |= {part.root / name for name in part.file_names}
    counts = {root: len(set(_pictures_in(root)) - names) for root, names in listed.items()}
    return {root: count for root, count in counts.items() if count}


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    try:
        return find_in_folder(folder, recursive=True, links=True).pictures
    except SourceError:
        return ()
