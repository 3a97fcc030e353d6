"""One list of a COCO file as columns, where every wrong entry is noted and the reading goes on.

``evaluate.coco`` refuses a file at its first error, for speed and trust in a number. Here all errors are wanted,
but the road is the same: whole columns are taken at once, and entries are looked at one by one only where a
column is not as it should be.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Num
from lucidbox.formats.json_text import describe_value
from lucidbox.formats.problems import Problem, ProblemKind

_ABSENT = object()
_WHOLE, _NUMBER = frozenset({int}), frozenset({int, float})


class CocoRecords:
    """The entries of ``images``, ``annotations`` or ``categories``, and what is wrong with them.

    Args:
        document: the parsed file.
        name: of the list.
        source: the file's name, for messages.

    Attributes:
        present: whether the file has this list at all.
        entries: those that are objects; the others are problems.
    """

    def __init__(self, document: dict[str, Any], name: str, source: str) -> None:
        self._found: list[tuple[int, Problem]] = []
        self._where = f"{source}: {name}"
        listed = document.get(name)
        self.present = isinstance(listed, list)
        if not isinstance(listed, list):
            found = "is missing" if name not in document else f"must be a list, got {describe_value(listed)}"
            self._found.append((-1, Problem(ProblemKind.STRUCTURE, source, name, found)))
            listed = []
        self.entries: list[dict[str, Any]] = [one for one in listed if isinstance(one, dict)]
        self._numbers: Sequence[int] = range(len(listed))
        if len(self.entries) < len(listed):
            self._numbers = [number for number, one in enumerate(listed) if isinstance(one, dict)]
            for number, one in enumerate(listed):
                if not isinstance(one, dict):
                    place, message = f"{self._where}[{number}]", f"must be an object, got {describe_value(one)}"
                    self._found.append((number, Problem(ProblemKind.WRONG_TYPE, place, "", message)))

    def __len__(self) -> int:
        """Number of usable entries; a row is an index into them."""
        return len(self.entries)

    def report(self, row: int, kind: ProblemKind, field: str, message: str, *, left_out: bool = True) -> None:
        """Note a problem of one entry."""
        entry = self.entries[row]
        known = entry.get("file_name") or (f"id {describe_value(entry['id'])}" if "id" in entry else "")
        place = f"{self._where}[{self._numbers[row]}]" + (f" ({known})" if known else "")
        self._found.append((self._numbers[row], Problem(kind, place, field, message, left_out)))

    @property
    def problems(self) -> list[Problem]:
        """What was found so far by asking for columns, in the order of entries."""
        return [problem for _, problem in sorted(self._found, key=itemgetter(0))]

    def report_all(
        self,
        wrong: Bool[np.ndarray, " n"],
        kind: ProblemKind,
        field: str,
        message: str,
        values: Sequence[Any] | Num[np.ndarray, "..."] | None = None,
        *,
        left_out: bool = True,
    ) -> None:
        """Note the same problem of many entries; ``{}`` in the message stands for the row's value."""
        for row in np.flatnonzero(wrong).tolist():
            value = "" if values is None else values[row]
            shown = describe_value(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value)
            self.report(row, kind, field, message.replace("{}", shown), left_out=left_out)

    def whole_numbers(
        self, field: str, *, left_out: bool = True
    ) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """A field of 64-bit whole numbers, and which rows have one; 0 elsewhere."""
        values, good = self._typed(field, _WHOLE, "a whole number", 0, left_out=left_out)
        try:
            return np.array(values, np.int64), good
        except OverflowError:
            for row, value in enumerate(values):
                if not -(1 << 63) <= value < 1 << 63:
                    good[row], values[row] = False, 0
                    self.report(
                        row,
                        ProblemKind.WRONG_TYPE,
                        field,
                        f"{describe_value(value)} exceeds 64 bits",
                        left_out=left_out,
                    )
        return np.array(values, np.int64), good

    def texts(self, field: str) -> tuple[list[str], Bool[np.ndarray, " n"]]:
        """A field of non-empty text, and which rows have one; "" elsewhere."""
        values, good = self._typed(field, frozenset({str}), "text", "")
        for row in (row for row, value in enumerate(values) if not value and good[row]):
            good[row] = False
            self.report(row, ProblemKind.MISSING_FIELD, field, "is empty")
        return values, good

    def numbers(self, field: str, default: Any) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """A field that may be absent (``default`` then): finite numbers, and which rows are right."""
        values, good = self._typed(field, _NUMBER, "a number", default, optional=True, left_out=False)
        column = _doubles(values)
        finite = np.isfinite(column)
        self.report_all(
            good & ~finite, ProblemKind.NOT_FINITE, field, "{} is not a finite number", column, left_out=False
        )
        column[~finite] = default
        return column, good & finite

    def flags(self, field: str) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """A field that may be absent: 0 or 1, and which rows are right."""
        values, good = self._typed(field, frozenset({int, bool}), "0 or 1", 0, optional=True)
        for row in (row for row, value in enumerate(values) if value not in (0, 1)):
            good[row] = False
            self.report(row, ProblemKind.CROWD, field, f"must be 0 or 1, got {describe_value(values[row])}")
        return np.array([value == 1 for value in values], bool), good

    def boxes(self, field: str) -> tuple[Float[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """A field of four finite numbers, and which rows have them; 0 elsewhere."""
        values, good = self._typed(
            field, frozenset({list}), "four numbers (left, top, width, height)", [0, 0, 0, 0]
        )
        if not (set(map(len, values)) <= {4} and set(map(type, chain.from_iterable(values))) <= _NUMBER):
            for row, box in enumerate(values):
                if len(box) != 4 or not set(map(type, box)) <= _NUMBER:
                    wanted = "must be four numbers (left, top, width, height)"
                    self.report(row, ProblemKind.WRONG_TYPE, field, f"{wanted}, got {describe_value(box)}")
                    good[row], values[row] = False, [0, 0, 0, 0]
        column = _doubles(list(chain.from_iterable(values))).reshape(-1, 4)
        finite = np.isfinite(column).all(axis=1)
        self.report_all(~finite, ProblemKind.NOT_FINITE, field, "{} is not finite", column)
        column[~finite] = 0
        return column, good & finite

    def unique(
        self,
        values: Sequence[Any] | Int[np.ndarray, " n"],
        good: Bool[np.ndarray, " n"],
        field: str,
        kind: ProblemKind,
        *,
        left_out: bool = True,
    ) -> Bool[np.ndarray, " n"]:
        """Which good rows have a value that no earlier good row has; the others are noted."""
        first: dict[Any, int] = {}
        fresh = good.copy()
        listed = values.tolist() if isinstance(values, np.ndarray) else values
        if len(set(listed)) == len(listed):
            return fresh
        for row, value in enumerate(listed):
            if good[row] and first.setdefault(value, row) != row:
                fresh[row] = False
                earlier = f"entry {self._numbers[first[value]]}"
                message = f"{describe_value(value)} was used by {earlier}; they must differ"
                self.report(row, kind, field, message, left_out=left_out)
        return fresh

    def count_absent(self, field: str) -> int:
        """How many entries lack a field."""
        return sum(field not in entry for entry in self.entries)

    def other_fields(self, known: Iterable[str]) -> dict[str, int]:
        """Fields beyond the known ones, and how many entries have each with something in it."""
        known = frozenset(known)
        return dict(
            Counter(
                field for one in self.entries for field in one.keys() - known if one[field] not in (None, [], {})
            )
        )

    def _typed(
        self,
        field: str,
        types: frozenset[type],
        wanted: str,
        filler: Any,
        *,
        optional: bool = False,
        left_out: bool = True,
    ) -> tuple[list[Any], Bool[np.ndarray, " n"]]:
        """A field's values, the filler where they are absent or of another type, and which rows are right."""
        values = [entry.get(field, _ABSENT) for entry in self.entries]
        good = np.ones(len(values), bool)
        if set(map(type, values)) <= types:
            return values, good
        for row, value in enumerate(values):
            if type(value) in types:
                continue
            values[row] = filler
            if value is _ABSENT and optional:
                continue
            good[row] = False
            if value is _ABSENT:
                self.report(row, ProblemKind.MISSING_FIELD, field, "is missing", left_out=left_out)
            else:
                message = f"must be {wanted}, got {describe_value(value)}"
                self.report(row, ProblemKind.WRONG_TYPE, field, message, left_out=left_out)
        return values, good


def _doubles(values: Sequence[float]) -> Float[np.ndarray, " n"]:
    """Numbers in double precision; whole numbers too large for it become infinite."""
    try:
        return np.array(values, np.float64)
    except OverflowError:
        return np.array([_double(value) for value in values], np.float64)


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
