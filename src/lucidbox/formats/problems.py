"""Problems of a data set."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ProblemKind(StrEnum):
    """The kinds of problems, in words; summaries count by them."""

    STRUCTURE = "malformed file"
    FOLDER = "missing folder or list"
    CLASS_NAMES = "odd class names"
    MISSING_FIELD = "missing field"
    WRONG_TYPE = "wrong type"
    DUPLICATE_ID = "duplicate id"
    UNKNOWN_ID = "unknown id"
    CLASS_RANGE = "class out of range"
    COLUMNS = "wrong number of columns"
    SEPARATOR = "wrong separator"
    NOT_FINITE = "not a finite number"
    NOT_A_SHARE = "number out of 0..1"
    EMPTY_BOX = "zero or negative size"
    TINY_BOX = "box below a pixel"
    OUTSIDE = "box outside the picture"
    DUPLICATE_OBJECT = "duplicate annotation"
    AREA = "odd area"
    CROWD = "odd iscrowd"
    UNREADABLE_LABELS = "unreadable label file"
    NO_LABELS = "no label files"
    ORPHAN_LABEL = "label without picture"
    MISSING_PICTURE = "missing picture"
    UNREADABLE_PICTURE = "unreadable picture"
    PICTURE_SIZE = "picture of another size"
    SAME_PICTURE = "same picture twice"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: what sort of thing.
        place: file and line, or file and entry.
        field: of the entry; empty where the whole entry or file is meant.
        message: what is wrong with it, with the value.
        left_out: whether the object or image is unusable and not in the :class:`~lucidbox.datasets.DataSet`;
            what is merely odd stays in.
    """

    kind: ProblemKind
    place: str
    field: str
    message: str
    left_out: bool = True

    def __str__(self) -> str:
        """One line: ``place: field: message``."""
        return ": ".join(part for part in (self.place, self.field, self.message) if part)


MISSING = frozenset(
    {
        ProblemKind.STRUCTURE, ProblemKind.FOLDER, ProblemKind.NO_LABELS, ProblemKind.UNREADABLE_LABELS,
        ProblemKind.MISSING_PICTURE, ProblemKind.UNREADABLE_PICTURE,
    }
)  # fmt: skip
"""Kinds by which something that was named is not there at all, or cannot be read."""


def shown(problems: Sequence[Problem], each: int = 10) -> list[str]:
    """A line for each of the first problems of a kind; one line counts the others of this kind."""
    counts, seen, lines = count_by_kind(problems), Counter[ProblemKind](), list[str]()
    for problem in problems:
        seen[problem.kind] += 1
        if seen[problem.kind] <= each:
            lines.append(str(problem))
    others = ((kind, count - each) for kind, count in counts.items() if count > each)
    return lines + [f"… and {count:,d} more: {kind}" for kind, count in others]


def count_by_kind(problems: Iterable[Problem]) -> dict[ProblemKind, int]:
    """How many there are of each kind that occurs, most frequent first."""
    return dict(Counter(problem.kind for problem in problems).most_common())
