"""Finding pictures and videos in folders and by patterns.

In a folder, what counts is the extension, in any case; hidden files and folders (a leading dot) are skipped.
Pipes, sockets and devices are left out: reading one may never end.
Order is natural (``img2`` before ``img10``) and the same on every machine.
"""

import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lucidbox.core.errors import SourceError
from lucidbox.core.file_names import PICTURE_EXTENSIONS, VIDEO_EXTENSIONS
from lucidbox.images.kinds import UNREAD_EXTENSIONS, remedy


@dataclass(frozen=True)
class PassedOver:
    """What of a folder, or of what a pattern matches, is not read.

    Attributes:
        name: what the user named.
        files: number of files by suffix; "pipe or device" for what is no file.
        folders: number of folders by the reason for which they were not entered.
    """

    name: str
    files: Counter[str]
    folders: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        """How many of the files are images all the same, of kinds that are not read."""
        return sum(count for suffix, count in self.files.items() if suffix in UNREAD_EXTENSIONS)

    def lines(self) -> list[str]:
        """One line a reason, with its remedy."""
        found = [f"{self.name}: {_folders(count)} {reason}" for reason, count in sorted(self.folders.items())]
        if self.files:
            number = self.files.total()
            kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(self.files.items()))
            files = "file of another kind" if number == 1 else "files of other kinds"
            unread = sorted(set(self.files) & UNREAD_EXTENSIONS)
            advice = f"; {remedy(unread)}" if unread else ""
            found.insert(0, f"{self.name}: {number} {files} passed over ({kinds}){advice}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """The same as a record of JSON."""
        return {"source": self.name, "passed_over": {**self.files, **self.folders}}


def _folders(count: int) -> str:
    return "1 folder in it" if count == 1 else f"{count} folders in it"


_SHALLOW = "not looked into; --recursive looks into its subfolders"
_LINKED = "not followed: links to folders may lead in circles"
_OWN = "passed over: results of lucidbox; name one to read it"
_OWN_FOLDER = re.compile(r"(predict|track|explain|train)(-\d+)?")


@dataclass(frozen=True)
class Found:
    """What a folder or pattern holds. ``root`` is the folder that ``Picture.name`` is relative to."""

    root: Path
    pictures: tuple[Path, ...]
    videos: tuple[Path, ...]
    passed_over: PassedOver
    errors: tuple[SourceError, ...] = field(default=())


def find_in_folder(folder: Path, *, recursive: bool, results: Path | None = None, links: bool = False) -> Found:
    """Pictures and videos in a folder, in natural order.

    Links to files are followed, links to folders only with ``links``; they may lead in circles, so each folder is
    then entered once. Folders of results of lucidbox, which hold copies of what was looked at before, are not
    entered unless ``folder`` is one.

    Args:
        folder: where to look.
        recursive: look into folders within folders, too.
        results: where this run writes; it and the numbered folders beside it are results, too.
        links: follow links to folders.

    Raises:
        SourceError: the folder cannot be listed, or holds neither pictures nor videos.
    """
    errors: list[SourceError] = []
    paths: list[Path] = []
    skipped: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: the folder cannot be listed ({error.strerror})"))

    entered = {_identity(folder)}
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=links):
        inner = [name for name in folders if not name.startswith(".")]
        reasons = {name: _not_entered(Path(place, name), recursive, results, links) for name in inner}
        skipped.update(filter(None, reasons.values()))
        folders[:] = [name for name in inner if not reasons[name]]
        if links and folders:
            folders[:] = _first_visits(Path(place), folders, entered)
        paths += [Path(place, name) for name in names if not name.startswith(".")]
    found = _sort_out(str(folder), folder, paths, skipped, tuple(errors))
    if found.pictures or found.videos:
        return found
    if errors:
        raise errors[0]
    raise SourceError(f"{folder}: no pictures or videos in this folder{_looked_for(found.passed_over)}")


def _first_visits(place: Path, names: list[str], entered: set[tuple[int, int]]) -> list[str]:
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


def _not_entered(folder: Path, recursive: bool, results: Path | None, links: bool) -> str | None:
    """Why a folder within the one that was named is not looked into; None if it is."""
    if not recursive:
        return _SHALLOW
    if _is_result(folder, results):
        return _OWN
    return _LINKED if folder.is_symlink() and not links else None


def _is_result(folder: Path, results: Path | None) -> bool:
    """Whether lucidbox writes into folders of this name: ``runs/predict``, ``runs/predict-2`` and so on."""
    if _OWN_FOLDER.fullmatch(folder.name) and folder.parent.resolve().name == "runs":
        return True
    return (
        results is not None
        and re.fullmatch(rf"{re.escape(results.name)}(-\d+)?", folder.name) is not None
        and folder.parent.resolve() == results.parent.resolve()
    )


def find_by_pattern(pattern: str, results: Path | None = None) -> Found:
    """Pictures and videos that a pattern matches; ``**`` stands for any number of folders.

    Args:
        pattern: with ``*``, ``?`` or ``[``.
        results: as for :func:`find_in_folder`.

    Raises:
        SourceError: there are none.
    """
    root = _fixed_part(pattern)
    matches = glob.iglob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    paths = [path for path in map(Path, matches) if not path.is_dir()]
    inner = {folder for path in paths for folder in path.parents if folder != root and folder.is_relative_to(root)}
    own = {folder for folder in inner if _is_result(folder, results)}
    kept = [path for path in paths if own.isdisjoint(path.parents)]
    found = _sort_out(pattern, root, kept, Counter({_OWN: len(own)} if own else {}))
    if not found.pictures and not found.videos:
        raise SourceError(f"{pattern}: no picture or video matches this pattern{_looked_for(found.passed_over)}")
    return found


def natural_order(path: Path) -> list[tuple[list[str | int], str]]:
    """Sort key: numbers in names count as numbers, case decides only between names otherwise alike."""
    return [
        ([int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())], name)
        for name in path.parts
    ]


def _sort_out(
    name: str, root: Path, paths: Iterable[Path], folders: Counter[str], errors: tuple[SourceError, ...] = ()
) -> Found:
    ordered = sorted(paths, key=natural_order)
    pictures = tuple(path for path in ordered if _is_file_of(PICTURE_EXTENSIONS, path))
    videos = tuple(path for path in ordered if _is_file_of(VIDEO_EXTENSIONS, path))
    read = {*pictures, *videos}
    others = Counter(_kind(path) for path in ordered if path not in read)
    return Found(root, pictures, videos, PassedOver(name, others, folders), errors)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in PICTURE_EXTENSIONS | VIDEO_EXTENSIONS:
        return "pipe or device"
    return suffix or "no suffix"


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


def _looked_for(passed_over: PassedOver) -> str:
    others = "".join(f"; {line.removeprefix(f'{passed_over.name}: ')}" for line in passed_over.lines())
    return f" (looked for {' '.join(sorted(PICTURE_EXTENSIONS | VIDEO_EXTENSIONS))}){others}"
