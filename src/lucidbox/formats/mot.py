"""MOT text: ``frame, id, left, top, width, height, score, …`` a line, frames from 1 (https://motchallenge.net).

In true tracks the seventh column is 0 for boxes that are not to be counted, and the eighth may be a class.
Detections have the id -1.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.errors import DataError
from lucidbox.core.text import printable

_COLUMNS = 6
_LINE = "frame,id,left,top,width,height,score"
_LARGEST = 1e9  # frames, ids and coordinates; doubles hold them exactly
_MIXED = re.compile(r"\s*[,;]\s*|\s+")


@dataclass(frozen=True, eq=False)
class MotRows:
    """The boxes of a file, ordered by frame; those of one frame as in the file.

    Attributes:
        frames: frame of each, from 1.
        ids: track of each; below 0 for detections that belong to none.
        boxes: xyxy in pixels, double precision.
        scores: seventh column, 1 where there is none.
        classes: eighth column, -1 where there is none.
        source: the file.
        notes: what to know of the file.
    """

    frames: Int[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"]
    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    source: str
    notes: tuple[str, ...] = ()


def mot_line(frame: int, track: int, box: Sequence[float], score: float) -> str:
    """One line, with two decimals of pixels and four of the score.

    Args:
        frame: from 1.
        track: the object's id, -1 for a detection.
        box: xyxy in pixels.
        score: 0 to 1.
    """
    left, top, right, bottom = box
    return f"{frame},{track},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f},-1,-1,-1"


def read_mot(path: str | Path, *, empty: bool = False) -> MotRows:
    """Read a file of tracks or detections.

    Commas, semicolons, tabs and spaces separate columns; empty lines, lines that begin with ``#`` and columns
    after the eighth are passed over; frames may come in any order and be left out.

    Args:
        path: the file.
        empty: whether a file without boxes is taken, as of a tracker that found nothing.

    Raises:
        DataError: the file cannot be read, has no boxes, or a line of it is malformed or repeats a track in a
            frame; names the line.
    """
    values: list[list[float]] = []
    lines: list[int] = []
    for number, fields in _lines(path):
        values.append(_row(fields, f"{path}: line {number}"))
        lines.append(number)
    if not (values or empty):
        raise DataError(f"{path}: no boxes; a line of MOT text is {_LINE}")
    table = np.array(values).reshape(-1, 8)
    order = np.argsort(table[:, 0], kind="stable")
    frames, ids = table[order, 0].astype(np.int64), table[order, 1].astype(np.int64)
    _refuse_repeated(frames, ids, np.array(lines, np.int64)[order], path)
    boxes = table[order, 2:6]
    boxes[:, 2:] += boxes[:, :2]
    return MotRows(
        frames, ids, boxes, table[order, 6], table[order, 7].astype(np.int64), str(path), _notes(table, path)
    )


def _lines(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold something, with their numbers, as columns."""
    try:
        with Path(path).open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if (text := line.strip().rstrip(",;")) and not text.startswith("#"):
                    yield number, _MIXED.split(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not text; a line of MOT text is {_LINE}") from None


def _row(fields: list[str], place: str) -> list[float]:
    """Eight numbers of a line, checked.

    Raises:
        DataError: names the place and the value.
    """
    if len(fields) < _COLUMNS:
        raise DataError(
            f"{place}: {len(fields)} columns, at least {_COLUMNS} are needed: frame,id,left,top,width,height"
        )
    numbers = [_number(text, place) for text in fields[:8]]
    numbers += [1.0, -1.0][len(numbers) - 8 :] if len(numbers) < 8 else []
    frame, track, _, _, width, height, _, kind = numbers
    for name, value in (("frame", frame), ("id", track), ("class", kind)):
        if value != int(value):
            raise DataError(f"{place}: {name} {value:g} is not a whole number")
    if frame < 1:
        raise DataError(f"{place}: frame {frame:g}: frames of MOT text are numbered from 1")
    if width < 0 or height < 0:
        raise DataError(f"{place}: width {width:g} and height {height:g}: a side is negative")
    return numbers


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{place}: {printable(text)!r} is not a number") from None
    if not (math.isfinite(value) and abs(value) <= _LARGEST):
        raise DataError(f"{place}: {text} is not a finite number up to {_LARGEST:g}")
    return value


def _refuse_repeated(
    frames: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"], lines: Int[np.ndarray, " n"], path: str | Path
) -> None:
    """Refuse a track that has two boxes in a frame.

    Raises:
        DataError: names the later line.
    """
    order = np.lexsort((lines, ids, frames))
    same = (np.diff(frames[order]) == 0) & (np.diff(ids[order]) == 0) & (ids[order][1:] >= 0)
    if same.any():
        row = order[1:][same][lines[order[1:][same]].argmin()]
        raise DataError(f"{path}: line {lines[row]}: track {ids[row]} is in frame {frames[row]} already")


def _notes(table: Float[np.ndarray, "n 8"], path: str | Path) -> tuple[str, ...]:
    empty = int((table[:, 4:6] == 0).any(axis=1).sum())
    return (f"{path}: {empty} boxes have no area",) if empty else ()
