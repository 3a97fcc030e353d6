"""Reading JSON text: fast, in pieces, with errors that say where."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lucidbox.core.errors import DataError

# Entries of a megabyte of text are turned into arrays before the next megabyte is read: the Python objects of
# a whole result file would take ten times its size.
_PIECE = 1 << 20


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
        return _fast(content)
    except ValueError:
        pass
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno} of {len(error.doc)} characters"
        raise DataError(f"{source}: not valid JSON: {error.msg} at {where}; is the file whole?") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source}: not valid JSON: {error}") from error


def parse_entries(content: bytes, source: str) -> Iterator[tuple[list[Any], bool]]:
    """The entries of a JSON array, some at a time, and whether their text may hold true or false.

    Python takes true and false for numbers. Text without these words spares looking at every value's type.

    Raises:
        DataError: not JSON, or not an array.
    """
    text = content.strip()
    pieces = _cut(text) if text.startswith(b"[") and text.endswith(b"]") and len(text) > _PIECE else iter(())
    given = 0
    for piece in pieces:
        try:
            entries = _fast(piece)
        except ValueError:
            break
        if not entries:
            break
        given += len(entries)
        yield entries, b"true" in piece or b"false" in piece
    else:
        if given:
            return
    # A cut inside a string or a nested object leaves an unbalanced piece, which never parses; a comma before the
    # closing bracket leaves an empty one, which does. Reading it whole tells what is right.
    whole = parse_json(content, source)
    if not isinstance(whole, list):
        raise DataError(f"{source}: expected a list of entries, got {describe_value(whole)}")
    yield whole[given:], True


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


def _cut(text: bytes) -> Iterator[bytes]:
    """Arrays of about a megabyte, cut where one object ends and a comma follows."""
    start, end = 1, len(text) - 1
    while start <= end:
        border = text.find(b"},", start + _PIECE)
        stop = end if border < 0 else border + 1
        yield b"[" + text[start:stop] + b"]"
        start = stop + 1


def _fast(content: bytes) -> Any:
    """Parse with orjson where it is installed, else with Python's own parser; ValueError if it is not JSON."""
    try:
        import orjson
    except ImportError:
        return json.loads(content)
    return orjson.loads(content)
