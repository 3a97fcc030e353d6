"""How the command line speaks to a person: lines and progress bars on standard error."""

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from lucidbox.core.text import printable, printable_block

if TYPE_CHECKING:
    from lucidbox.core.progress import Item, Progress
    from lucidbox.sources import Sources


def say(message: str) -> None:
    """Print one line for a person on standard error; names in it cannot disturb a terminal."""
    tell(printable(f"lucidbox: {message}"), sys.stderr)


def say_error(error: object) -> None:
    """Print an error for a person on standard error."""
    say(f"error: {error}")


def say_note(note: str) -> None:
    """Print on standard error what a person should know of a result."""
    say(f"note: {note}")


def say_passed_over(sources: "Sources") -> None:
    """Say what of folders and patterns is not read, one line a reason."""
    for one in sources.passed_over:
        for line in one.lines():
            say(line)


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


def tell(text: str, stream: Any = None) -> None:
    """Print lines for a person, on standard output by default; names in them cannot disturb a terminal."""
    write_line(printable_block(text), stream or sys.stdout)


def write_json(document: Any, indent: int | None = None) -> None:
    """Print JSON on standard output: as UTF-8, whatever the terminal's encoding is, and on one line by default.

    What UTF-8 cannot hold, such as the stray bytes of a broken file name, becomes "?".
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    write_line(json.dumps(document, ensure_ascii=False, indent=indent), sys.stdout)


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
