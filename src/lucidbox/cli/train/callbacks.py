"""What a training shows on a terminal."""

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from lucidbox.cli.console import ProgressBar, say, tell, write_json
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
            self._print(partial(say, message))

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
            self._print(partial(write_json, numbers))
            return
        measured = "" if math.isnan(row.ap) else f"AP {row.ap:.4f}  AP50 {row.ap50:.4f}  "
        self._ap = measured.strip()
        teacher = f"teacher {row.teacher:.3f}  " if row.teacher else ""
        line = (
            f"epoch {row.epoch}: {measured}box {row.boxes:.3f}  class {row.classes:.3f}  "
            f"dfl {row.distributions:.3f}  {teacher}{row.pictures_per_second:.0f} pictures/s  {row.seconds:.0f} s"
        )
        self._print(partial(tell, line))

    def _print(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError:  # the reader has gone, a log's disk is full: days of training do not end for that
            self.quiet = True
