"""Class names from weights files and from users' files, checked."""

import json
from pathlib import Path

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.metadata import LONGEST_NAME, MOST_NAMES
from lucidbox.weights.licence_text import one_line


def checked_names(names: object) -> tuple[str, ...]:
    """Class names from a list, or from a dict with the class ids 0, 1, 2, ... as keys; each on one line.

    Raises:
        WeightsError: they are of another type, or a name is empty.
    """
    if isinstance(names, (dict, list, tuple)) and len(names) > MOST_NAMES:
        raise WeightsError(f"{len(names)} class names; at most {MOST_NAMES} are read")
    if isinstance(names, dict):
        by_id = {str(key): name for key, name in names.items()}
        if by_id.keys() != {str(number) for number in range(len(names))}:
            raise WeightsError("class names must have the ids 0, 1, 2, ... without gaps")
        names = [by_id[str(number)] for number in range(len(names))]
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise WeightsError("class names must be a list of texts, or class ids with texts")
    if any(len(name) > LONGEST_NAME for name in names):
        raise WeightsError(f"a class name has more than {LONGEST_NAME} characters")
    lines = tuple(one_line(name) for name in names)
    if not all(lines):
        raise WeightsError(f"class {lines.index('')} has an empty name")
    return lines


def read_names(path: str | Path) -> tuple[str, ...]:
    """Class names from a text file with one name on each line, or from a JSON list or object.

    Raises:
        WeightsError: the file cannot be read or has no names.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
        names = json.loads(text) if text.lstrip()[:1] in ("[", "{") else text.split("\n")
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); give a file of class names") from None
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: neither UTF-8 text with one class name a line, nor JSON ({error})") from None
    if isinstance(names, list) and not text.lstrip().startswith("["):
        names = [line for line in names if line.strip()]
    if not names:
        raise WeightsError(f"{path}: no class names in it")
    try:
        return checked_names(names)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
