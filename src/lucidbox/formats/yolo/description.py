"""Reading ``data.yaml``, the file that describes a YOLO data set. Nothing it names is downloaded or run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lucidbox.core.errors import DataError
from lucidbox.formats.problems import Problem, ProblemKind

PARTS = ("train", "val", "test")
_ROW_KEYS = ("kpt_shape", "flip_idx", "category_ids")
NOT_PARTS = frozenset({"path", "names", "nc", "download", "roboflow", "channels", *_ROW_KEYS})
"""Keys with another meaning, which cannot be names of splits."""


@dataclass(frozen=True)
class YoloPart:
    """One split: its name, and the folders of images and lists of images it consists of."""

    name: str
    entries: tuple[Path, ...]


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
    """

    file: Path
    parts: tuple[YoloPart, ...]
    names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    keypoints: int
    row_keys: tuple[tuple[str, Any], ...]
    problems: tuple[Problem, ...]


def read_description(file: Path) -> YoloDescription:
    """Read a ``data.yaml``: paths, class names, and what is wrong with them.

    A relative ``path`` is relative to the file; splits are relative to ``path``.

    Raises:
        DataError: not YAML, or not a mapping, or no split or class is named at all.
    """
    document = _parse(file)
    problems: list[Problem] = []
    names = _names(document, str(file), problems)
    root = _root(document, file, problems)
    listed = [key for key, value in document.items() if _is_list_file(value) and key not in NOT_PARTS]
    keys = [key for key in PARTS if document.get(key)] + [key for key in listed if key not in PARTS]
    if not keys:
        raise DataError(f"{file}: names no part; write train: and val: with folders of pictures")
    parts = tuple(YoloPart(str(key), _entries(document[key], root, f"{file}", str(key), problems)) for key in keys)
    ids = document.get("category_ids")
    if ids is not None and not (_whole(ids) and len(ids) == len(set(ids)) == len(names)):
        what = f"must be {len(names)} different whole numbers, one a class; they are not used"
        problems.append(Problem(ProblemKind.CLASS_NAMES, str(file), "category_ids", what, left_out=False))
        ids = None
    shape = document.get("kpt_shape")
    keypoints = math.prod(shape) if shape and _whole(shape) else 0
    row_keys = tuple((key, document[key]) for key in _ROW_KEYS if key in document)
    return YoloDescription(file, parts, names, ids and tuple(ids), keypoints, row_keys, tuple(problems))


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


def _root(document: Mapping[Any, Any], file: Path, problems: list[Problem]) -> Path:
    stated = document.get("path")
    if stated is None:
        return file.parent
    root = file.parent / Path(str(stated)).expanduser()
    if root.is_dir():
        return root
    # Folders get moved, and some tools read a relative path against a folder of their own.
    message = f"{stated}: no such folder below {file.parent}; remove path: to mean the folder of this file"
    problems.append(Problem(ProblemKind.FOLDER, str(file), "path", message, left_out=False))
    return file.parent


def _entries(value: Any, root: Path, source: str, key: str, problems: list[Problem]) -> tuple[Path, ...]:
    """The folders and lists of a split that exist."""
    found = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str) or not entry:
            message = f"must be a folder or a list of pictures, got {entry!r}"
            problems.append(Problem(ProblemKind.WRONG_TYPE, source, key, message))
            continue
        # One popular exporter writes ../train/images for what lies at train/images.
        candidates = [root / entry] + [root / entry.removeprefix("../")] * entry.startswith("../")
        existing = [path for path in candidates if path.exists()]
        if existing:
            found.append(existing[0])
        else:
            problems.append(Problem(ProblemKind.FOLDER, source, key, f"{candidates[0]}: no such folder or list"))
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
    if not all(type(key) is int and 0 <= key < 1 << 20 for key in names):
        raise DataError(f"{source}: names: its keys must be class ids, whole numbers from 0")
    absent = [number for number in range(max(names, default=-1) + 1) if number not in names]
    if absent:
        odd(f"has no class {absent[0]}" + (f" and {len(absent) - 1} others" if absent[1:] else ""))
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]
