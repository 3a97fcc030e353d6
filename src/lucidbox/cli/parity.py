"""``lucidbox parity``: do two files of one network find the same?"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import Failures, progress, say, say_passed_over, tell, write_json
from lucidbox.cli.options import add_flag, add_option, add_options, add_verb
from lucidbox.cli.tables import Column, table
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    import numpy as np

    from lucidbox.core.errors import LucidboxError
    from lucidbox.detector import Detector
    from lucidbox.validate.first_difference import Difference
    from lucidbox.validate.parity import Parity, Tolerances

DESCRIPTION = """\
Run two files over the same pictures and compare what they find: any of .pt, .safetensors, .onnx with or
without suppression, OpenVINO .xml, .torchscript, by lucidbox or by other tools; classes are matched by name.
Weights are run in torch, as the network itself; both compute in fp32 unless --precision says otherwise. With
annotations the average precision of both is shown, at the letterbox of predict. --why names the first stage of the
path at which they part. Exit code 3: they disagree."""

EXAMPLES = """\
examples:
  lucidbox parity yolo11n.pt yolo11n-fp16.onnx --images photos/
  lucidbox parity yolo11n.onnx yolo11n-suppressed.onnx --images val/ --annotations instances.json
  lucidbox parity yolo11n.onnx yolo11n.onnx --engine-b onnxruntime --images photos/ --json
  lucidbox parity yolo11n.pt theirs.onnx --images photos/ --why
"""

DISAGREE = 3

EXAMINED = 8
"""Pictures over which --why walks the stages."""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "parity", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("first", metavar="A", type=Path, help="weights, or a file that lucidbox exported")
    parser.add_argument("second", metavar="B", type=Path, help="another")
    add_option(parser, "--images", required=True, help="pictures: a folder, file or pattern")
    add_option(parser, "--annotations", help="of these pictures; shows AP side by side")
    add_option(parser, "--size", metavar="N")
    add_option(parser, "--conf", help="least score of the boxes compared (0.25)")
    parser.add_argument("--engine-a", default="auto", metavar="E", help="for A: openvino, onnxruntime or torch")
    parser.add_argument("--engine-b", default="auto", metavar="E", help="for B, likewise")
    add_option(
        parser, "--precision", default="fp32", metavar="P", help="of both: fp32 (default), auto, bf16, fp16, int8"
    )
    add_options(parser, "--threads", "--json")
    add_flag(
        parser, "--why", "name the first stage at which they part: placement, pixels, scores, boxes, suppression"
    )
    group = parser.add_argument_group("when they disagree")
    group.add_argument("--box-tolerance", type=float, default=1.0, metavar="PX", help="a side moved by more (1.0)")
    group.add_argument("--score-tolerance", type=float, default=0.01, metavar="S", help="a score by more (0.01)")
    group.add_argument("--unmatched", type=int, default=0, metavar="N", help="more boxes found by one only (0)")
    group.add_argument("--ap-tolerance", type=float, default=0.005, metavar="D", help="AP differs by more (0.005)")


def run(arguments: argparse.Namespace) -> int:
    """0 if they agree, 1 if they do but pictures could not be read, 3 if they disagree."""
    from lucidbox.cli.annotations import read_annotations
    from lucidbox.evaluate import CocoEvaluator
    from lucidbox.validate.inference import files_of
    from lucidbox.validate.pairs import load_pair
    from lucidbox.validate.parity import Tolerances, compare_detectors

    tolerances = Tolerances(
        arguments.box_tolerance, arguments.score_tolerance, arguments.unmatched, arguments.ap_tolerance
    )
    for name, value in asdict(tolerances).items():
        if not value >= 0:
            raise OptionError(f"tolerance {value} for {name} is less than 0")
    truth = read_annotations(arguments.annotations)[0] if arguments.annotations else None
    # Missing pictures are reported before the models are loaded, which takes seconds.
    files = files_of(truth, Path(arguments.images)) if truth else None
    pair = load_pair(
        (arguments.first, arguments.second),
        engines=(arguments.engine_a, arguments.engine_b),
        precision=arguments.precision,
        size=arguments.size,
        conf=arguments.conf,
        threads=arguments.threads,
        say=say,
    )
    failures = Failures()
    evaluators = (CocoEvaluator(truth), CocoEvaluator(truth)) if truth else None
    result = compare_detectors(pair, _pictures(arguments.images, files, failures), tolerances.scores, evaluators)
    reasons = result.disagreements(tolerances)
    why = _why(arguments, pair, files) if arguments.why else None
    if arguments.json:
        document = _document(arguments, pair, result, tolerances, reasons)
        write_json(document | ({"why": asdict(why)} if why else {}))
    else:
        tell(_table(arguments, pair, result, tolerances, reasons))
        if why:
            same = f"the same: {', '.join(why.checked)}; " if why.checked else ""
            tell(f"why  {same}{why.stage}: {why.words}" if why.stage != "none" else f"why  {why.words}")
    return DISAGREE if reasons else int(bool(failures.count))


def _why(
    arguments: argparse.Namespace, pair: "tuple[Detector, Detector]", files: dict[int, Path] | None
) -> "Difference":
    """The first stage at which they part, over a few of the pictures."""
    from itertools import islice

    from lucidbox.validate.first_difference import first_difference
    from lucidbox.validate.pairs import again_with, shared_limits

    pictures = _pictures(arguments.images, files, lambda error: None)
    images = [image for _, image in islice(pictures, EXAMINED)]
    limits = shared_limits(pair, pair[0].limits)
    return first_difference(pair, images, limits, again_with(pair[1], arguments.second))


def _pictures(
    images: str, files: dict[int, Path] | None, failures: "Callable[[LucidboxError], None]"
) -> "Iterator[tuple[int, np.ndarray]]":
    """Numbers and pixels; a picture that cannot be read is reported, and left out for both."""
    from lucidbox.sources import Failure, open_sources
    from lucidbox.validate.inference import read_files

    if files is not None:
        for group in progress()(read_files(files, 1, failures), len(files)):
            yield from group
        return
    sources, read = open_sources(images), 0
    say_passed_over(sources)
    for item in progress()(sources, sources.count):
        if isinstance(item, Failure):
            failures(item.error)
            continue
        read += 1
        yield read, item.pixels
    if not read:
        raise DataError(f"{images}: no picture could be read, so nothing is compared")


def _document(
    arguments: argparse.Namespace,
    pair: "tuple[Detector, Detector]",
    result: "Parity",
    tolerances: "Tolerances",
    reasons: list[str],
) -> dict[str, Any]:
    return {
        "a": _side(arguments.first, pair[0]),
        "b": _side(arguments.second, pair[1]),
        **asdict(result),
        "conf": pair[0].limits.conf,
        "tolerances": asdict(tolerances),
        "agree": not reasons,
        "reasons": reasons,
    }


def _side(path: Path, detector: "Detector") -> dict[str, str]:
    return {"file": str(path), "engine": detector.engine.name, "precision": detector.engine.precision}


def _table(
    arguments: argparse.Namespace,
    pair: "tuple[Detector, Detector]",
    result: "Parity",
    tolerances: "Tolerances",
    reasons: list[str],
) -> str:
    paths = (arguments.first, arguments.second)
    lines = [
        f"{name}  {printable(str(path))}: {detector.engine.name} {detector.engine.precision}, {count} boxes"
        for name, path, detector, count in zip("AB", paths, pair, result.detections, strict=True)
    ]
    lines.append(f"{result.pictures} pictures, {result.matched} boxes above {pair[0].limits.conf:g} found by both")
    titles = ("median", "99 %", "max", "tolerance")
    columns = [Column(width=15, align="<"), *(Column(title, 10, "{:.3g}") for title in titles)]
    moved = ("box moved, px", *asdict(result.boxes).values(), tolerances.boxes)
    lines.append(table(columns, [moved, ("score moved", *asdict(result.scores).values(), tolerances.scores)]))
    lines.append(
        f"found by one only: {result.unmatched[0]} by A, {result.unmatched[1]} by B; {result.marginal} more,"
        f" within {tolerances.scores:g} of the score they needed, are not counted"
    )
    if result.ap:
        lines.append(f"AP {result.ap[0]:.4f} and {result.ap[1]:.4f}: {result.ap[1] - result.ap[0]:+.4f}")
    lines.append(f"they disagree: {'; '.join(reasons)}" if reasons else "they agree")
    return "\n".join(lines)
