"""What a training shows on a terminal."""

import json
import math
import sys
from dataclasses import asdict
from typing import Any

from lucidbox.cli.console import ProgressBar, write_line
from lucidbox.core.text import printable
from lucidbox.train.callbacks import Callbacks
from lucidbox.train.records import EpochRow
from lucidbox.train.train_step import Losses


class ConsoleCallbacks(Callbacks):
    """A progress bar with losses and time left on a terminal, a line for every epoch, or JSON lines.

    Args:
        json_lines: print each epoch as JSON on standard output.
        quiet: show nothing: for a process that is not the first of several.
    """

    def __init__(self, json_lines: bool, quiet: bool) -> None:
        self.json_lines, self.quiet = json_lines, quiet
        self._bar: ProgressBar | None = None
        self._ap = ""

    def say(self, message: str) -> None:
        """Print a line on standard error, above the bar."""
        if not self.quiet:
            self._print(printable(f"lucidbox: {message}"), sys.stderr)

    def batch(self, done: int, total: int, losses: Losses) -> None:
        """Advance the bar."""
        if self.quiet:
            return
        if self._bar is None:
            self._bar = ProgressBar(total, "batch", done=done - 1)
        names = ("box", "class", "dfl", "teacher")
        parts = [f"{name} {part:.3f}" for name, part in zip(names, losses.parts, strict=True) if part]
        self._bar.advance(" ".join([*parts, self._ap]))

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def epoch(self, row: EpochRow) -> None:
        """Print the epoch's line."""
        if self.quiet:
            return
        numbers = {key: None if math.isnan(value) else value for key, value in asdict(row).items()}
        if self.json_lines:
            self._print(json.dumps(numbers), sys.stdout)
            return
        measured = "" if math.isnan(row.ap) else f"AP {row.ap:.4f}  AP50 {row.ap50:.4f}  "
        self._ap = measured.strip()
        teacher = f"teacher {row.teacher:.3f}  " if row.teacher else ""
        self._print(
            f"epoch {row.epoch}: {measured}box {row.boxes:.3f}  class {row.classes:.3f}  "
            f"dfl {row.distributions:.3f}  {teacher}{row.pictures_per_second:.0f} pictures/s  {row.seconds:.0f} s",
            sys.stdout,
        )

    def _print(self, line: str, stream: Any) -> None:
        try:
            write_line(line, stream)
        except OSError:  # the reader has gone, a log's disk is full: days of training do not end for that
            self.quiet = True
