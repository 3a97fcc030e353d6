"""Reading ``data.yaml``, the file that describes a YOLO data set. Nothing it names is downloaded or run."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lucidbox.core.errors import DataError
from lucidbox.core.file_names import PICTURE_EXTENSIONS
from lucidbox.formats.dataset import PARTS, parts_called
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.paths import Places
from lucidbox.formats.yolo.without_yaml import described, is_described_so

_ROW_KEYS = ("kpt_shape", "flip_idx", "category_ids")
NOT_PARTS = frozenset({"path", "names", "nc", "download", "roboflow", "channels", *_ROW_KEYS})
"""Keys with another meaning, which cannot be names of splits."""


@dataclass(frozen=True)
class YoloPart:
    """One split: its name, the folders and lists of images it consists of, and where paths in lists may begin."""

    name: str
    entries: tuple[Path, ...]
    places: Places


@dataclass(frozen=True)
class YoloDescription:
    """The content of a ``data.yaml``.

    Attributes:
        file: the YAML.
        parts: train, val and test as far as they are given; also other keys that name a ``.txt`` list.
        names: class names, by class id.
        category_ids: COCO's number of each class, where the file keeps them (ours does); else None.
        keypoints: numbers a row has after the box in a pose data set; 0 in others.
        row_keys: the keys that define the rows of label files, and their values.
        problems: what is wrong with it.
        notes: how it is understood where that is not plain, in sentences.
    """

    file: Path
    parts: tuple[YoloPart, ...]
    names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    keypoints: int
    row_keys: tuple[tuple[str, Any], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def read_description(file: Path) -> YoloDescription:
    """Read a ``data.yaml``, or a file that stands for it: paths, class names, and what is wrong with them.

    A relative ``path`` is relative to the file; splits are relative to ``path``. Where nothing is there, other
    places are looked at, see :meth:`Places.find`.

    Raises:
        DataError: not YAML, or not a mapping, or no split or class is named at all.
    """
    document = described(file) if is_described_so(file) else _parse(file)
    problems: list[Problem] = []
    notes: list[str] = []
    places = _places(document, file, problems, notes)
    keys = _part_keys(document, str(file), places, problems, notes)
    names = _names(document, str(file), problems)
    parts = tuple(
        YoloPart(name, _entries(document[key], places, f"{file}", str(key), problems), places)
        for name, key in keys.items()
    )
    ids = document.get("category_ids")
    if ids is not None and not (_whole(ids) and len(ids) == len(set(ids)) == len(names)):
        what = f"must be {len(names)} different whole numbers, one a class; they are not used"
        problems.append(Problem(ProblemKind.CLASS_NAMES, str(file), "category_ids", what, left_out=False))
        ids = None
    shape = document.get("kpt_shape")
    keypoints = math.prod(shape) if shape and _whole(shape) else 0
    row_keys = tuple((key, document[key]) for key in _ROW_KEYS if key in document)
    return YoloDescription(
        file, parts, names, ids and tuple(ids), keypoints, row_keys, tuple(problems), tuple(notes)
    )


def _whole(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(number) is int for number in value)


def _is_list_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(".txt")


def _parse(file: Path) -> dict[Any, Any]:
    import yaml

    class Strict(yaml.SafeLoader):  # type: ignore[misc]
        """Plain values only; a repeated key, of which YAML readers keep the last, is an error."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    message = f"the key {key.value} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        document = yaml.load(file.read_text(encoding="utf-8-sig"), Strict)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise DataError(f"{file}{line}: not valid YAML: {reason}") from error
    if not isinstance(document, dict):
        raise DataError(f"{file}: expected train:, val: and names:; the file holds none of them")
    return document


def _places(document: Mapping[Any, Any], file: Path, problems: list[Problem], notes: list[str]) -> Places:
    home, stated = file.parent, document.get("path")
    # What CVAT writes begins with data/, which its export does not have.
    prefixes = ("data",) * is_described_so(file)
    if stated is None:
        return Places.of(home, home, *prefixes)
    text = str(stated)
    own = Path(text.replace("\\", "/")).name
    root = Places.of(home, home).find(text)
    if root is None and own == Path(os.path.abspath(home)).name:  # noqa: PTH100  # links stay
        root = home
    if root is not None and root.is_dir():
        if root != home / Path(text).expanduser():
            notes.append(f"{file}: path: {text} is taken for {root}")
        return Places.of(root, home, own)
    # Folders get moved, and some tools read a relative path against a folder of their own.
    message = f"{stated}: no such folder below {home}; remove path: to mean the folder of this file"
    problems.append(Problem(ProblemKind.FOLDER, str(file), "path", message, left_out=False))
    return Places.of(home, home, own)


def _part_keys(
    document: Mapping[Any, Any], source: str, places: Places, problems: list[Problem], notes: list[str]
) -> dict[str, Any]:
    """The key of each split, by the split's name; keys that name folders and are no splits are told.

    Raises:
        DataError: there is no split.
    """
    given = {str(key): key for key, value in document.items() if value and str(key) not in NOT_PARTS}
    keys: dict[str, Any] = {}
    for part in PARTS:
        for name in parts_called(part, list(given))[:1]:
            keys[part] = given.pop(name)
            if name != part:
                notes.append(f"{source}: {name}: is taken for {part}:")
    others = {name: key for name, key in given.items() if _is_list_file(document[key])}
    used = [path for key in keys.values() for path in _found(document[key], places)]
    unread = [
        name
        for name, key in given.items()
        if name not in others and any(_is_unread(path, used, places) for path in _found(document[key], places))
    ]
    for name in unread:
        message = "names pictures, but is no part (train, val, test), so they are not read; rename it"
        problems.append(Problem(ProblemKind.FOLDER, source, name, message))
    if not keys | others:
        remedy = "write train: and val: with folders of pictures"
        found = f"; {', '.join(unread)} name{'s' * (len(unread) == 1)} folders" if unread else ""
        raise DataError(f"{source}: names no part; {remedy}{found}")
    return keys | others


def _found(value: Any, places: Places) -> list[Path]:
    """What a value names, as absolute paths; texts that name nothing are passed over."""
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]
    paths = [path for path in map(places.find, texts) if path is not None]
    return [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  # links stay


def _is_unread(folder: Path, used: list[Path], places: Places) -> bool:
    """Whether a folder has pictures and is not one that a split, or the data set itself, is in."""
    inside = [*used, *(Path(os.path.abspath(place)) for place in (places.root, places.home))]  # noqa: PTH100
    if not folder.is_dir() or any(folder in path.parents for path in inside) or folder in inside[len(used) :]:
        return False
    suffixes = (Path(name).suffix.lower() for _, _, names in os.walk(folder) for name in names)
    return any(suffix in PICTURE_EXTENSIONS for suffix in suffixes)


def _entries(value: Any, places: Places, source: str, key: str, problems: list[Problem]) -> tuple[Path, ...]:
    """The folders and lists of a split that exist."""
    found = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str) or not entry:
            message = f"must be a folder or a list of pictures, got {entry!r}"
            problems.append(Problem(ProblemKind.WRONG_TYPE, source, key, message))
        elif (path := places.find(entry)) is not None:
            found.append(path)
        else:
            first = next(places.candidates(entry))
            problems.append(Problem(ProblemKind.FOLDER, source, key, f"{first}: no such folder or list"))
    return tuple(found)


def _names(document: Mapping[Any, Any], source: str, problems: list[Problem]) -> tuple[str, ...]:
    def odd(message: str, field: str = "names") -> None:
        problems.append(Problem(ProblemKind.CLASS_NAMES, source, field, message, left_out=False))

    names, count = document.get("names"), document.get("nc")
    if names is None and type(count) is int and 0 < count < 1 << 20:
        odd(f"is missing; the {count} classes are called by their numbers")
        return tuple(map(str, range(count)))
    if isinstance(names, dict):
        names = _in_order(names, source, odd)
    if not isinstance(names, list) or not names:
        raise DataError(f"{source}: names: must be a list of class names, or class ids with names")
    for number, name in enumerate(names):
        if not isinstance(name, str):
            odd(f"class {number} is {name!r}, not text; YAML needs quotes around it")
        elif name in names[:number]:
            odd(f"class {number} is called {name!r} as class {names.index(name)} is")
    if count is not None and count != len(names):
        odd(f"is {count!r}, but names has {len(names)} classes", "nc")
    return tuple(map(str, names))


def _in_order(names: Mapping[Any, Any], source: str, odd: Any) -> list[Any]:
    # JSON and some YAML writers put quotes around every key.
    names = {int(key) if isinstance(key, str) and key.isdecimal() else key: name for key, name in names.items()}
    if not all(type(key) is int and 0 <= key < 1 << 20 for key in names):
        raise DataError(f"{source}: names: its keys must be class ids, whole numbers from 0")
    absent = [number for number in range(max(names, default=-1) + 1) if number not in names]
    if absent:
        odd(f"has no class {absent[0]}" + (f" and {len(absent) - 1} others" if absent[1:] else ""))
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]
