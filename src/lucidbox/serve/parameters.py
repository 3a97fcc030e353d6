"""Parameters of requests, from texts to values; anything unknown, repeated or malformed is refused by name."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from lucidbox.detect.tiles import Tiling, tiling_of
from lucidbox.serve.request_errors import RequestError

_MOST = 64  # parameters of a request
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_SWITCHES = {"1": True, "true": True, "0": False, "false": False}


def query_of(text: bytes, known: frozenset[str]) -> dict[str, str]:
    """The parameters of an address.

    Raises:
        RequestError: 400, one of them is unknown, is there twice, or is no UTF-8.
    """
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST, errors="strict")
    except ValueError as error:
        raise RequestError(400, "the parameters of the address are malformed") from error
    return without_repeats(pairs, known)


def without_repeats(pairs: "list[tuple[str, str]]", known: frozenset[str]) -> dict[str, str]:
    """Names and values as a dictionary.

    Raises:
        RequestError: 400, a parameter is unknown or is there twice.
    """
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise RequestError(400, f"unknown parameter {name[:40]!r}; there are {', '.join(sorted(known))}")
        if name in given:
            raise RequestError(400, f"parameter {name!r} is given twice")
        given[name] = value
    return given


def number(given: Mapping[str, str], name: str) -> float | None:
    """A parameter that is a number; None where it is not given.

    Raises:
        RequestError: 400, it is no number.
    """
    text = _text_of(given, name, _NUMBER.fullmatch, "a number")
    return None if text is None else float(text)


def whole(given: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number; None where it is not given.

    Raises:
        RequestError: 400, it is no whole number.
    """
    text = _text_of(given, name, _WHOLE.fullmatch, "a whole number")
    return None if text is None else int(text)


def switch(given: Mapping[str, str], name: str) -> bool | None:
    """A parameter that is on (1, true) or off (0, false); None where it is not given.

    Raises:
        RequestError: 400, it is something else.
    """
    text = _text_of(given, name, lambda text: text.lower() in _SWITCHES, "1, 0, true or false")
    return None if text is None else _SWITCHES[text.lower()]


def _text_of(given: Mapping[str, str], name: str, fits: Callable[[str], object], expected: str) -> str | None:
    """A parameter's text, which must fit; None where it is not given.

    Raises:
        RequestError: 400, it does not.
    """
    text = given.get(name)
    if text is not None and not fits(text):
        raise RequestError(400, f"{name} {text[:40]!r} is not {expected}")
    return text


LIMIT_NAMES = frozenset({"conf", "iou", "max_det", "classes", "agnostic"})
"""Parameters that say what counts as a detection."""


def limit_changes(given: Mapping[str, str]) -> dict[str, Any]:
    """The limits that are given, as :meth:`lucidbox.Detector.limits_with` takes them.

    Raises:
        RequestError: 400, one is malformed.
    """
    classes = given.get("classes")
    return {
        "conf": number(given, "conf"),
        "iou": number(given, "iou"),
        "max_det": whole(given, "max_det"),
        "classes": classes.split(",") if classes else None,
        "agnostic": switch(given, "agnostic"),
    }


TILE_NAMES = frozenset({"tiles", "tile_overlap"})
"""Parameters that ask for detections in tiles, too."""


def tiling_asked(given: Mapping[str, str]) -> Tiling | None:
    """How images are to be divided, if at all.

    Raises:
        RequestError: 400, the overlap is no number.
        OptionError: one of them is malformed or out of range.
    """
    return tiling_of(given.get("tiles"), number(given, "tile_overlap"))


def texts_of(given: Any, known: frozenset[str]) -> dict[str, str]:
    """Parameters of a JSON object as the texts that an address would hold.

    Raises:
        RequestError: 400, one is unknown, or neither text nor number.
    """
    if not isinstance(given, dict):
        raise RequestError(400, "parameters are an object")
    pairs = []
    for name, value in given.items():
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, (str, int, float)) for part in parts):
            raise RequestError(400, f"parameter {name[:40]!r} is neither text nor number")
        pairs.append((name, ",".join(map(str, parts))))
    return without_repeats(pairs, known)
