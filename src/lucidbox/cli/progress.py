"""Progress bars on standard error, where that is a terminal."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lucidbox.watch import Item, Watch


def bar(unit: str = "picture") -> "Watch":
    """Shows how much of some work is done, and when the rest will be; nothing where nobody looks.

    Args:
        unit: what is counted.
    """
    from lucidbox.watch import unwatched

    if not sys.stderr.isatty():
        return unwatched

    def watch(items: "Iterable[Item]", count: int | None) -> "Iterable[Item]":
        from tqdm import tqdm

        watched: Iterable[Item] = tqdm(items, total=count, unit=unit, file=sys.stderr, leave=False)
        return watched

    return watch


def tell(line: str) -> None:
    """A line on standard error that does not tear a bar."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)
