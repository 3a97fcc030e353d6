"""Fonts in files: the one that ``LUCIDBOX_FONT`` names, and installed ones.

OpenCV crashes on a broken font file, so files are only opened with Pillow.
"""

import os
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError
from lucidbox.draw.text_order import is_right_to_left

Blank = Callable[[int, int], UInt8[np.ndarray, "h w"]]
"""An empty mask for a text of this width, at this size, in pixels."""

Baseline = Callable[[int], int]
"""The row of the baseline in masks of this size."""

# Installed fonts with many scripts, by lower-case stem; others are found by their script's name.
_BROAD_FONTS = (
    *("dejavusans-bold", "dejavusans", "arial unicode", "arialunicode", "notosans-bold", "notosans-regular"),
    *("segoeui", "nirmala", "leelawui", "mmrtext", "ebrima", "gadugi", "himalaya", "seguisym", "seguiemj"),
    *("notoemoji-regular", "symbola", "freesans", "unifont"),
)


@lru_cache(maxsize=64)
def check_font(path: str, size: int) -> None:
    """Refuse a font that Pillow cannot use.

    Raises:
        OptionError: the file is missing or no scalable font.
    """
    from PIL import ImageFont  # 40 ms, and most names never need it

    try:
        ImageFont.truetype(path, size).getlength("a")
    except (OSError, ValueError) as error:
        raise OptionError(f"LUCIDBOX_FONT={path}: not a readable font; name a .ttf or .otf file") from error


def set_from_file(path: str, blank: Blank, baseline: Baseline, text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """Draw text with a font file; Thai and Indic scripts are shaped if Pillow has the raqm library."""
    from PIL import Image, ImageDraw, ImageFont, features

    # Right-to-left text is in visual order already, which raqm would reverse again. And raqm puts a single mark on
    # a dotted circle, which would hide that a font lacks the mark.
    shaping = len(text) > 1 and not is_right_to_left(text) and features.check_feature("raqm")
    layout = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    font = ImageFont.truetype(path, size, layout_engine=layout)
    canvas = Image.fromarray(blank(round(font.getlength(text)), size))
    ImageDraw.Draw(canvas).text((size, baseline(size)), text, fill=255, font=font, anchor="ls")
    return np.array(canvas)


@lru_cache(maxsize=64)
def installed_fonts(words: frozenset[str]) -> list[Path]:
    """Installed font files whose names have these scripts, such as NotoSansThai, then fonts of many scripts."""
    stems = {path: path.stem.lower() for path in _font_files()} if words else {}
    named = [path for path, stem in stems.items() if any(word in stem for word in words)]
    broad = [path for name in _BROAD_FONTS for path, stem in stems.items() if stem == name]
    return [*sorted(named, key=lambda path: ("sans" not in stems[path], stems[path])), *broad]


@lru_cache(maxsize=1)
def _font_files() -> list[Path]:
    """Every font file in this system's font folders."""
    try:
        home = Path.home()
    except RuntimeError:  # pathlib's word for no HOME and no entry among the system's users
        home = Path(os.devnull)
        warnings.warn(
            "no home folder is known, so fonts in it are not looked at; LUCIDBOX_FONT names one", stacklevel=2
        )
    if sys.platform == "win32":
        folders = [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            Path(os.environ.get("LOCALAPPDATA", home)) / "Microsoft" / "Windows" / "Fonts",
        ]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    else:
        shared = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
        folders = [*shared, home / ".local" / "share" / "fonts", home / ".fonts"]
    suffixes = {".ttf", ".otf", ".ttc"}
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in suffixes)
