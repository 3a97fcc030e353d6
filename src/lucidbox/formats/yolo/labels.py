"""The text of a YOLO label file: ``class cx cy w h`` a line, divided by the image's width and height."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.formats.coco.annotations import describe_outside
from lucidbox.formats.problems import Problem, ProblemKind

_FIELDS = ("cx", "cy", "w", "h")
_BOX_COLUMNS = 5
_FEWEST_DECIMALS = 4
_CLIPPED = 0.01
"""How far beyond 0 to 1 a number is clipped, as rounding and careless tools leave them; others are refused."""
_FULL = 0.3
"""Least share of a box that its keypoints reach over, by which they are told from an outline's corners."""


@dataclass(frozen=True, eq=False)
class LabelFile:
    """The usable objects of one file.

    Attributes:
        classes: class id of each object.
        boxes: centre and size of each, divided by the image's width and height.
        problems: what is wrong, line by line.
        polygons: how many objects were outlines, and became the boxes around them.
    """

    classes: Int[np.ndarray, " n"]
    boxes: Float[np.ndarray, "n 4"]
    problems: tuple[Problem, ...]
    polygons: int


@dataclass(frozen=True)
class LabelReader:
    """Reads label files of one data set.

    Attributes:
        classes: how many classes there are.
        keypoints: how many numbers a pose data set has after each box; 0 in others.
        stated: whether the data set says so itself; else rows of boxes alone may be among the others.
    """

    classes: int
    keypoints: int = 0
    stated: bool = True

    def read(self, text: str, width: int, height: int, file: str = "labels") -> LabelFile:
        """Objects of one file, and what is wrong with its lines.

        Args:
            text: of the file. Blank lines are ignored.
            width: of the image in pixels, for messages; likewise ``height``.
            height: see ``width``.
            file: what messages call it.
        """
        found: dict[tuple[float, ...], int] = {}
        problems: list[Problem] = []
        polygons = 0
        for line, row in enumerate(text.splitlines(), 1):
            tokens, place = row.split(), f"{file}:{line}"
            if not tokens:
                continue
            values = self._values(tokens, place, problems)
            if values is None:
                continue
            polygons += len(values) > _BOX_COLUMNS and not self.keypoints
            entry = _box_of(values, self.keypoints)
            if not _usable(entry, tokens, (width, height), place, problems):
                continue
            first = found.setdefault(tuple(values), line)
            if first != line:
                problems.append(Problem(ProblemKind.DUPLICATE_OBJECT, place, "", f"the same as line {first}"))
        rows = [_box_of(list(values), self.keypoints) for values in found]
        table = np.array(rows, np.float64).reshape(-1, _BOX_COLUMNS)
        return LabelFile(table[:, 0].astype(np.int64), table[:, 1:].clip(0, 1), tuple(problems), polygons)

    def _values(self, tokens: list[str], place: str, problems: list[Problem]) -> list[float] | None:
        """The line's numbers, if they are finite, of the right count, and of a known class."""
        try:
            values = [float(token) for token in tokens]
        except ValueError:
            problems.append(_not_numbers(tokens, place))
            return None
        problem = self._wrong_count(len(values), place) or _not_finite(values, tokens, place)
        problem = problem or self._wrong_class(values[0], tokens[0], place)
        if problem:
            problems.append(problem)
            return None
        return values

    def _wrong_count(self, count: int, place: str) -> Problem | None:
        if self.keypoints:
            wanted = _BOX_COLUMNS + self.keypoints
            reason = f"{count} columns; with this kpt_shape there must be {wanted}"
            right = count == wanted or (count == _BOX_COLUMNS and not self.stated)
            return None if right else Problem(ProblemKind.COLUMNS, place, "", reason)
        if count == _BOX_COLUMNS or (count > _BOX_COLUMNS + 1 and count % 2):
            return None
        reason = f"{count} columns; a box has 5 (class cx cy w h), an outline 7, 9, 11 …"
        if count == _BOX_COLUMNS + 1:
            reason += "; a sixth is usually the score of a prediction, not a label"
        return Problem(ProblemKind.COLUMNS, place, "", reason)

    def _wrong_class(self, number: float, token: str, place: str) -> Problem | None:
        if not number.is_integer():
            return Problem(ProblemKind.WRONG_TYPE, place, "class", f"must be a whole number, got {token}")
        if not 0 <= number < self.classes:
            return Problem(ProblemKind.CLASS_RANGE, place, "class", f"{token} is not in 0 to {self.classes - 1}")
        return None


def keypoints_after_boxes(texts: Iterable[str]) -> int:
    """How many numbers follow the box in label files of poses; 0 for boxes, outlines and what is unclear.

    Rows with poses all have as many columns; visibilities are 0, 1 or 2, and without them all points are in the
    box that the first numbers give, and spread in it. Read as outlines, such rows would become wrong boxes.
    """
    rows: list[list[float]] = []
    for text in texts:
        for line in filter(str.strip, text.splitlines()):
            tokens = line.split()
            if len(tokens) == _BOX_COLUMNS:
                continue
            if (
                len(tokens) < _BOX_COLUMNS + 2
                or (rows and len(tokens) != len(rows[0]))
                or not all(map(_is_number, tokens))
            ):
                return 0
            rows.append([float(token) for token in tokens])
    if not rows:
        return 0
    table = np.array(rows)
    points = table[:, _BOX_COLUMNS:]
    flagged = points.shape[1] % 3 == 0 and bool(np.isin(points[:, 2::3], (0, 1, 2)).all())
    return points.shape[1] if flagged or (points.shape[1] % 2 == 0 and _all_inside(table, points)) else 0


def _all_inside(table: Float[np.ndarray, "n c"], points: Float[np.ndarray, "n k"]) -> bool:
    """Whether all points are in the boxes of the first columns, which lie in the image, and fill them well."""
    x, y = points[:, ::2], points[:, 1::2]
    centre, half = table[:, 1:3], table[:, 3:5] / 2
    slack = _CLIPPED
    inside = (np.abs(x - centre[:, :1]) <= half[:, :1] + slack) & (
        np.abs(y - centre[:, 1:]) <= half[:, 1:] + slack
    )
    whole = ((centre - half >= -slack) & (centre + half <= 1 + slack)).all()
    absent = (x == 0) & (y == 0)
    if not (whole and (inside | absent).all()):
        return False
    sides = np.maximum(2 * half, 1e-9)
    filled = np.stack([np.ptp(x, axis=1), np.ptp(y, axis=1)], axis=1) / sides
    return bool(np.median(filled.max(axis=1)) >= _FULL)


def _not_numbers(tokens: list[str], place: str) -> Problem:
    wrong = next(token for token in tokens if not _is_number(token))
    if any(mark in token for token in tokens for mark in ",;"):
        return Problem(
            ProblemKind.SEPARATOR, place, "", f"{_short(wrong)}: write blanks between numbers and points in them"
        )
    return Problem(ProblemKind.WRONG_TYPE, place, "", f"{_short(wrong)} is not a number")


def _not_finite(values: list[float], tokens: list[str], place: str) -> Problem | None:
    for column, (value, token) in enumerate(zip(values, tokens, strict=True)):
        if not math.isfinite(value):
            field = _field(column, len(values))
            return Problem(ProblemKind.NOT_FINITE, place, field, f"{token} is not a finite number")
    return None


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _short(token: str) -> str:
    return repr(token if len(token) <= 40 else f"{token[:40]}…")


def _field(column: int, columns: int) -> str:
    if column == 0:
        return "class"
    return _FIELDS[column - 1] if column < _BOX_COLUMNS <= columns else f"column {column + 1}"


def _box_of(values: list[float], keypoints: int) -> list[float]:
    """Class, centre and size; of an outline, those of the box around it."""
    if len(values) == _BOX_COLUMNS or keypoints:
        return values[:_BOX_COLUMNS]
    left, right = min(values[1::2]), max(values[1::2])
    top, bottom = min(values[2::2]), max(values[2::2])
    return [values[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _usable(
    entry: list[float], tokens: list[str], size: tuple[int, int], place: str, problems: list[Problem]
) -> bool:
    """Whether the box has an area and lies in the image; a box partly outside is reported and kept."""
    _, cx, cy, w, h = entry
    if w <= 0 or h <= 0:
        what = "a negative size" if min(w, h) < 0 else "no area"
        problems.append(
            Problem(ProblemKind.EMPTY_BOX, place, "w" if w <= 0 else "h", f"has {what}: w {w:g}, h {h:g}")
        )
        return False
    for field, value in zip(_FIELDS, entry[1:], strict=True):
        if not -_CLIPPED <= value <= 1 + _CLIPPED:
            hint = "; are these pixels? They must be divided by the picture's size" if value > 2 else ""
            problems.append(Problem(ProblemKind.NOT_A_SHARE, place, field, f"{value:g} is not in 0..1{hint}"))
            return False
    beyond = np.array([w / 2 - cx, h / 2 - cy, cx + w / 2 - 1, cy + h / 2 - 1])
    if beyond.max() > 0 and beyond.max() > _rounding(tokens):
        width, height = size
        message = describe_outside(beyond * [width, height, width, height], False, width, height)
        problems.append(Problem(ProblemKind.OUTSIDE, place, "", message, left_out=False))
    return True


def _rounding(tokens: list[str]) -> float:
    """How far a box may be beyond the image's edge because of rounding, relative to the image's size."""
    # Writers drop trailing zeros, so the longest number shows how many decimals they keep. None keeps fewer than
    # four; shorter numbers are exact.
    decimals = max(_FEWEST_DECIMALS, *(len(token.partition(".")[2]) for token in tokens[1:_BOX_COLUMNS]))
    # The centre is off by half a last digit, half the size by a quarter; doubles in between by next to nothing.
    return max(0.75 * 10.0**-decimals * (1 + 1e-6), 1e-9)
