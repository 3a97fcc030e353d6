"""Reading JSON text: fast, in pieces, with errors that say where."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from lucidbox.core.errors import DataError

# Entries of a megabyte of text become arrays before the next megabyte is parsed: the Python objects of a whole
# result file would take ten times its size.
PIECE = 1 << 20


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it cannot be read, or is empty.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not content.strip():
        raise DataError(f"{path}: the file is empty; expected JSON")
    return content


def parse_json(content: bytes, source: str) -> Any:
    """A JSON value; NaN and Infinity, which Python writes, are understood and left to the caller to refuse.

    Raises:
        DataError: not JSON; says at which line and column.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno} of {len(error.doc)} characters"
        raise DataError(f"{source}: not valid JSON: {error.msg} at {where}; is the file whole?") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source}: not valid JSON: {error}") from error


def parse_list(content: bytes, source: str) -> list[Any]:
    """The entries of a JSON list.

    Raises:
        DataError: not JSON, or not a list.
    """
    value = parse_json(content, source)
    if not isinstance(value, list):
        raise DataError(f"{source}: expected a list of entries, got {describe_value(value)}")
    return value


def describe_value(value: Any) -> str:
    """A value, short enough for a message."""
    kinds = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    if isinstance(value, dict):
        return f"an object with the fields {', '.join(list(map(str, value))[:6]) or '(none)'}"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{kinds.get(type(value), 'a value')} starting {text[:50]}…"


@contextmanager
def collector_off() -> Iterator[None]:
    """Pause Python's cyclic garbage collector, which would walk every new object again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def cut_list(content: bytes) -> Iterator[slice]:
    """Pieces of a JSON list of objects, of about a megabyte, without the commas between them; none if it is short.

    A piece ends with an object's end, so a JSON parser reads it between brackets. If all pieces can be read, they
    are the list: a cut inside a string or a nested object leaves pieces that are not JSON.
    """
    start, end = len(content) - len(content.lstrip()), len(content.rstrip())
    if end - start <= PIECE or content[start : start + 1] != b"[" or content[end - 1 : end] != b"]":
        return
    start, end = start + 1, end - 1
    while start <= end:
        border = content.find(b"},", start + PIECE, end)
        stop = end if border < 0 else border + 1
        yield slice(start, stop)
        start = stop + 1
