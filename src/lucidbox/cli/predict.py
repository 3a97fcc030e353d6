"""``lucidbox predict``: find objects in pictures, videos and cameras."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lucidbox.core.errors import OptionError, OutputError

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
    """Add the verb's parser."""
    parser = verbs.add_parser(
        "predict",
        help="find objects in pictures, videos, cameras",
        description="Find objects. Draws the boxes on a copy of each picture and says what it found.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to look at; see below")
    _add_model(parser.add_argument_group("model"))
    _add_limits(parser.add_argument_group("what counts"))
    _add_reading(parser.add_argument_group("reading"))
    _add_output(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _add_model(group: Any) -> None:
    group.add_argument(
        "--weights",
        metavar="FILE",
        help=".pt, .safetensors or .onnx (default: the model that comes with lucidbox)",
    )
    group.add_argument(
        "--size",
        metavar="N|H,W",
        help="longer side of the network's input, a multiple of 32 (default: the model's)",
    )
    group.add_argument("--engine", default="auto", help="auto (default), openvino, onnxruntime or torch")
    group.add_argument(
        "--precision", default="auto", help="auto (default), fp32, bf16, fp16 or int8, where the engine has it"
    )
    group.add_argument(
        "--batch", type=int, default=1, metavar="N", help="most pictures of one shape at once (default: 1)"
    )


def _add_limits(group: Any) -> None:
    group.add_argument(
        "--conf",
        type=float,
        metavar="P",
        help="a score must be greater than this (default: the model's, mostly 0.25)",
    )
    group.add_argument(
        "--iou", type=float, metavar="P", help="overlap above which a box is dropped (default: 0.7)"
    )
    group.add_argument("--max-det", type=int, metavar="N", help="most boxes of a picture (default: 300)")
    group.add_argument("--classes", metavar="A,B", help="only these classes: names or numbers, comma between")
    group.add_argument("--agnostic", action="store_true", help="suppress across classes")


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
    group.add_argument(
        "--json", action="store_true", help="JSON Lines on standard output; words on standard error"
    )
    group.add_argument("--json-file", metavar="FILE", help="JSON Lines into a new file")
    group.add_argument("--txt", action="store_true", help="a text file a picture: class cx cy w h score, relative")
    group.add_argument("--crops", action="store_true", help="each found object as a picture of its own")
    group.add_argument("--no-draw", action="store_true", help="save no annotated pictures")
    group.add_argument("--max-labels", type=int, metavar="N", help="most labels drawn on a picture")


def run(arguments: argparse.Namespace) -> int:
    """Predict everything; 0, 1 if some pictures failed, 2 if all did."""
    from lucidbox.cli.reporting import RunReport
    from lucidbox.detector.detector import Detector
    from lucidbox.images.reading import MAX_PIXELS
    from lucidbox.save.writers import SaveOptions, Saver
    from lucidbox.sources import open_sources

    if arguments.reduced_decoding and (arguments.crops or not arguments.no_draw):
        raise OptionError("--reduced-decoding leaves no whole picture to draw on or to cut from; add --no-draw")
    wanted = SaveOptions(not arguments.no_draw, arguments.txt, arguments.crops, arguments.max_labels)
    detector = Detector.load(
        arguments.weights,
        engine=arguments.engine,
        precision=arguments.precision,
        size=arguments.size,
        batch=arguments.batch,
        say=lambda message: print(message, file=sys.stderr),
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
            print(
                f"lucidbox: --reduced-decoding is for picture files; {part.name} is decoded whole", file=sys.stderr
            )
    folder = Path(arguments.save) if arguments.save else None
    with ExitStack() as stack:
        saver = stack.enter_context(Saver(wanted, sources, folder))
        saver.check_folder()
        report = stack.enter_context(RunReport(arguments.json, arguments.json_file, sources.count))
        for result in detector.stream(sources, on_failure=lambda failure: report.failed(failure.error)):
            report.found(result)
            try:
                saver.save(result)
            except OutputError as error:
                if saver.folder is None:  # no folder, no work
                    raise
                report.not_saved(error)
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
