"""File and folder names that every file system takes, and that no two results share."""

import os
import re
import unicodedata
from pathlib import Path

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]')
# Names that Windows keeps for devices, whatever suffix follows.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
# Bytes: file systems allow 255, and numbers and suffixes are still to come.
_LONGEST, _LONGEST_STEM = 120, 200


def safe_name(text: str) -> str:
    """The text as one part of a path: readable, in its own script, and allowed on every file system.

    Example:
        >>> safe_name("traffic/light"), safe_name("交通灯"), safe_name(".."), safe_name("nul")
        ('traffic_light', '交通灯', '_', '_nul')
    """
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip()
    name = name.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")  # Windows drops these ends
    name = "_" + name.lstrip(".") if name.startswith(".") else name  # no hidden files, no parent folder
    return "_" + name if not name or _RESERVED.fullmatch(name) else name


class UniqueNames:
    """Names given out once each: what would be taken gets a number, as in "1", "1-2", "1-3".

    Names that differ only in case or in how accents are encoded count as one, as they do on Windows and
    macOS. Asking the same again in the same order gives the same names.

    Args:
        folder: names (without suffix) of what it already holds are taken; it need not exist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        present = folder.iterdir() if folder is not None and folder.is_dir() else ()
        self._taken = {_folded(path.stem) for path in present}
        self._next: dict[str, int] = {}

    def claim(self, stem: str) -> str:
        """A name like ``stem`` that nothing else has, for the picture, crops and text of one source."""
        # Cut by bytes, whatever encoding the file system's names have; stray bytes of short names stay.
        if len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = os.fsencode(stem)[:_LONGEST_STEM].decode(errors="ignore")
        folded = _folded(stem)
        number = self._next.get(folded, 1)
        name = stem if number == 1 else f"{stem}-{number}"
        while _folded(name) in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._next[folded] = number + 1
        self._taken.add(_folded(name))
        return name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
