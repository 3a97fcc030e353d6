"""Where a YOLO data set's images and label files are."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lucidbox.core.errors import SourceError
from lucidbox.core.file_names import PICTURE_EXTENSIONS
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.description import YoloPart
from lucidbox.formats.yolo.label_files import LabelFiles, files_in, label_folders
from lucidbox.formats.yolo.paths import Places
from lucidbox.sources.folders import find_in_folder

# What labelling tools leave among labels.
_NO_LABELS = frozenset({"classes.txt", "labels.txt", "train.txt", "val.txt", "valid.txt", "test.txt"})
_PLACES_SHOWN = 3


def pictures_of(part: YoloPart, source: str, problems: list[Problem]) -> list[Path]:
    """Absolute paths of a split's images, each once."""
    found: dict[Path, str] = {}
    for entry in part.entries:
        places = _in_folder(entry, problems) if entry.is_dir() else _in_list(entry, part.places, problems)
        for path, place in places:
            if found.setdefault(path, place) != place:
                message = f"{path.name} was named by {found[path]} already"
                problems.append(Problem(ProblemKind.SAME_PICTURE, place, "", message))
    if not found and part.entries:
        problems.append(Problem(ProblemKind.FOLDER, source, part.name, "has no pictures"))
    return list(found)


def _in_folder(folder: Path, problems: list[Problem]) -> list[tuple[Path, str]]:
    try:
        found = find_in_folder(folder, recursive=True, links=True)
    except SourceError as error:
        problems.append(Problem(ProblemKind.FOLDER, str(folder), "", str(error).removeprefix(f"{folder}: ")))
        return []
    problems += [Problem(ProblemKind.FOLDER, str(folder), "", str(error)) for error in found.errors]
    return [(_absolute(path), str(path)) for path in found.pictures]


def _in_list(file: Path, roots: Places, problems: list[Problem]) -> list[tuple[Path, str]]:
    """Images that a text file names, one a line: absolute, or relative to the file or to the data set."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
        if "\0" in text:
            raise ValueError("it is no text")
    except (OSError, ValueError) as error:
        problems.append(
            Problem(ProblemKind.FOLDER, str(file), "", f"cannot be read as a list of pictures: {error}")
        )
        return []
    found = []
    for number, line in enumerate(text.split("\n"), 1):  # names may hold what else Python takes for a line's end
        name, place = line.strip(), f"{file}:{number}"
        path = roots.find(name, file.parent) if name else None
        if path is not None and path.is_file():
            found.append((_absolute(path), place))
        elif name:
            message = f"{_absolute(file.parent / name)}: no such file"
            problems.append(Problem(ProblemKind.MISSING_PICTURE, place, "", message))
    return found


def _absolute(path: Path) -> Path:
    # Not resolve(): where an image is a link, its labels are beside the link.
    return Path(os.path.abspath(path))  # noqa: PTH100


def orphan_labels(part: YoloPart, labels_of: Mapping[Path, Path | None], labels: LabelFiles) -> list[Problem]:
    """Label files without an image, in the folders that belong to the split's images.

    Args:
        part: the split.
        labels_of: its images and the label file of each.
        labels: where label files are.
    """
    folders = {path.parent for path in labels_of}
    for entry in part.entries:
        if entry.is_dir():
            # Both kinds of folders absolute, or one folder would count as two.
            base = _absolute(entry)
            home = next(filter(Path.is_dir, label_folders(base)))
            folders |= {base / Path(place).relative_to(home) for place, _, _ in os.walk(home)}
    used, problems = frozenset(labels_of.values()), []
    for folder in sorted(folders):
        files = [file for place in labels.folders(folder)[:1] for file in labels.listed(place).values()]
        names = map(os.path.splitext, files_in(folder)) if files else ()
        stems = {stem for stem, suffix in names if suffix.lower() in PICTURE_EXTENSIONS}
        for file in files:
            if file.stem not in stems and file not in used and file.name not in _NO_LABELS:
                message = f"there is no picture of this name in {folder}"
                problems.append(Problem(ProblemKind.ORPHAN_LABEL, str(file), "", message))
    return problems


def no_labels(part: YoloPart, pictures: Iterable[Path], source: str) -> Problem:
    """The problem of a split of which no image has a label file."""
    pictures = list(pictures)
    places = dict.fromkeys(place for path in pictures for place in label_folders(path.parent))
    # Spellings of the same place say nothing more.
    looked = [str(place) for place in places if place.name not in ("Labels", "LABELS")][:_PLACES_SHOWN]
    message = f"none of its {len(pictures)} pictures has a label file; looked in {', '.join(looked)}"
    return Problem(ProblemKind.NO_LABELS, source, part.name, message)
