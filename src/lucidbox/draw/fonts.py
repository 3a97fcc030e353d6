"""Text as coverage masks, in any script: OpenCV's built-in font, or fonts of the system if it lacks letters.

The built-in font has Latin, Cyrillic, Greek, Vietnamese, Chinese, Japanese, Korean, Hebrew and Arabic
(without Arabic's joined forms). Thai, the scripts of India, emoji and the rest need a font file: the one that
the environment variable ``LUCIDBOX_FONT`` names, or an installed one.
OpenCV crashes on a broken font file, so files are only opened with Pillow.
"""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError
from lucidbox.core.text import is_right_to_left, joined, printable, visual_order

Typesetter = Callable[[str, int], UInt8[np.ndarray, "h w"]]
"""Draws text at a size in pixels; the mask's height and baseline depend on the size only."""

# Heights above and below the baseline, in sizes: room for stacked accents and deep tails.
_ABOVE, _BELOW = 1.4, 0.7
_WEIGHT = 550  # between regular and bold: thin strokes vanish at ten pixels
_PROBE = 24  # size at which a letter is drawn to find out whether a font has it
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))
# Installed fonts with many scripts, by lower-case stem; others are found by their script's name.
_BROAD_FONTS = (
    *("dejavusans-bold", "dejavusans", "arial unicode", "arialunicode", "notosans-bold", "notosans-regular"),
    *("segoeui", "nirmala", "leelawui", "mmrtext", "ebrima", "gadugi", "himalaya", "seguisym", "seguiemj"),
    *("notoemoji-regular", "symbola", "freesans", "unifont"),
)
_opencv_text = Lock()  # OpenCV does not document its glyph cache as thread-safe


def text_mask(text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """How much of each pixel the text covers, 0 to 255, cut to the text's own width.

    Args:
        text: one line; letters that no font has are left out (see :func:`missing_letters`).
        size: pixels; a capital is about 0.7 of it high.

    Returns:
        All masks of one size have the same height and :func:`baseline`, so they can be put side by side. Empty
        text gives no columns. Read-only, because calls share it.

    Raises:
        OptionError: ``LUCIDBOX_FONT`` does not name a readable font file.
    """
    return _mask(printable(text), size)


def baseline(size: int) -> int:
    """The row of the baseline in masks of this size."""
    return round(_ABOVE * size)


def missing_letters(text: str) -> str:
    """Letters, digits and accents of the text that no available font has, each once; other signs do not count.

    Raises:
        OptionError: ``LUCIDBOX_FONT`` does not name a readable font file.
    """
    _, _, lacking = _choose(printable(text))
    return "".join(letter for letter in lacking if unicodedata.category(letter)[0] in "LMN")


@lru_cache(maxsize=256)
def _mask(text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    typeset, shaped, lacking = _choose(text)
    mask = typeset("".join(letter for letter in shaped if letter not in lacking).strip(), size)
    columns = np.flatnonzero(mask.any(axis=0))
    mask = mask[:, columns[0] : columns[-1] + 1].copy() if columns.size else mask[:, :0]
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=1024)
def _choose(text: str) -> tuple[Typesetter, str, str]:
    """A typesetter, the text to give it (Arabic letters joined or not), and the characters it lacks, each once.

    The first that lacks nothing, else the one that lacks least. Arabic is tried in joined letters first, then in
    single letters, which can be read, too.
    """
    forms = [text]
    if is_right_to_left(text):
        forms = [visual_order(letters).translate(_JOINERS) for letters in (joined(text), text)]
    best: tuple[Typesetter, str, str] | None = None
    for letters in forms:
        for typeset in _typesetters(letters):
            lacking = "".join(letter for letter in dict.fromkeys(letters) if not _has(typeset, letter))
            if best is None or len(lacking) < len(best[2]):
                best = typeset, letters, lacking
            if not lacking:
                return best
    assert best is not None  # the built-in font is always a candidate
    return best


@lru_cache(maxsize=4096)
def _has(typeset: Typesetter, letter: str) -> bool:
    """Whether a font has a letter, that is, does not draw its sign for unknown ones."""
    if letter.isspace() or letter == "?" or unicodedata.category(letter) == "Cf":
        return True
    return not np.array_equal(typeset(letter, _PROBE), _unknown(typeset))


@lru_cache(maxsize=64)
def _unknown(typeset: Typesetter) -> UInt8[np.ndarray, "h w"]:
    """What a font draws for a code point that is never a character."""
    return typeset("\uffff", _PROBE)


def _typesetters(text: str) -> Iterator[Typesetter]:
    """Fonts to try for a text, best first; a generator, so that installed fonts are searched only if needed."""
    wanted_font = os.environ.get("LUCIDBOX_FONT")
    if wanted_font:
        yield _file_typesetter(_readable_font(wanted_font))
    yield _set_builtin
    unsolved = [letter for letter in text if not _has(_set_builtin, letter)]
    words = {unicodedata.name(letter, "").split(" ")[0].lower() for letter in unsolved}
    for path in _installed_fonts(frozenset(words - {""})):
        try:
            yield _file_typesetter(_readable_font(str(path)))
        except OptionError:  # an installed font that Pillow cannot open
            continue


@lru_cache(maxsize=1)
def _builtin_font() -> "cv2.FontFace":
    return cv2.FontFace("sans")  # uses OpenCV's "uni" font for letters it lacks, such as Chinese


def _set_builtin(text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """Draw text with OpenCV's own font; a letter that it lacks becomes "?"."""
    plain = text.translate(_JOINERS)
    with _opencv_text:
        font = _builtin_font()
        _, _, width, _ = cv2.getTextSize((0, 0), plain, (0, 0), font, size, _WEIGHT)
        mask = _blank(width, size)
        cv2.putText(mask, plain, (size, baseline(size)), (255,), font, size, _WEIGHT)
    return mask


def _blank(width: int, size: int) -> UInt8[np.ndarray, "h w"]:
    """An empty mask with a margin of one size at either side, for letters that extend beyond their width."""
    return np.zeros((baseline(size) + round(_BELOW * size), width + 2 * size), np.uint8)


@lru_cache(maxsize=64)
def _readable_font(path: str) -> str:
    """The path, if Pillow can use its font.

    Raises:
        OptionError: the file is missing or no scalable font.
    """
    from PIL import ImageFont  # 40 ms, and most names never need it

    try:
        ImageFont.truetype(path, _PROBE).getlength("a")
    except (OSError, ValueError) as error:
        raise OptionError(f"LUCIDBOX_FONT={path}: not a readable font; name a .ttf or .otf file") from error
    return path


@lru_cache(maxsize=64)
def _file_typesetter(path: str) -> Typesetter:
    """The typesetter of a font file; cached, because the caches of its letters compare by identity."""
    return partial(_set_from_file, path)


def _set_from_file(path: str, text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """Draw text with a font file; Thai and Indic scripts are shaped if Pillow has the raqm library."""
    from PIL import Image, ImageDraw, ImageFont, features

    # Right-to-left text is in visual order already, which raqm would reverse again. And raqm puts a single mark on
    # a dotted circle, which would hide that a font lacks the mark.
    shaping = len(text) > 1 and not is_right_to_left(text) and features.check_feature("raqm")
    layout = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    font = ImageFont.truetype(path, size, layout_engine=layout)
    canvas = Image.fromarray(_blank(round(font.getlength(text)), size))
    ImageDraw.Draw(canvas).text((size, baseline(size)), text, fill=255, font=font, anchor="ls")
    return np.array(canvas)


@lru_cache(maxsize=64)
def _installed_fonts(words: frozenset[str]) -> list[Path]:
    """Installed font files whose names have these scripts, such as NotoSansThai, then fonts of many scripts."""
    stems = {path: path.stem.lower() for path in _font_files()} if words else {}
    named = [path for path, stem in stems.items() if any(word in stem for word in words)]
    broad = [path for name in _BROAD_FONTS for path, stem in stems.items() if stem == name]
    return [*sorted(named, key=lambda path: ("sans" not in stems[path], stems[path])), *broad]


@lru_cache(maxsize=1)
def _font_files() -> list[Path]:
    """Every font file in this system's font folders."""
    home = Path.home()
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
