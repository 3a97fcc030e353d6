"""The entries of a list in a COCO file as columns. What is wrong with an entry is noted, and reading goes on.

Whole columns are read at once. Entries are looked at one by one only where a column is not as it should be. What
can be meant in one way only (1.0 as an id, null for what is absent) is taken so, and counted.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Num, Shaped
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.substitutes import Substitute, id_substitute, whole_fraction
from lucidbox.formats.json_text import describe_value
from lucidbox.formats.problems import Problem, ProblemKind

_ABSENT = object()
_WHOLE, _NUMBER, _FLAG = frozenset({int}), frozenset({int, float}), frozenset({int, bool})
_FOUR_NUMBERS = "must be four numbers (left, top, width, height)"


class CheckedColumn(NamedTuple):
    """A field of every entry, and which rows have it as it should be; the others have a filler."""

    values: Shaped[np.ndarray, "n ..."]
    good: Bool[np.ndarray, " n"]


class CocoRecords:
    """The entries of ``images``, ``annotations`` or ``categories``, or of a result file, and their problems.

    Problems are added by whoever asks for columns and looks at them.

    Args:
        listed: the entries.
        where: file and list, for messages.
        first: number of the first entry in its file.
        place: gives the place of a problem from an entry's number; by default ``where[number]``.

    Attributes:
        entries: those that are objects; the others are problems. A row is an index into them.
        present: whether the file has this list at all.

    Example:
        >>> records = CocoRecords([{"id": 3}, {"id": "4"}, {"id": 0.5}], "x.json: images")
        >>> records.ids("id").values.tolist()
        [3, 4, 0]
        >>> print(records.problems[0])
        x.json: images[2] (id 0.5): id: must be a whole number, got 0.5
        >>> print(*records.notes)
        x.json: 1 of 3 images have id as text; the number in it is taken
    """

    def __init__(
        self, listed: Sequence[Any], where: str, *, first: int = 0, place: Callable[[int], str] | None = None
    ) -> None:
        self.where = where
        self.present = True
        self.entries: Sequence[dict[str, Any]] = listed
        self._found: list[tuple[int, Problem]] = []
        self._taken: Counter[str] = Counter()
        self._numbers: Sequence[int] = range(first, first + len(listed))
        self._place = place
        if set(map(type, listed)) - {dict}:
            numbered = list(enumerate(listed, first))
            self._numbers = [number for number, entry in numbered if isinstance(entry, dict)]
            self.entries = [entry for entry in listed if isinstance(entry, dict)]
            for number, entry in numbered:
                if not isinstance(entry, dict):
                    message = f"must be an object, got {describe_value(entry)}"
                    problem = Problem(ProblemKind.WRONG_TYPE, f"{where}[{number}]", "", message)
                    self._found.append((number, problem))

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
        """What was noted so far, in the order of entries."""
        return [problem for _, problem in sorted(self._found, key=itemgetter(0))]

    def rows(self, chosen: Iterable[int]) -> list[dict[str, Any]]:
        """Some of the entries."""
        return [self.entries[row] for row in chosen]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was absent or written in an unusual way, what is taken for it, and how often, in sentences."""
        source, _, noun = self.where.rpartition(": ")
        return tuple(f"{source}: {count} of {len(self)} {noun} {what}" for what, count in self._taken.items())

    def refuse_problems(self) -> None:
        """Raise a DataError that names file, entry and field of the first problem; none: nothing."""
        for number, problem in sorted(self._found, key=itemgetter(0))[:1]:
            message = f"{problem.field} {problem.message}".lstrip()
            message = f"the field {message}" if problem.message == "is missing" else message
            if self.present:
                raise DataError(f"{self.where}: entry {number}: {message}")
            raise DataError(f"{problem.place}: {message}; is this a COCO annotation file?")

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

    def whole_numbers(self, field: str, *, left_out: bool = True) -> CheckedColumn:
        """A field of 64-bit whole numbers, which may be written as fractions: 1.0."""
        return self._whole(field, whole_fraction(field), left_out=left_out)

    def ids(self, field: str, *, numbered: bool = False) -> CheckedColumn:
        """A field of whole numbers, which may be written as fractions or texts.

        Texts that are no numerals become numbers that depend on the text alone, so they match across files.

        Args:
            field: that holds the id.
            numbered: give entries without one the least positive numbers that no other has.
        """
        column = self._whole(field, id_substitute(field), optional=numbered)
        if numbered and self._taken[absent := f"have no {field}; they are numbered"]:
            free = ~self.stated(field)
            numbers = column.values.copy()
            unused = np.setdiff1d(np.arange(1, len(self) + 1), numbers[~free])
            numbers[free] = unused[: self._taken[absent]]
            return CheckedColumn(numbers, column.good)
        return column

    def _whole(
        self, field: str, substitute: Substitute, *, left_out: bool = True, optional: bool = False
    ) -> CheckedColumn:
        default = "they are numbered" if optional else None
        values, good = self._typed(
            field, _WHOLE, "a whole number", 0, substitute, default=default, left_out=left_out
        )
        try:
            return CheckedColumn(np.frombuffer(array("q", values), np.int64), good)
        except OverflowError:
            for row, value in enumerate(values):
                if not -(1 << 63) <= value < 1 << 63:
                    good[row], values[row] = False, 0
                    message = f"{describe_value(value)} exceeds 64 bits"
                    self.report(row, ProblemKind.WRONG_TYPE, field, message, left_out=left_out)
        return CheckedColumn(np.array(values, np.int64), good)

    def texts(self, field: str, substitute: Substitute | None = None) -> tuple[list[str], Bool[np.ndarray, " n"]]:
        """A field of non-empty text, and which rows have one; "" elsewhere."""
        values, good = self._typed(field, frozenset({str}), "text", "", substitute)
        for row in [row for row, value in enumerate(values) if not value and good[row]]:
            good[row] = False
            self.report(row, ProblemKind.MISSING_FIELD, field, "is empty")
        return values, good

    def numbers(self, field: str, filler: float = 0.0, default: str | None = None) -> CheckedColumn:
        """A field of finite numbers; with a ``default``, in words, it may be absent, and wrong ones do no harm."""
        optional = default is not None
        values, good = self._typed(field, _NUMBER, "a number", filler, default=default, left_out=not optional)
        return self._finite(_doubles(values), good, filler, field, "a finite number", left_out=not optional)

    def flags(self, field: str) -> CheckedColumn:
        """A field that is 0 or 1, or absent, which means 0."""
        default = "they are taken for single objects"
        values, good = self._typed(field, _FLAG, "0 or 1", 0, whole_fraction(field), default=default)
        for row in [row for row, value in enumerate(values) if value not in (0, 1)]:
            good[row] = False
            self.report(row, ProblemKind.CROWD, field, f"must be 0 or 1, got {describe_value(values[row])}")
        return CheckedColumn(np.array([value == 1 for value in values], bool), good)

    def boxes(self, field: str, substitute: Substitute | None = None) -> CheckedColumn:
        """A field of four finite numbers."""
        wanted = _FOUR_NUMBERS.removeprefix("must be ")
        values, good = self._typed(field, frozenset({list}), wanted, [0, 0, 0, 0], substitute)
        if not (set(map(len, values)) <= {4} and set(map(type, chain.from_iterable(values))) <= _NUMBER):
            for row, box in enumerate(values):
                if len(box) != 4 or not set(map(type, box)) <= _NUMBER:
                    self.report(row, ProblemKind.WRONG_TYPE, field, f"{_FOUR_NUMBERS}, got {describe_value(box)}")
                    good[row], values[row] = False, [0, 0, 0, 0]
        boxes = _doubles(list(chain.from_iterable(values))).reshape(-1, 4)
        return self._finite(boxes, good, 0, field, "finite", left_out=True)

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

    def note(self, what: str, count: int) -> None:
        """Count what is taken for something else, in the words that end a note."""
        self._taken[what] += count

    def stated(self, field: str) -> Bool[np.ndarray, " n"]:
        """Which entries have a field with something in it."""
        return np.array([entry.get(field) is not None for entry in self.entries], bool)

    def other_fields(self, known: Iterable[str]) -> dict[str, int]:
        """Fields beyond the known ones, and how many entries have each with something in it."""
        known = frozenset(known)
        names = (
            name for entry in self.entries for name in entry.keys() - known if entry[name] not in (None, [], {})
        )
        return dict(Counter(names))

    def _typed(
        self,
        field: str,
        types: frozenset[type],
        wanted: str,
        filler: Any,
        substitute: Substitute | None = None,
        *,
        default: str | None = None,
        left_out: bool = True,
    ) -> tuple[list[Any], Bool[np.ndarray, " n"]]:
        """A field's values, the filler where they are absent or of another type, and which rows are right.

        With a ``default``, the field may be absent or null: what is then taken, as the end of a note.
        """
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
            if default is not None and (value is _ABSENT or value is None):
                self._taken[f"have no {field}; {default}"] += 1
                continue
            if substitute is not None and (taken := substitute(self.entries[row], value)) is not None:
                values[row], reason = taken
                self._taken[reason] += 1
                continue
            good[row] = False
            if value is _ABSENT:
                self.report(row, ProblemKind.MISSING_FIELD, field, "is missing", left_out=left_out)
            else:
                message = f"must be {wanted}, got {describe_value(value)}"
                self.report(row, ProblemKind.WRONG_TYPE, field, message, left_out=left_out)
        return values, good

    def _finite(
        self,
        values: Float[np.ndarray, "n ..."],
        good: Bool[np.ndarray, " n"],
        filler: float,
        field: str,
        wanted: str,
        *,
        left_out: bool,
    ) -> CheckedColumn:
        """The column with the filler where a number is not finite, which is noted."""
        finite = np.isfinite(values)
        finite = finite.all(axis=1) if finite.ndim == 2 else finite
        if not finite.all():
            message = f"{{}} is not {wanted}"
            self.report_all(~finite, ProblemKind.NOT_FINITE, field, message, values, left_out=left_out)
            values[~finite] = filler
        return CheckedColumn(values, good & finite)


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
