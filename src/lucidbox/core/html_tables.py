"""Values as tables in a notebook: plain HTML, in which names from strangers' files can be nothing but text."""

from collections.abc import Sequence
from html import escape
from typing import Any

from lucidbox.core.text import printable

MOST_ROWS = 20
"""Rows of a table; of more, the last row says how many there are."""

_LARGE = 10
_CELL = "padding: 0.15em 0.7em; white-space: nowrap; text-align: "


def html_table(head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", notes: str = "") -> str:
    """A table; numbers are to the right, all else is to the left.

    Args:
        head: titles of the columns.
        rows: values; texts are escaped, floats have three decimals (large ones one), None is a dash.
        caption: stands above it.
        notes: stand below it.
    """
    shown = [_row("td", row) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(f'<tr><td colspan="{len(head)}">and {len(rows) - MOST_ROWS} more</td></tr>')
    above = f"<div><b>{_text(caption)}</b></div>" if caption else ""
    below = f"<div>{_text(notes)}</div>" if notes else ""
    # Titles stand as their columns do, which the first row tells.
    alike = [_align(value) for value in rows[0]] if rows else ["left"] * len(head)
    titles = (f'<th style="{_CELL}{side}">{_text(name)}</th>' for name, side in zip(head, alike, strict=True))
    body = f"<thead><tr>{''.join(titles)}</tr></thead><tbody>{''.join(shown)}</tbody>"
    return f"<div>{above}<table>{body}</table>{below}</div>"


def _row(kind: str, values: Sequence[Any]) -> str:
    cells = (f'<{kind} style="{_CELL}{_align(value)}">{_text(value)}</{kind}>' for value in values)
    return f"<tr>{''.join(cells)}</tr>"


def _align(value: Any) -> str:
    return "left" if isinstance(value, str) else "right"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < _LARGE else f"{value:.1f}"
    return escape(printable(str(value)))
