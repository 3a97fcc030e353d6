"""Class names as texts that matplotlib can draw: shortened, without formula signs, in any script."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lucidbox.core.text import printable

_LONGEST = 28
_OWN_FONT = "DejaVu Sans"


@dataclass(frozen=True)
class PlotLabels:
    """Texts for the ticks of an axis.

    Attributes:
        texts: what to show.
        fonts: font families that together have all their letters.
        width: letters of the longest text.
    """

    texts: tuple[str, ...]
    fonts: tuple[str, ...]
    width: int


def labels_of(names: Sequence[str], ids: Sequence[int]) -> PlotLabels:
    """Texts for names; a name with letters that no installed font has is replaced by the category's number."""
    from matplotlib.font_manager import findfont

    printables = map(printable, names)
    short = [name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in printables]
    wanted = {letter for name in short for letter in name} - _letters_of(str(findfont(_OWN_FONT)))
    fonts, lacking = _fonts_for(wanted)
    shown = [
        f"#{number}" if not name or lacking & set(name) else name for name, number in zip(short, ids, strict=True)
    ]
    # A dollar sign would start a formula.
    texts = tuple(name.replace("$", r"\$") for name in shown)
    return PlotLabels(texts, (_OWN_FONT, *fonts), max(map(_width, shown), default=0))


def _width(text: str) -> int:
    """Letters of Chinese, Japanese and Korean are twice as wide as others."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _fonts_for(letters: set[str]) -> tuple[list[str], set[str]]:
    """Installed fonts that have these letters, and the letters that none has."""
    from matplotlib.font_manager import fontManager

    fonts: list[str] = []
    for entry in fontManager.ttflist if letters else ():
        # The font of last resort has a box for every character.
        if "last resort" in entry.name.lower():
            continue
        if known := letters & _letters_of(entry.fname):
            fonts.append(entry.name)
            letters = letters - known
        if not letters:
            break
    return fonts, letters


@lru_cache(maxsize=512)
def _letters_of(file: str) -> frozenset[str]:
    """Every character that a font has a glyph for; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
