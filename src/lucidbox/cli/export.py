"""``lucidbox export``: files for where people deploy, each checked against the network."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import Failures, progress, say, say_passed_over, tell
from lucidbox.cli.options import add_flag, add_number, add_option, add_verb
from lucidbox.core.errors import EngineError, OptionError, OutputError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np

    from lucidbox.export import Check, Request

DESCRIPTION = """\
Write a network for where it is to run. Every file takes uint8 RGB pixels "pixels" (batch, height, width, 3), gives
"boxes" (xyxy, pixels of that input) and "scores", and carries class names, licence and provenance. It is run and
compared with the network before it gets its name; docs/how-to/export.md says how closely.

  onnx         NAME.onnx          for every engine; any shape unless --size fixes it
  openvino     NAME.xml and .bin  for OpenVINO without its ONNX reader
  torchscript  NAME.torchscript   for libtorch; fp32, any shape
"""

EXAMPLES = """\
examples:
  lucidbox export yolo11n.pt --to onnx --precision fp16
  lucidbox export yolo11n.pt --to onnx --precision int8 --images photos/
  lucidbox export yolo11n.pt --to openvino --size 640 --out deploy/yolo11n.xml
  lucidbox export yolo11n.pt --to onnx --suppress --conf 0.3 --max-det 100
  lucidbox export yolo11n.pt --to onnx --opset 17
  lucidbox parity yolo11n.pt yolo11n-fp16.onnx --images photos/
"""

_LIMITS = ("conf", "iou", "max_det")

CALIBRATE = 128
"""Number of pictures that int8 is measured on by default."""

COMPANIONS = {"openvino": (".bin",)}
"""Suffixes of files that are written beside the main one."""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "export", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("weights", metavar="WEIGHTS", type=Path, help="a weights file: .pt, .safetensors or .onnx")
    # Checked by the request, as it is for Python callers.
    parser.add_argument("--to", required=True, metavar="FORMAT", help="onnx, openvino or torchscript")
    add_option(
        parser,
        "--precision",
        default="fp32",
        help="fp32 (default); fp16: kernels stored in half the bytes; int8: convolutions compute in 8 bits"
        " (onnx, openvino)",
    )
    add_option(parser, "--images", help="with int8: pictures like those it is to see, to measure its steps on")
    add_number(parser, "--calibrate", f"with int8: how many of them, evenly chosen ({CALIBRATE})")
    add_option(parser, "--size", help="fix the input to this size (default: any multiples of 32)")
    add_option(parser, "--batch", help="with --size: fix the batch, too (1)")
    add_flag(parser, "--suppress", "suppression inside the graph (onnx, openvino)")
    add_option(parser, "--conf", help="with --suppress: least score (0.25)")
    add_option(parser, "--iou", help="with --suppress: most overlap in a class (0.7)")
    add_option(parser, "--max-det", help="with --suppress: most boxes of a picture (300)")
    add_number(parser, "--opset", "with --to onnx: its operator set, 15 to 20 (15, which most runtimes load)")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="file to write (default: beside WEIGHTS, named after what it is)"
    )
    add_flag(parser, "--force", "replace the file if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say how close it is to the network; 1 if pictures for int8 could not be read."""
    try:
        from lucidbox.export import export
    except ModuleNotFoundError as error:
        raise EngineError(f"exporting needs {error.name}; pip install 'lucidbox[train]'") from error

    request = _request(arguments)
    target = arguments.out or arguments.weights.with_name(_name(arguments.weights.stem, request))
    _check_target(target, request, arguments)
    failures = Failures()
    wanted = CALIBRATE if arguments.calibrate is None else arguments.calibrate
    pictures = (
        progress()(_calibration(arguments.images, wanted, failures), wanted) if request.precision == "int8" else ()
    )
    check = export(arguments.weights, target, request, say, pictures)
    tell(printable(f"{target}: {_described(target, request, check)}; licence: {check.licence}"))
    return int(bool(failures.count))


def _calibration(images: str, wanted: int, failures: Failures) -> "Generator[np.ndarray, None, None]":
    """Pictures to measure int8 on, evenly chosen where their number is known; unreadable ones are reported.

    Raises:
        OptionError: none could be read.
    """
    from lucidbox.sources import Failure, open_sources

    sources = open_sources(images, recursive=True)
    say_passed_over(sources)
    every = max(1, (sources.count or 0) / wanted)
    given = 0
    with closing(sources.lazy_items()) as items:
        for number, read in enumerate(items):
            if number < int((given + failures.count) * every):
                continue
            item = read()
            if isinstance(item, Failure):
                failures(item.error)
            else:
                given += 1
                yield item.pixels
            if given + failures.count == wanted:
                break
    if not given:
        raise OptionError(f"none of the pictures in {images} could be read; int8 needs some 100")


def _request(arguments: argparse.Namespace) -> "Request":
    from dataclasses import asdict

    from lucidbox.detect.letterbox import parse_size
    from lucidbox.detect.nms import Limits
    from lucidbox.export import Request
    from lucidbox.model_files.metadata import Suppression

    given = {name: getattr(arguments, name) for name in _LIMITS if getattr(arguments, name) is not None}
    if given and not arguments.suppress:
        raise OptionError(f"--{next(iter(given)).replace('_', '-')} has a meaning with --suppress only")
    for option in ("images", "calibrate"):
        if getattr(arguments, option) is not None and arguments.precision != "int8":
            raise OptionError(f"--{option} has a meaning with --precision int8 only")
    if arguments.calibrate is not None and arguments.calibrate < 1:
        raise OptionError(f"--calibrate {arguments.calibrate} is less than 1")
    if arguments.precision == "int8" and arguments.images is None:
        raise OptionError("int8 needs pictures like those it is to see; give some 100 with --images DIR")
    if arguments.batch is not None and arguments.size is None:
        raise OptionError("--batch fixes the graph's shape and needs --size")
    suppression = Suppression(**given) if arguments.suppress else None
    if suppression:
        Limits(**asdict(suppression))  # raises an error for a value out of range
    shape = None
    if arguments.size is not None:
        shape = (1 if arguments.batch is None else arguments.batch, *parse_size(arguments.size))
    chosen = {} if arguments.opset is None else {"opset": arguments.opset}
    return Request(arguments.to, arguments.precision, shape, suppression, **chosen)


def _name(stem: str, request: "Request") -> str:
    """A file name that says what differs from the plain export."""
    from lucidbox.export import SUFFIXES, Request

    parts = [stem]
    if request.opset != Request.opset:
        parts.append(f"opset{request.opset}")
    if request.precision != "fp32":
        parts.append(request.precision)
    if request.shape:
        parts.append("x".join(map(str, request.shape)))
    if request.suppression:
        parts.append("suppressed")
    return "-".join(parts) + SUFFIXES[request.format]


def _check_target(target: Path, request: "Request", arguments: argparse.Namespace) -> None:
    """Raise before the work the errors that writing the file would raise after it.

    Raises:
        OptionError: the suffix is not the format's, or the file is the source itself.
        OutputError: something is there already.
    """
    from lucidbox.core.filesystem import check_writable, output_error
    from lucidbox.export import SUFFIXES

    if target.suffix != SUFFIXES[request.format]:
        raise OptionError(f"{target}: the name of a {request.format} file ends in {SUFFIXES[request.format]}")
    try:
        for path in (target, *_companions(target, request)):
            if path.exists() and arguments.weights.exists() and path.samefile(arguments.weights):
                raise OptionError(f"{path}: would replace the weights it is made from; name another with --out")
            if path.exists() and not arguments.force:
                raise OutputError(f"{path}: exists already; choose another name, or replace it with --force")
    except OSError as error:
        raise output_error(target, error) from error
    check_writable(target)


def _described(target: Path, request: "Request", check: "Check") -> str:
    shape = "×".join(map(str, request.shape)) if request.shape else "any shape"
    size = sum(path.stat().st_size for path in (target, *_companions(target, request))) / 1e6
    inside = ", suppression inside" if request.suppression else ""
    start = f"{request.precision}, {shape}{inside}, {size:.1f} MB; run by {' and '.join(check.engines)} it"
    if check.found:
        total, again = check.found
        return (
            f"{start} finds {again} of the network's {total} boxes again, moved by {check.boxes:.2g} px and"
            f" {check.scores:.2g} in score (medians); for AP: lucidbox parity --annotations"
        )
    return f"{start} differs from the network by at most {check.boxes:.2g} px and {check.scores:.2g} in score"


def _companions(target: Path, request: "Request") -> list[Path]:
    return [target.with_suffix(suffix) for suffix in COMPANIONS.get(request.format, ())]
