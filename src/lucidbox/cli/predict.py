"""``lucidbox predict``: find objects in pictures, videos and cameras."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lucidbox.cli.console import say
from lucidbox.cli.detection_report import Report, open_places, save_and_report
from lucidbox.cli.options import (
    TILES,
    add_flag,
    add_number,
    add_option,
    add_options,
    add_verb,
    load_detector,
    tiles_of,
)
from lucidbox.core.errors import OptionError

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
  lucidbox predict aerial.tif --tiles auto                    # small objects in a large picture
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
    add_detecting(parser)
    reading = parser.add_argument_group("reading")
    add_reading(reading)
    add_flag(
        reading,
        "--reduced-decoding",
        "decode half, a quarter or an eighth of JPEG files far larger than --size: faster, boxes move;"
        " with --no-draw",
    )
    add_output(parser.add_argument_group("output"), "runs/predict")


def add_detecting(parser: argparse.ArgumentParser) -> None:
    """Add the options of the model, and of what counts as a detection."""
    model = parser.add_argument_group("model")
    add_options(model, "--weights", "--layout", "--names", "--size", "--engine", "--precision")
    add_option(model, "--batch", default=1, help="most pictures of one shape at once (default: 1)")
    add_options(model, *TILES)
    limits = parser.add_argument_group("what counts")
    add_options(limits, "--conf", "--iou", "--max-det", "--classes")
    add_flag(limits, "--agnostic", "suppress across classes")


def add_reading(group: Any) -> None:
    """Add the options of how sources are read."""
    add_flag(group, "--recursive", "look into folders within folders")
    add_number(group, "--video-stride", "look at each N-th frame only (default: 1)", 1)
    add_number(group, "--max-pixels", "refuse larger pictures (default: 178956970)")


def add_output(group: Any, folder: str) -> None:
    """Add the options of what is written, by default into this folder."""
    group.add_argument("--save", metavar="DIR", help=f"where results go: a new folder (default: {folder})")
    add_option(group, "--json", help="JSON Lines on standard output; words on standard error")
    group.add_argument("--json-file", metavar="FILE", help="JSON Lines into a new file")
    add_flag(group, "--txt", "a text file a picture: class cx cy w h score, relative")
    add_flag(group, "--crops", "each found object as a picture of its own")
    add_flag(group, "--no-draw", "save no annotated pictures")
    add_flag(group, "--webm", "save videos as WebM (VP8), which browsers play, instead of MP4; slower")
    add_number(group, "--max-labels", "most labels drawn on a picture")


def run(arguments: argparse.Namespace) -> int:
    """Predict everything; 0, 1 if some pictures failed, 2 if all did."""
    from lucidbox.save.writers import DEFAULT_FOLDER, SaveOptions, Saver
    from lucidbox.sources import open_sources

    if arguments.reduced_decoding and (arguments.crops or not arguments.no_draw):
        raise OptionError("--reduced-decoding leaves no whole picture to draw on or to cut from; add --no-draw")
    tiles = tiles_of(arguments)
    if arguments.reduced_decoding and arguments.tiles is not None:
        raise OptionError("--reduced-decoding leaves no pixels for --tiles; leave one of them out")
    draw = not arguments.no_draw
    options = SaveOptions(draw, arguments.txt, arguments.crops, arguments.max_labels, arguments.webm)
    detector = load_detector(arguments, batch=arguments.batch, **limits_of(arguments))
    sources = open_sources(
        arguments.sources,
        **reading_of(arguments),
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
        save_and_report(detector.stream(sources, on_failure=report.unread, **tiles), saver, report)
        report.passed_over(sources)
        report.end(saver)
    return report.exit_code


def reading_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options of :func:`add_reading` say to ``open_sources``."""
    from lucidbox.images.reading import MAX_PIXELS

    most = MAX_PIXELS if arguments.max_pixels is None else arguments.max_pixels
    return {"recursive": arguments.recursive, "video_stride": arguments.video_stride, "max_pixels": most}


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
def _open_report(arguments: argparse.Namespace, count: int | None) -> Iterator[Report]:
    """A report to the places that were asked for."""
    with open_places(arguments, count) as (file, bar):
        yield Report(arguments.json, file, bar, arguments.video_stride)
