"""What ``predict`` and ``track`` tell of their results: lines for people, JSON Lines for programs, errors."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import ProgressBar, say_error, say_passed_over, tell, write_json
from lucidbox.core.errors import OutputError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.core.detections import Detections
    from lucidbox.detect.stream import Result
    from lucidbox.save.json_lines import JsonLines
    from lucidbox.save.writers import Saved, Saver
    from lucidbox.sources import Failure, Sources


def save_and_report(results: "Iterable[Result]", saver: "Saver", report: "Report") -> None:
    """Write and print result by result; Ctrl-C, how most cameras are left, ends with what was done."""
    try:
        for result in results:
            try:
                report.predicted(result, saver.save(result))
            except OutputError as error:
                report.predicted(result, error=error)
                if saver.folder is None:  # there is no folder, so nothing can be saved
                    raise
                report.failed(error)
    except KeyboardInterrupt:
        report.end(saver)
        raise


@contextmanager
def open_places(
    arguments: argparse.Namespace, count: int | None
) -> "Iterator[tuple[JsonLines | None, ProgressBar | None]]":
    """Open the JSON file that was asked for and, for more than one picture, a progress bar."""
    with ExitStack() as stack:
        file = None
        if arguments.json_file:
            from lucidbox.save.json_lines import JsonLines

            file = stack.enter_context(JsonLines(arguments.json_file))
        yield file, None if count == 1 else stack.enter_context(closing(ProgressBar(count)))


class Report:
    """Prints what was found: a line a picture for people, JSON Lines for programs, errors on standard error.

    Args:
        json_lines: JSON Lines on standard output; the lines for people go to standard error then.
        json_file: an open file of JSON Lines, or None.
        bar: counts the pictures, or None.
        stride: of videos, every n-th frame is looked at.
    """

    def __init__(
        self, json_lines: bool, json_file: "JsonLines | None", bar: ProgressBar | None, stride: int = 1
    ) -> None:
        self._json_lines, self._json_file, self._bar = json_lines, json_file, bar
        self._words = sys.stderr if json_lines else sys.stdout
        self._pictures = self._objects = self._failures = self._missing = 0
        self._stride = stride
        self._frames: dict[str, tuple[int, int]] = {}  # of each video, how many were looked at, and the last index
        self._started = time.perf_counter()

    @property
    def exit_code(self) -> int:
        """0; 1 if some pictures failed or are of kinds that are not read; 2 if nothing could be done."""
        if not self._failures:
            return 1 if self._missing else 0
        return 1 if self._pictures else 2

    def predicted(self, result: "Result", saved: "Saved | None" = None, error: OutputError | None = None) -> None:
        """Print one picture's line, and its JSON; ``error`` is why it could not be saved."""
        self._pictures += 1
        self._objects += len(result.detections)
        if self._json_file or self._json_lines:
            self.write_record(self.record_of(result, saved, error))
        picture = result.picture
        if picture.frame is not None:
            self._frames[picture.source] = (self._frames.get(picture.source, (0, 0))[0] + 1, picture.frame)
        for line in self.lines_of(result):
            self.tell_line(line)
        self._advance()

    def record_of(self, result: "Result", saved: "Saved | None", error: OutputError | None) -> dict[str, Any]:
        """The JSON of one picture."""
        from lucidbox.save.json_lines import json_record

        return json_record(result, saved, error)

    def lines_of(self, result: "Result") -> Iterable[str]:
        """What a person is told of one picture."""
        picture = result.picture
        height, width = picture.size
        place = picture.source if picture.frame is None else f"{picture.source} frame {picture.frame}"
        found = describe_detections(result.detections)
        return [f"{place} {width}x{height}: {found}, {result.milliseconds:.1f} ms"]

    def unread(self, failure: "Failure") -> None:
        """Print the error of a picture that could not be read, and its JSON."""
        self.failed(failure.error)
        if self._json_file or self._json_lines:
            from lucidbox.save.json_lines import failure_record

            self.write_record(failure_record(failure))
        self._advance()

    def passed_over(self, sources: "Sources") -> None:
        """Say what of folders is not read, one line a reason, and in JSON."""
        say_passed_over(sources)
        for one in sources.passed_over:
            self._missing += one.images
            if self._json_file or self._json_lines:
                self.write_record(one.to_dict())

    def failed(self, error: object) -> None:
        """Print an error of a picture that is counted already, such as a result that could not be written."""
        self._failures += 1
        say_error(error)

    def end(self, saver: "Saver") -> None:
        """Finish the last video, then sum up."""
        try:
            saver.finish_video()
        except OutputError as error:
            self.failed(error)
        if self._pictures > 1:
            # Pictures overlap, so the times of single pictures do not add up.
            seconds = time.perf_counter() - self._started
            each = f"{seconds / self._pictures * 1000:.1f} ms a picture, reading and saving included"
            self.tell_line(f"{self._pictures} pictures, {self._objects} objects, {each}")
        for source, (used, last) in self._frames.items():
            if last > (used - 1) * self._stride:  # a live source does not wait
                self.tell_line(f"{source}: {used} of {last + 1} frames were looked at; the others came meanwhile")
        if self._failures and self._pictures:
            self.tell_line(f"{self._failures} failed, see above")
        if saver.folder is not None:
            self.tell_line(f"saved in {saver.folder}")
        if saver.has_mp4:
            self.tell_line(
                "browsers do not play these MP4 videos (MPEG-4 part 2); --webm saves VP8, which they play"
            )

    def write_record(self, record: dict[str, Any]) -> None:
        """Write a record to the places of JSON that were asked for."""
        if self._json_file:
            try:
                self._json_file.write(record)
            except OutputError as error:  # a full disk: raised once, and the rest is still predicted
                self.failed(error)
        if self._json_lines:
            write_json(record)

    def tell_line(self, line: str) -> None:
        """Print a line for a person."""
        tell(printable(line), self._words)

    def _advance(self) -> None:
        if self._bar:
            self._bar.advance()


def describe_detections(detections: "Detections") -> str:
    """What was found, for a person: "person 2, bus 1", best score first, or "no objects".

    The number follows the name so that no language's plural is needed.
    """
    counts: dict[int, int] = {}
    for class_id in detections.classes[(-detections.scores).argsort(kind="stable")].tolist():
        counts[class_id] = counts.get(class_id, 0) + 1
    names = {class_id: printable(detections.names[class_id]) or f"#{class_id}" for class_id in counts}
    return ", ".join(f"{names[class_id]} {count}" for class_id, count in counts.items()) or "no objects"
