"""Progress bars on standard error, where that is a terminal."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lucidbox.core.progress import Item, Progress


def bar(unit: str = "picture") -> "Progress":
    """Shows how much of some work is done, and when the rest will be; nothing where nobody looks.

    Args:
        unit: what is counted.
    """
    from lucidbox.core.progress import no_progress

    if not sys.stderr.isatty():
        return no_progress

    def progress(items: "Iterable[Item]", count: int | None) -> "Iterable[Item]":
        from tqdm import tqdm

        watched: Iterable[Item] = tqdm(items, total=count, unit=unit, file=sys.stderr, leave=False)
        return watched

    return progress


def tell(line: str) -> None:
    """A line on standard error that does not tear a bar."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)
