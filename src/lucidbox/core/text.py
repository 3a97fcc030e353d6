"""Text made safe to print and short enough for a line."""

import unicodedata
from collections.abc import Sequence

_MOST_NAMED = 8


def printable(text: str) -> str:
    """The text on one line, safe to draw and to print: composed, without control or broken characters.

    A lone surrogate crashes OpenCV's renderer and an escape character moves a terminal's cursor; class
    names come from files of strangers. Joiners stay: Persian and the scripts of India need them.
    """
    kept = (
        " " if unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} else letter
        for letter in unicodedata.normalize("NFC", text)
        if unicodedata.category(letter) != "Cf" or letter in "\u200c\u200d"
    )
    return " ".join("".join(kept).split())


def printable_block(text: str) -> str:
    """Several lines, each safe to print, with the blanks that they are aligned by."""
    return "\n".join(
        line if line.isprintable() else "".join(one for one in line if one == " " or printable(one))
        for line in text.split("\n")
    )


def shortened(names: Sequence[str]) -> str:
    """The names, printable; of many, the first ones and how many more there are."""
    shown = ", ".join(map(printable, names[:_MOST_NAMED]))
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"
