"""File and folder names that every file system takes, and that no two results share."""

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

PICTURE_EXTENSIONS = frozenset(
    [
        ".avif", ".bmp", ".dib", ".gif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg",
        ".jpx", ".mpo", ".apng", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    ]
)  # fmt: skip
"""Files of these are read as images."""
VIDEO_EXTENSIONS = frozenset(
    [
        ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".h264", ".h265", ".hevc", ".ivf",
        ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg",
        ".mts", ".mxf", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv",
    ]
)  # fmt: skip
"""Files of these are read as videos."""

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


def without_extension(name: str) -> str:
    """A file's name without the extension of an image or video; other dots belong to the name.

    Example:
        >>> without_extension("day1/street.jpg"), without_extension("192.168.1.10"), without_extension("scan.01")
        ('day1/street', '192.168.1.10', 'scan.01')
    """
    path = PurePosixPath(name)
    known = path.suffix.lower() in PICTURE_EXTENSIONS | VIDEO_EXTENSIONS
    return name[: -len(path.suffix)] if known else name


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


class UniquePaths:
    """Paths given out once each, as :class:`UniqueNames` does in each folder. Paths are without extensions."""

    def __init__(self) -> None:
        self._folders: dict[str, UniqueNames] = {}

    def claim(self, path: PurePosixPath) -> PurePosixPath:
        """A path like this one, in the same folder, that nothing else has."""
        names = self._folders.setdefault(_folded(str(path.parent)), UniqueNames())
        return path.parent / names.claim(path.name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
