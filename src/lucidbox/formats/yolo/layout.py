"""Where a YOLO data set's images and label files are."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lucidbox.core.errors import SourceError
from lucidbox.core.file_names import PICTURE_EXTENSIONS
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.description import YoloPart
from lucidbox.sources.files import find_in_folder

# What labelling tools leave among labels.
_NO_LABELS = frozenset({"classes.txt", "labels.txt", "train.txt", "val.txt", "test.txt"})


def label_path(picture: Path) -> Path:
    """Where the labels of an image are.

    The last folder called ``images`` becomes ``labels``, the suffix ``.txt``. Where no folder is called so, the
    labels are beside the image.
    """
    parts = list(picture.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def pictures_of(part: YoloPart, source: str, problems: list[Problem]) -> list[Path]:
    """Absolute paths of a split's images, each once."""
    found: dict[Path, str] = {}
    for entry in part.entries:
        places = _in_folder(entry, problems) if entry.is_dir() else _in_list(entry, problems)
        for path, place in places:
            if found.setdefault(path, place) != place:
                message = f"{path.name} was named by {found[path]} already"
                problems.append(Problem(ProblemKind.SAME_PICTURE, place, "", message))
    if not found and part.entries:
        problems.append(Problem(ProblemKind.FOLDER, source, part.name, "has no pictures"))
    return list(found)


def _in_folder(folder: Path, problems: list[Problem]) -> list[tuple[Path, str]]:
    try:
        found = find_in_folder(folder, recursive=True)
    except SourceError as error:
        problems.append(Problem(ProblemKind.FOLDER, str(folder), "", str(error).removeprefix(f"{folder}: ")))
        return []
    problems += [Problem(ProblemKind.FOLDER, str(folder), "", str(error)) for error in found.errors]
    return [(_absolute(path), str(path)) for path in found.pictures]


def _in_list(file: Path, problems: list[Problem]) -> list[tuple[Path, str]]:
    """Images that a text file names, one a line, absolute or relative to the file."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(
            Problem(ProblemKind.FOLDER, str(file), "", f"cannot be read as a list of pictures: {error}")
        )
        return []
    named = [(f"{file}:{number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    places = [(_absolute(file.parent / line), place) for place, line in named]
    for path, place in places:
        if not path.is_file():
            problems.append(Problem(ProblemKind.MISSING_PICTURE, place, "", f"{path}: no such file"))
    return [(path, place) for path, place in places if path.is_file()]


def _absolute(path: Path) -> Path:
    # Not resolve(): where an image is a link, its labels are beside the link.
    return Path(os.path.abspath(path))  # noqa: PTH100


def orphan_labels(part: YoloPart, pictures: Iterable[Path]) -> list[Problem]:
    """Label files without an image, in the folders that belong to the split's images."""
    folders = {_absolute(path.parent) for path in pictures}
    for entry in part.entries:
        if entry.is_dir():
            # Both kinds of folders absolute, or one folder would count as two.
            base, labels = _absolute(entry), _labels_of(entry)
            folders |= {base / place.relative_to(labels) for place in _walk(labels)}
    problems = []
    for folder in sorted(folders):
        stems = {name.stem for name in _files(folder) if name.suffix.lower() in PICTURE_EXTENSIONS}
        for file in _files(_labels_of(folder)):
            if file.suffix == ".txt" and file.stem not in stems and file.name not in _NO_LABELS:
                message = f"there is no picture of this name in {folder}"
                problems.append(Problem(ProblemKind.ORPHAN_LABEL, str(file), "", message))
    return problems


def _labels_of(folder: Path) -> Path:
    """The folder of the labels of a folder's images."""
    return label_path(_absolute(folder) / "picture.jpg").parent


def _walk(folder: Path) -> Iterator[Path]:
    return (Path(place) for place, _, _ in os.walk(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
