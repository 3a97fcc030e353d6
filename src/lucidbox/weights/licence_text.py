"""Texts that a file states about itself, made safe for one line of a terminal."""

import unicodedata
from collections.abc import Mapping
from typing import Any

NOT_STATED = "not stated in the file"
"""Licence of weights whose file says nothing about it."""

LONGEST = 300
"""Longest text that is kept, in characters; the rest is cut off."""

# Control characters (a terminal would obey them), half surrogate pairs, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def one_line(text: str) -> str:
    """A text without line breaks, control characters and surplus spaces."""
    if text.isprintable():  # most are, and there may be 100,000 of them
        return " ".join(text.split())
    printable = (" " if unicodedata.category(character) in _UNPRINTABLE else character for character in text)
    return " ".join("".join(printable).split())


def licence_of(*places: Mapping[Any, Any]) -> str:
    """The licence that a file states, word for word, from the first mapping that has one; nothing is guessed."""
    for place in places:
        for key in ("license", "licence"):
            if text := _statement(place.get(key)):
                return text
    return NOT_STATED


def stated(about: Mapping[Any, Any], **templates: str) -> list[str]:
    """The keys that have a text, put into their templates: ``version="version {}"`` → "version 8.3"."""
    return [template.format(text) for key, template in templates.items() if (text := _statement(about.get(key)))]


def _statement(value: Any) -> str:
    return one_line(value[:LONGEST]) if isinstance(value, str) else ""
