"""What a file states about itself in words, made fit for one line of a terminal."""

import unicodedata
from collections.abc import Mapping
from typing import Any

NOT_STATED = "not stated in the file"
"""Licence of weights whose file says nothing about it."""

LONGEST = 300
"""Characters kept of a statement."""

# Control characters (a terminal would obey them), half surrogate pairs, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def one_line(text: str) -> str:
    """A text without line breaks, control characters and surplus spaces."""
    printable = (" " if unicodedata.category(character) in _UNPRINTABLE else character for character in text)
    return " ".join("".join(printable).split())


def licence_of(*places: Mapping[Any, Any]) -> str:
    """The licence that a file states, word for word, from the first place that has one; nothing is guessed."""
    for place in places:
        for key in ("license", "licence"):
            if text := _statement(place.get(key)):
                return text
    return NOT_STATED


def stated(about: Mapping[Any, Any], **forms: str) -> list[str]:
    """Those of the keys that have a text, put into their form: ``version="version {}"`` → "version 8.3"."""
    return [form.format(text) for key, form in forms.items() if (text := _statement(about.get(key)))]


def _statement(value: Any) -> str:
    return one_line(value[:LONGEST]) if isinstance(value, str) else ""
