"""YOLO exports without ``data.yaml``: Label Studio's ``classes.txt``, CVAT's ``obj.data`` and ``obj.names``."""

from pathlib import Path
from typing import Any

from lucidbox.core.errors import DataError

CLASS_LISTS = ("classes.txt", "obj.names")
"""Files with a class name a line, beside which the images and labels are."""

_PARTS = ("train", "val", "valid", "test")


def is_described_so(file: Path) -> bool:
    """Whether a file is one that :func:`described` reads."""
    return file.suffix.lower() in (".data", ".names") or file.name in CLASS_LISTS


def described(file: Path) -> dict[Any, Any]:
    """What a ``data.yaml`` of the data set would say.

    Raises:
        DataError: it cannot be read as text.
    """
    if file.suffix.lower() != ".data":
        return {**_folders(file.parent), "names": _lines(file)}
    pairs = (line.partition("=") for line in _lines(file))
    document: dict[Any, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    listed = document.pop("names", None)
    names = [file.parent / str(listed), file.parent / Path(str(listed)).name] if listed else []
    names += [file.with_suffix(".names")]
    found = next((path for path in names if path.is_file()), None)
    count = str(document.pop("classes", ""))
    if found is not None:
        return {**_kept(document), "names": _lines(found)}
    return {**_kept(document), "nc": int(count) if count.isdecimal() else 0}


def _kept(document: dict[Any, Any]) -> dict[Any, Any]:
    """Without the keys of a training, such as ``backup``."""
    return {key: value for key, value in document.items() if key in _PARTS and value}


def _folders(home: Path) -> dict[Any, Any]:
    """A folder for each part, where they are called so; else the folder of all images."""
    for pattern in ("images/{}", "{}/images", "{}", "obj_{}_data"):
        found = {part: pattern.format(part) for part in _PARTS if (home / pattern.format(part)).is_dir()}
        if found:
            return found
    lists = {part: f"{part}.txt" for part in _PARTS if (home / f"{part}.txt").is_file()}
    return lists or {"train": "images" if (home / "images").is_dir() else "."}


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text: {error}") from error
    return [line.strip() for line in lines if line.strip()]
