"""``lucidbox predict``: find objects in pictures, videos and cameras."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import ProgressBar, say, say_error, say_passed_over, tell, write_json
from lucidbox.cli.options import add_flag, add_number, add_option, add_options, add_verb, load_detector
from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.core.detections import Detections
    from lucidbox.detect.stream import Result
    from lucidbox.save.json_lines import JsonLines
    from lucidbox.save.writers import Saved, Saver
    from lucidbox.sources import Failure, Sources

DESCRIPTION = "Find objects. Draws the boxes on a copy of each picture and says what it found."

EXAMPLES = """\
sources:
  a picture or video file, a folder, a pattern ('photos/*.jpg', quoted), a text file of sources (.txt, one a line),
  a camera (0), an http(s) address, - for standard input, hf:NAME[:SPLIT] for a Hugging Face data set (extra: hub)

examples:
  lucidbox predict street.jpg                                 # with the model that comes with lucidbox
  lucidbox predict street.jpg --weights yolo11n.pt
  lucidbox predict photos/ --weights yolo11n.pt --conf 0.4 --classes person,dog
  lucidbox predict road.mp4 --weights yolo11n.pt --video-stride 5 --save out
  lucidbox predict photos/ --weights yolo11n.pt --json --no-draw > found.jsonl
  cat street.jpg | lucidbox predict - --weights yolo11n.pt --json

exit codes:
  0 done; 1 some pictures failed or are of kinds that are not read, the rest is done; 2 wrong usage or bad input;
  130 stopped by Ctrl-C
"""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "predict", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to look at; see below")
    model = parser.add_argument_group("model")
    add_options(model, "--weights", "--layout", "--names", "--size", "--engine", "--precision")
    add_option(model, "--batch", default=1, help="most pictures of one shape at once (default: 1)")
    limits = parser.add_argument_group("what counts")
    add_options(limits, "--conf", "--iou", "--max-det", "--classes")
    add_flag(limits, "--agnostic", "suppress across classes")
    _add_reading(parser.add_argument_group("reading"))
    _add_output(parser.add_argument_group("output"))


def _add_reading(group: Any) -> None:
    add_flag(group, "--recursive", "look into folders within folders")
    add_number(group, "--video-stride", "look at each N-th frame only (default: 1)", 1)
    add_flag(
        group,
        "--reduced-decoding",
        "decode half, a quarter or an eighth of JPEG files far larger than --size: faster, boxes move;"
        " with --no-draw",
    )
    add_number(group, "--max-pixels", "refuse larger pictures (default: 178956970)")


def _add_output(group: Any) -> None:
    group.add_argument("--save", metavar="DIR", help="where results go: a new folder (default: runs/predict)")
    add_option(group, "--json", help="JSON Lines on standard output; words on standard error")
    group.add_argument("--json-file", metavar="FILE", help="JSON Lines into a new file")
    add_flag(group, "--txt", "a text file a picture: class cx cy w h score, relative")
    add_flag(group, "--crops", "each found object as a picture of its own")
    add_flag(group, "--no-draw", "save no annotated pictures")
    add_flag(group, "--webm", "save videos as WebM (VP8), which browsers play, instead of MP4; slower")
    add_number(group, "--max-labels", "most labels drawn on a picture")


def run(arguments: argparse.Namespace) -> int:
    """Predict everything; 0, 1 if some pictures failed, 2 if all did."""
    from lucidbox.images.reading import MAX_PIXELS
    from lucidbox.save.writers import DEFAULT_FOLDER, SaveOptions, Saver
    from lucidbox.sources import open_sources

    if arguments.reduced_decoding and (arguments.crops or not arguments.no_draw):
        raise OptionError("--reduced-decoding leaves no whole picture to draw on or to cut from; add --no-draw")
    draw = not arguments.no_draw
    options = SaveOptions(draw, arguments.txt, arguments.crops, arguments.max_labels, arguments.webm)
    detector = load_detector(arguments, batch=arguments.batch, **limits_of(arguments))
    sources = open_sources(
        arguments.sources,
        recursive=arguments.recursive,
        video_stride=arguments.video_stride,
        max_pixels=MAX_PIXELS if arguments.max_pixels is None else arguments.max_pixels,
        reduced_within=detector.size if arguments.reduced_decoding else None,
        results=Path(arguments.save) if arguments.save else DEFAULT_FOLDER,
    )
    for part in sources.parts:
        if arguments.reduced_decoding and part.kind not in ("image", "folder", "refused"):
            say(f"--reduced-decoding is for picture files; {part.name} is decoded whole")
    with ExitStack() as stack:
        saver = stack.enter_context(Saver(options, Path(arguments.save) if arguments.save else None))
        saver.check_folder()
        report = stack.enter_context(_open_report(arguments, sources.count))
        try:
            for result in detector.stream(sources, on_failure=report.unread):
                try:
                    report.predicted(result, saver.save(result))
                except OutputError as error:
                    report.predicted(result, error=error)
                    if saver.folder is None:  # there is no folder, so nothing can be saved
                        raise
                    report.failed(error)
        except KeyboardInterrupt:  # how most cameras are left
            report.end(saver)
            raise
        report.passed_over(sources)
        report.end(saver)
    return report.exit_code


def limits_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The limits that were given."""
    return {
        "conf": arguments.conf,
        "iou": arguments.iou,
        "max_det": arguments.max_det,
        "classes": arguments.classes,
        "agnostic": arguments.agnostic or None,
    }


@contextmanager
def _open_report(arguments: argparse.Namespace, count: int | None) -> "Iterator[Report]":
    """Open the JSON file that was asked for and, for more than one picture, a progress bar."""
    with ExitStack() as stack:
        file = None
        if arguments.json_file:
            from lucidbox.save.json_lines import JsonLines

            file = stack.enter_context(JsonLines(arguments.json_file))
        bar = None if count == 1 else stack.enter_context(closing(ProgressBar(count)))
        yield Report(arguments.json, file, bar, arguments.video_stride)


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
            from lucidbox.save.json_lines import json_record

            self._write_json(json_record(result, saved, error))
        picture = result.picture
        if picture.frame is not None:
            self._frames[picture.source] = (self._frames.get(picture.source, (0, 0))[0] + 1, picture.frame)
        height, width = picture.size
        place = picture.source if picture.frame is None else f"{picture.source} frame {picture.frame}"
        found = describe_detections(result.detections)
        self._say(f"{place} {width}x{height}: {found}, {result.milliseconds:.1f} ms")
        self._advance()

    def unread(self, failure: "Failure") -> None:
        """Print the error of a picture that could not be read, and its JSON."""
        self.failed(failure.error)
        if self._json_file or self._json_lines:
            from lucidbox.save.json_lines import failure_record

            self._write_json(failure_record(failure))
        self._advance()

    def passed_over(self, sources: "Sources") -> None:
        """Say what of folders is not read, one line a reason, and in JSON."""
        say_passed_over(sources)
        for one in sources.passed_over:
            self._missing += one.images
            if self._json_file or self._json_lines:
                self._write_json(one.to_dict())

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
            self._say(f"{self._pictures} pictures, {self._objects} objects, {each}")
        for source, (used, last) in self._frames.items():
            if last > (used - 1) * self._stride:  # a live source does not wait
                self._say(f"{source}: {used} of {last + 1} frames were looked at; the others came meanwhile")
        if self._failures and self._pictures:
            self._say(f"{self._failures} failed, see above")
        if saver.folder is not None:
            self._say(f"saved in {saver.folder}")
        if saver.has_mp4:
            self._say("browsers do not play these MP4 videos (MPEG-4 part 2); --webm saves VP8, which they play")

    def _write_json(self, record: dict[str, Any]) -> None:
        if self._json_file:
            try:
                self._json_file.write(record)
            except OutputError as error:  # a full disk: raised once, and the rest is still predicted
                self.failed(error)
        if self._json_lines:
            write_json(record)

    def _say(self, line: str) -> None:
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
