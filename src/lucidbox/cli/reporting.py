"""What ``predict`` says while it works."""

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from lucidbox.core.errors import LucidboxError, OutputError
from lucidbox.core.text import printable
from lucidbox.detect.stream import Result
from lucidbox.save.results import JsonLines, describe_detections, json_line, json_record
from lucidbox.save.writers import Saver


class RunReport:
    """Says what was found: a line a picture for people, JSON Lines for programs, failures on standard error.

    Args:
        json_lines: JSON Lines on standard output; the words go to standard error then.
        json_file: JSON Lines into this file.
        count: how many pictures will come, None if nobody knows.
    """

    def __init__(self, json_lines: bool, json_file: str | None, count: int | None) -> None:
        self.json_lines = json_lines
        self._words: Any = sys.stderr if json_lines else sys.stdout
        self._file = JsonLines(json_file) if json_file else None
        self._count = count
        self._bar: Any = None
        self._file_failed = False
        self._pictures = self._objects = self._failures = 0

    def __enter__(self) -> "RunReport":
        """Open the file and, on a terminal and for more than one picture, the progress bar."""
        with ExitStack() as stack:
            if self._file:
                stack.enter_context(self._file)
            if self._count != 1 and sys.stderr.isatty():
                from tqdm import tqdm

                self._bar = stack.enter_context(tqdm(total=self._count, unit="picture", file=sys.stderr))
            self._stack = stack.pop_all()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close bar and file."""
        self._stack.__exit__(kind, error, trace)

    @property
    def exit_code(self) -> int:
        """0; 1 if some pictures failed; 2 if nothing could be done."""
        if not self._failures:
            return 0
        return 1 if self._pictures else 2

    def found(self, result: Result) -> None:
        """One picture's line."""
        picture, detections = result.picture, result.detections
        height, width = picture.size
        self._pictures += 1
        self._objects += len(detections)
        record = json_record(
            picture.source, width, height, detections, result.milliseconds, frame=picture.frame, time=picture.time
        )
        if self._file and not self._file_failed:
            try:
                self._file.write(record)
            except OutputError as error:  # a full disk: said once, and the rest is still predicted
                self._file_failed = True
                self._failures += 1
                self._say(f"lucidbox: error: {error}", sys.stderr)
        if self.json_lines:
            self._print(json_line(record), sys.stdout)
        place = picture.source if picture.frame is None else f"{picture.source} frame {picture.frame}"
        self._say(
            f"{place} {width}x{height}: {describe_detections(detections)}, {result.milliseconds:.1f} ms",
            self._words,
        )
        self._advance()

    def failed(self, error: LucidboxError) -> None:
        """One line for a picture that could not be read."""
        self.not_saved(error)
        self._advance()

    def not_saved(self, error: LucidboxError) -> None:
        """One line for a result that could not be written; its picture has been told of."""
        self._failures += 1
        self._say(f"lucidbox: error: {error}", sys.stderr)

    def end(self, saver: Saver) -> None:
        """Finish the last video, then sum up."""
        try:
            saver.finish_video()
        except OutputError as error:
            self.not_saved(error)
        if self._pictures > 1:
            # Pictures overlap, so what each of them took does not add up.
            seconds = time.perf_counter() - self._started
            each = f"{seconds / self._pictures * 1000:.1f} ms a picture, reading and saving included"
            self._say(f"{self._pictures} pictures, {self._objects} objects, {each}", self._words)
        if self._failures and self._pictures:
            self._say(f"{self._failures} failed, see above", self._words)
        if saver.folder is not None:
            self._say(f"saved in {saver.folder}", self._words)

    def _say(self, line: str, stream: Any) -> None:
        """A line of words."""
        self._print(printable(line), stream)

    def _print(self, line: str, stream: Any) -> None:
        """A line that does not tear the progress bar."""
        if self._bar is not None:
            self._bar.write(line, file=stream)
            stream.flush()
        else:
            print(line, file=stream, flush=True)

    def _advance(self) -> None:
        if self._bar is not None:
            self._bar.update()
