"""Text as coverage masks, in any script: OpenCV's built-in font, or fonts of the system if it lacks letters.

The built-in font has Latin, Cyrillic, Greek, Vietnamese, Chinese, Japanese, Korean, Hebrew and Arabic
(without Arabic's joined forms). Thai, the scripts of India, emoji and the rest need a font file: the one that
the environment variable ``LUCIDBOX_FONT`` names, or an installed one (:mod:`lucidbox.draw.font_files`).
"""

import os
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from threading import Lock

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError
from lucidbox.core.text import printable

Typesetter = Callable[[str, int], UInt8[np.ndarray, "h w"]]
"""Draws text at a size in pixels; the mask's height and baseline depend on the size only."""

# Heights above and below the baseline, in sizes: room for stacked accents and deep tails.
_ABOVE, _BELOW = 1.4, 0.7
_WEIGHT = 550  # between regular and bold: thin strokes vanish at ten pixels
_PROBE = 24  # size at which a letter is drawn to find out whether a font has it
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))
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
    if not text.isascii():
        from lucidbox.draw.text_order import is_right_to_left, joined, visual_order

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
        yield _file_typesetter(wanted_font)
    yield _set_builtin
    unsolved = [letter for letter in text if not _has(_set_builtin, letter)]
    words = {unicodedata.name(letter, "").split(" ")[0].lower() for letter in unsolved}
    from lucidbox.draw.font_files import installed_fonts

    for path in installed_fonts(frozenset(words - {""})):
        try:
            yield _file_typesetter(str(path))
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
def _file_typesetter(path: str) -> Typesetter:
    """The typesetter of a font file; cached, because the caches of its letters compare by identity.

    Raises:
        OptionError: the file is missing or no scalable font.
    """
    from lucidbox.draw.font_files import check_font, set_from_file

    check_font(path, _PROBE)
    return partial(set_from_file, path, _blank, baseline)
