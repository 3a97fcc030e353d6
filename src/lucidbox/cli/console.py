"""How the command line speaks to a person: lines and progress bars on standard error."""

import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.core.progress import Item, Progress


def say(message: str) -> None:
    """Print one line for a person on standard error; names in it cannot disturb a terminal."""
    write_line(printable(f"lucidbox: {message}"), sys.stderr)


def say_error(error: object) -> None:
    """Print an error for a person on standard error."""
    say(f"error: {error}")


def say_note(note: str) -> None:
    """Print on standard error what a person should know of a result."""
    say(f"note: {note}")


class Failures:
    """Prints the errors of single images, and counts them.

    Attributes:
        count: errors so far.

    Example:
        >>> failures = Failures()
        >>> groups = read_files(files, 1, on_failure=failures)
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: object) -> None:
        """Print and count one error."""
        self.count += 1
        say_error(error)


def write_line(line: str, stream: Any) -> None:
    """Print a line at once; where a progress bar is shown, above it."""
    if _on_terminal() and "tqdm" in sys.modules:  # imported only to show a bar
        from tqdm import tqdm

        tqdm.write(line, file=stream)
        stream.flush()
    else:
        print(line, file=stream, flush=True)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


class ProgressBar:
    """A progress bar on standard error; shows nothing where that is no terminal.

    Args:
        total: number of items; None if unknown.
        unit: what is counted.
        done: items that were done before.
        leave: whether the bar stays on the screen at its end.

    Example:
        >>> with closing(ProgressBar(len(names))) as bar:
        ...     for name in names:
        ...         bar.advance()
    """

    def __init__(self, total: int | None, unit: str = "picture", *, done: int = 0, leave: bool = True) -> None:
        self._bar: Any = None
        if _on_terminal():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, unit=unit, initial=done, leave=leave, dynamic_ncols=True, file=sys.stderr
            )

    def advance(self, note: str = "") -> None:
        """Count one more item; ``note`` is shown after the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Draw the bar for the last time; a second call does nothing."""
        if self._bar is not None:
            self._bar.close()


def progress(unit: str = "picture") -> "Progress":
    """A :class:`~lucidbox.core.progress.Progress` that counts items on a terminal.

    Args:
        unit: what is counted.
    """

    def counted(items: "Iterable[Item]", count: int | None) -> "Iterable[Item]":
        with closing(ProgressBar(count, unit, leave=False)) as bar:
            for item in items:
                yield item
                bar.advance()

    return counted
