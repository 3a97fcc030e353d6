"""The entries of one list of a COCO file as columns. What is wrong with an entry is noted, and reading goes on.

Whole columns are read at once. Entries are looked at one by one only where a column is not as it should be.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Num
from lucidbox.core.errors import DataError
from lucidbox.formats.json_text import describe_value
from lucidbox.formats.problems import Problem, ProblemKind

_ABSENT = object()
_WHOLE, _NUMBER, _FLAG = frozenset({int}), frozenset({int, float}), frozenset({int, bool})
_FOUR_NUMBERS = "four numbers (left, top, width, height)"


class IntColumn(NamedTuple):
    """A field of every entry, and which rows have it as it should be; the others have a filler."""

    values: Int[np.ndarray, " n"]
    good: Bool[np.ndarray, " n"]


class FloatColumn(NamedTuple):
    """Likewise; numbers may be NaN or infinite."""

    values: Float[np.ndarray, "n ..."]
    good: Bool[np.ndarray, " n"]


class TextColumn(NamedTuple):
    """Likewise."""

    values: list[str]
    good: Bool[np.ndarray, " n"]


class CocoRecords:
    """The entries of ``images``, ``annotations`` or ``categories``, or of a result file, and their problems.

    Args:
        listed: the entries.
        where: file and list, for messages.
        first: number of the first entry in its file.
        place: what a problem's place is called, by the number of the entry; by default ``where[number]``.

    Attributes:
        entries: those that are objects; the others are problems. A row is an index into them.
        present: whether the file has this list at all.
    """

    def __init__(
        self, listed: Sequence[Any], where: str, *, first: int = 0, place: Callable[[int], str] | None = None
    ) -> None:
        self.where = where
        self.present = True
        self.entries: Sequence[dict[str, Any]] = listed
        self._found: list[tuple[int, Problem]] = []
        self._numbers: Sequence[int] = range(first, first + len(listed))
        self._place = place
        if set(map(type, listed)) - {dict}:
            pairs = [(number, one) for number, one in enumerate(listed, first) if isinstance(one, dict)]
            self._numbers, self.entries = [number for number, _ in pairs], [one for _, one in pairs]
            for number, one in enumerate(listed, first):
                if not isinstance(one, dict):
                    message = f"must be an object, got {describe_value(one)}"
                    self._found.append(
                        (number, Problem(ProblemKind.WRONG_TYPE, f"{where}[{number}]", "", message))
                    )

    @classmethod
    def of(cls, document: dict[str, Any], name: str, source: str) -> "CocoRecords":
        """One list of a parsed file; if the file has no such list, no entries and a problem."""
        listed = document.get(name)
        if isinstance(listed, list):
            return cls(listed, f"{source}: {name}")
        records = cls([], f"{source}: {name}")
        records.present = False
        message = "is missing" if name not in document else f"must be a list, got {describe_value(listed)}"
        records._found.append((-1, Problem(ProblemKind.STRUCTURE, source, name, message)))
        return records

    def __len__(self) -> int:
        """Number of usable entries."""
        return len(self.entries)

    @property
    def problems(self) -> list[Problem]:
        """What was found so far by asking for columns, in the order of entries."""
        return [problem for _, problem in sorted(self._found, key=itemgetter(0))]

    def refuse(self, fields: Iterable[str]) -> None:
        """Raise the first problem of these fields, of entries that are no objects, or of the list itself.

        Raises:
            DataError: names file, entry and field.
        """
        fields = {*fields, ""}
        for number, problem in sorted(self._found, key=itemgetter(0)):
            message = f"{problem.field} {problem.message}".lstrip()
            message = f"the field {message}" if problem.message == "is missing" else message
            if not self.present:
                raise DataError(f"{problem.place}: {message}; is this a COCO annotation file?")
            if problem.field in fields:
                raise DataError(f"{self.where}: entry {number}: {message}")

    def report(self, row: int, kind: ProblemKind, field: str, message: str, *, left_out: bool = True) -> None:
        """Note a problem of one entry."""
        entry, number = self.entries[row], self._numbers[row]
        if self._place is None:
            known = entry.get("file_name") or (f"id {describe_value(entry['id'])}" if "id" in entry else "")
            place = f"{self.where}[{number}]" + (f" ({known})" if known else "")
        else:
            place = self._place(number)
        self._found.append((number, Problem(kind, place, field, message, left_out)))

    def report_all(
        self,
        wrong: Bool[np.ndarray, " n"],
        kind: ProblemKind,
        field: str,
        message: str,
        values: Num[np.ndarray, "n ..."],
        *,
        left_out: bool = True,
    ) -> None:
        """Note the same problem of many entries; ``{}`` in the message stands for the row's value."""
        for row in np.flatnonzero(wrong).tolist():
            shown = describe_value(values[row].tolist())
            self.report(row, kind, field, message.replace("{}", shown), left_out=left_out)

    def whole_numbers(self, field: str, *, left_out: bool = True) -> IntColumn:
        """A field of 64-bit whole numbers."""
        values, good = self._typed(field, _WHOLE, "a whole number", 0, left_out=left_out)
        try:
            return IntColumn(np.frombuffer(array("q", values), np.int64), good)
        except OverflowError:
            for row, value in enumerate(values):
                if not -(1 << 63) <= value < 1 << 63:
                    good[row], values[row] = False, 0
                    message = f"{describe_value(value)} exceeds 64 bits"
                    self.report(row, ProblemKind.WRONG_TYPE, field, message, left_out=left_out)
        return IntColumn(np.frombuffer(array("q", values), np.int64), good)

    def texts(self, field: str) -> TextColumn:
        """A field of text that is not empty; values of another type are put into words."""
        values, good = self._typed(field, frozenset({str}), "text", None)
        for row in np.flatnonzero(good).tolist():
            if not values[row]:
                good[row] = False
                self.report(row, ProblemKind.MISSING_FIELD, field, "is empty")
        if not good.all():
            values = [str(entry.get(field, "")) for entry in self.entries]
        return TextColumn(values, good)

    def numbers(self, field: str, default: Any = None) -> FloatColumn:
        """A field of numbers; with a ``default``, it may be absent."""
        optional = default is not None
        values, good = self._typed(
            field, _NUMBER, "a number", default or 0.0, optional=optional, left_out=not optional
        )
        return FloatColumn(_doubles(values), good)

    def flags(self, field: str) -> IntColumn:
        """A field that is 0 or 1, or absent, which means 0."""
        values, good = self._typed(field, _FLAG, "0 or 1", 0, optional=True)
        for row in [row for row, value in enumerate(values) if value not in (0, 1)]:
            good[row] = False
            self.report(row, ProblemKind.CROWD, field, f"must be 0 or 1, got {describe_value(values[row])}")
        return IntColumn(np.array([value == 1 for value in values], np.int64), good)

    def boxes(self, field: str) -> FloatColumn:
        """A field of four numbers."""
        values, good = self._typed(field, frozenset({list}), _FOUR_NUMBERS, [0, 0, 0, 0])
        if not (set(map(len, values)) <= {4} and set(map(type, chain.from_iterable(values))) <= _NUMBER):
            for row, box in enumerate(values):
                if len(box) != 4 or not set(map(type, box)) <= _NUMBER:
                    message = f"must be {_FOUR_NUMBERS}, got {describe_value(box)}"
                    self.report(row, ProblemKind.WRONG_TYPE, field, message)
                    good[row], values[row] = False, [0, 0, 0, 0]
        return FloatColumn(_doubles(list(chain.from_iterable(values))).reshape(-1, 4), good)

    def finite(self, column: FloatColumn, field: str, what: str, *, left_out: bool) -> FloatColumn:
        """The column, 0 in the rows where a number is not finite, which are noted."""
        finite = np.isfinite(column.values)
        finite = finite.all(axis=1) if finite.ndim == 2 else finite
        self.report_all(
            column.good & ~finite, ProblemKind.NOT_FINITE, field, f"{{}} is not {what}", column.values,
            left_out=left_out,
        )  # fmt: skip
        values = column.values.copy()
        values[~finite] = 0
        return FloatColumn(values, column.good & finite)

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

    def stated(self, field: str) -> Bool[np.ndarray, " n"]:
        """Which entries have a field."""
        return np.array([field in entry for entry in self.entries], bool)

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
        try:
            values = list(map(itemgetter(field), self.entries))
        except KeyError:
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
        return np.frombuffer(array("d", values), np.float64)  # several times as fast as np.array
    except OverflowError:
        return np.array([_double(value) for value in values], np.float64)


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
