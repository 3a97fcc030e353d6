"""``lucidbox predict``: find objects in pictures, videos and cameras."""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import ProgressBar, say, say_error, write_line
from lucidbox.cli.options import add_option, add_options, add_verb
from lucidbox.core.errors import LucidboxError, OptionError, OutputError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.core.detections import Detections
    from lucidbox.detect.stream import Result
    from lucidbox.save.writers import Saver

DESCRIPTION = "Find objects. Draws the boxes on a copy of each picture and says what it found."

EXAMPLES = """\
sources:
  a picture or video file, a folder, a pattern ('photos/*.jpg', quoted), a camera (0), an http(s) address,
  - for standard input, hf:NAME[:SPLIT] for a Hugging Face data set (extra: hub)

examples:
  lucidbox predict street.jpg                                 # with the model that comes with lucidbox
  lucidbox predict street.jpg --weights yolo11n.pt
  lucidbox predict photos/ --weights yolo11n.pt --conf 0.4 --classes person,dog
  lucidbox predict road.mp4 --weights yolo11n.pt --video-stride 5 --save out
  lucidbox predict photos/ --weights yolo11n.pt --json --no-draw > found.jsonl
  cat street.jpg | lucidbox predict - --weights yolo11n.pt --json

exit codes:
  0 done; 1 some pictures failed, the rest is done; 2 wrong usage or bad input; 130 stopped by Ctrl-C
"""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "predict", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to look at; see below")
    model = parser.add_argument_group("model")
    add_options(model, "--weights", "--size", "--engine", "--precision")
    add_option(model, "--batch", default=1, help="most pictures of one shape at once (default: 1)")
    limits = parser.add_argument_group("what counts")
    add_options(limits, "--conf", "--iou", "--max-det", "--classes")
    limits.add_argument("--agnostic", action="store_true", help="suppress across classes")
    _add_reading(parser.add_argument_group("reading"))
    _add_output(parser.add_argument_group("output"))


def _add_reading(group: Any) -> None:
    group.add_argument("--recursive", action="store_true", help="look into folders within folders")
    group.add_argument(
        "--video-stride", type=int, default=1, metavar="N", help="look at each N-th frame only (default: 1)"
    )
    group.add_argument(
        "--reduced-decoding",
        action="store_true",
        help="decode half, a quarter or an eighth of JPEG files far larger than --size: faster, boxes move;"
        " with --no-draw",
    )
    group.add_argument("--max-pixels", type=int, metavar="N", help="refuse larger pictures (default: 178956970)")


def _add_output(group: Any) -> None:
    group.add_argument("--save", metavar="DIR", help="where results go: a new folder (default: runs/predict)")
    add_option(group, "--json", help="JSON Lines on standard output; words on standard error")
    group.add_argument("--json-file", metavar="FILE", help="JSON Lines into a new file")
    group.add_argument("--txt", action="store_true", help="a text file a picture: class cx cy w h score, relative")
    group.add_argument("--crops", action="store_true", help="each found object as a picture of its own")
    group.add_argument("--no-draw", action="store_true", help="save no annotated pictures")
    group.add_argument("--max-labels", type=int, metavar="N", help="most labels drawn on a picture")


def run(arguments: argparse.Namespace) -> int:
    """Predict everything; 0, 1 if some pictures failed, 2 if all did."""
    from lucidbox.detector import Detector
    from lucidbox.images.reading import MAX_PIXELS
    from lucidbox.save.writers import SaveOptions, Saver
    from lucidbox.sources import open_sources

    if arguments.reduced_decoding and (arguments.crops or not arguments.no_draw):
        raise OptionError("--reduced-decoding leaves no whole picture to draw on or to cut from; add --no-draw")
    options = SaveOptions(not arguments.no_draw, arguments.txt, arguments.crops, arguments.max_labels)
    detector = Detector.load(
        arguments.weights,
        engine=arguments.engine,
        precision=arguments.precision,
        size=arguments.size,
        batch=arguments.batch,
        say=say,
        **_limits(arguments),
    )
    sources = open_sources(
        arguments.sources,
        recursive=arguments.recursive,
        video_stride=arguments.video_stride,
        max_pixels=MAX_PIXELS if arguments.max_pixels is None else arguments.max_pixels,
        reduced_within=detector.size if arguments.reduced_decoding else None,
    )
    for part in sources.parts:
        if arguments.reduced_decoding and part.kind not in ("image", "folder", "refused"):
            say(f"--reduced-decoding is for picture files; {part.name} is decoded whole")
    with ExitStack() as stack:
        saver = stack.enter_context(Saver(options, sources, Path(arguments.save) if arguments.save else None))
        saver.check_folder()
        report = stack.enter_context(Report(arguments.json, arguments.json_file, sources.count))
        for result in detector.stream(sources, on_failure=lambda failure: report.unread(failure.error)):
            report.predicted(result)
            try:
                saver.save(result)
            except OutputError as error:
                if saver.folder is None:  # there is no folder, so nothing can be saved
                    raise
                report.failed(error)
        report.end(saver)
    return report.exit_code


def _limits(arguments: argparse.Namespace) -> dict[str, Any]:
    """The limits that were given."""
    return {
        "conf": arguments.conf,
        "iou": arguments.iou,
        "max_det": arguments.max_det,
        "classes": None if arguments.classes is None else arguments.classes.split(","),
        "agnostic": arguments.agnostic or None,
    }


class Report:
    """Prints what was found: a line a picture for people, JSON Lines for programs, errors on standard error.

    Args:
        json_lines: JSON Lines on standard output; the lines for people go to standard error then.
        json_file: JSON Lines into this new file.
        count: how many pictures will come, None if unknown.
    """

    def __init__(self, json_lines: bool, json_file: str | None, count: int | None) -> None:
        self._json_lines, self._json_file, self._count = json_lines, json_file, count
        self._words = sys.stderr if json_lines else sys.stdout
        self._file: Any = None
        self._bar: ProgressBar | None = None
        self._file_failed = False
        self._pictures = self._objects = self._failures = 0

    def __enter__(self) -> "Report":
        """Open the file and, for more than one picture, the progress bar."""
        with ExitStack() as stack:
            if self._json_file:
                from lucidbox.save.json_lines import JsonLines

                self._file = stack.enter_context(JsonLines(self._json_file))
            if self._count != 1:
                self._bar = stack.enter_context(ProgressBar(self._count))
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

    def predicted(self, result: "Result") -> None:
        """Print one picture's line, and its JSON."""
        self._pictures += 1
        self._objects += len(result.detections)
        if self._file or self._json_lines:
            self._write_json(result)
        picture = result.picture
        height, width = picture.size
        place = picture.source if picture.frame is None else f"{picture.source} frame {picture.frame}"
        found = describe_detections(result.detections)
        self._say(f"{place} {width}x{height}: {found}, {result.milliseconds:.1f} ms")
        self._advance()

    def unread(self, error: LucidboxError) -> None:
        """Print the error of a picture that could not be read."""
        self.failed(error)
        self._advance()

    def failed(self, error: LucidboxError) -> None:
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
            self._say(f"{self._pictures} pictures, {self._objects} objects, {each}")
        if self._failures and self._pictures:
            self._say(f"{self._failures} failed, see above")
        if saver.folder is not None:
            self._say(f"saved in {saver.folder}")

    def _write_json(self, result: "Result") -> None:
        from lucidbox.save.json_lines import json_line, json_record

        record = json_record(result)
        if self._file and not self._file_failed:
            try:
                self._file.write(record)
            except OutputError as error:  # a full disk: reported once, and the rest is still predicted
                self._file_failed = True
                self.failed(error)
        if self._json_lines:
            write_line(json_line(record), sys.stdout)

    def _say(self, line: str) -> None:
        write_line(printable(line), self._words)

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
