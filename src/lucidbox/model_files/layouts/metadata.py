"""What other tools write into the metadata of their exports."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass

from lucidbox.core.text import printable
from lucidbox.model_files.metadata import LONGEST_NAME

LARGEST = 1_000_000
"""Most characters of an entry that is parsed."""


@dataclass(frozen=True)
class Stated:
    """What metadata state; None and empty where they do not.

    Attributes:
        names: class names, by class id.
        task: such as "detect".
        size: height and width that the model was made for.
        licence: word for word.
        description: of the model.
        reasons: the entries that were used, in words.
    """

    names: tuple[str, ...] | None = None
    task: str = ""
    size: tuple[int, int] | None = None
    licence: str = ""
    description: str = ""
    reasons: tuple[str, ...] = ()


def stated_by(metadata: Mapping[str, str]) -> Stated:
    """What the metadata of an export of another tool state; what cannot be understood is as if it were absent."""
    names, sides = _names(_literal(metadata.get("names", ""))), _literal(metadata.get("imgsz", ""))
    size = None
    if isinstance(sides, int):
        sides = [sides, sides]
    if isinstance(sides, list | tuple) and len(sides) == 2 and all(isinstance(side, int) for side in sides):
        size = (sides[0], sides[1])
    used = {"names": names, "task": metadata.get("task"), "imgsz": size}
    return Stated(
        names,
        metadata.get("task", ""),
        size,
        printable(metadata.get("license", metadata.get("licence", ""))),
        printable(metadata.get("description", "")),
        tuple(f"its metadata state {name}" for name, value in used.items() if value),
    )


def _literal(text: str) -> object:
    """A number, list or dictionary, written as Python or JSON writes it; nothing is executed."""
    if not text or len(text) > LARGEST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _names(stated: object) -> tuple[str, ...] | None:
    """Names from a list, or from a dictionary by class id."""
    if isinstance(stated, dict):
        try:
            by_id = {int(number): name for number, name in stated.items()}
        except (TypeError, ValueError):
            return None
        if sorted(by_id) != list(range(len(by_id))):
            return None
        stated = [by_id[number] for number in range(len(by_id))]
    if not isinstance(stated, list) or not stated or not all(isinstance(name, str) for name in stated):
        return None
    return tuple(printable(name)[:LONGEST_NAME] or f"class {number}" for number, name in enumerate(stated))
