"""The one printer of text tables for a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Column:
    """How a column of a table is written.

    Attributes:
        title: in the header line.
        width: least width, in characters.
        text: format of its values, for ``str.format``.
        align: "<" left, ">" right.
        gap: blanks before it.
        missing: stands where the value is None.
    """

    title: str = ""
    width: int = 0
    text: str = "{}"
    align: str = ">"
    gap: int = 1
    missing: str = "–"

    def cell(self, value: Any) -> str:
        """A value as it stands in the table."""
        written = self.missing if value is None else self.text.format(value)
        return " " * self.gap + f"{written:{self.align}{self.width}}"


def line(columns: Sequence[Column], values: Sequence[Any], indent: int = 0) -> str:
    """One line of a table; a line of fewer values than columns ends early."""
    cells = [column.cell(value) for column, value in zip(columns, values, strict=False)]
    return " " * indent + "".join(cells)[columns[0].gap :]


def table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], indent: int = 0) -> str:
    """A header line, unless no column has a title, and a line for every row.

    Example:
        >>> print(table([Column("class", 8, align="<"), Column("AP", 6, "{:.3f}")], [("dog", 0.5), ("cat", None)]))
        class        AP
        dog       0.500
        cat           –
    """
    titles = [replace(column, text="{}") for column in columns]
    header = [line(titles, [column.title for column in columns], indent)] if any(c.title for c in columns) else []
    return "\n".join([*header, *(line(columns, row, indent) for row in rows)])


def pairs(rows: Iterable[tuple[str, Any]], width: int, indent: int = 0) -> str:
    """Labels, padded to this width, and what belongs to each."""
    return table([Column(width=width, align="<"), Column(align="<")], rows, indent)
