"""``lucidbox parity``: do two artefacts of one network find the same?"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.progress import bar, tell
from lucidbox.core.errors import DataError, LucidboxError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from lucidbox.detector.detector import Detector
    from lucidbox.evaluate import Truth
    from lucidbox.validate.parity import Parity, Tolerances

DESCRIPTION = """\
Run two artefacts over the same pictures and compare what they find: any of .pt, .safetensors, .onnx with or
without suppression, OpenVINO .xml, .torchscript. Weights are run in torch, as the network itself; both compute in
fp32 unless --precision says otherwise. With annotations the average precision of both is shown, at the letterbox
of predict. Exit code 3: they disagree."""

EXAMPLES = """\
examples:
  lucidbox parity yolo11n.pt yolo11n-fp16.onnx --images photos/
  lucidbox parity yolo11n.onnx yolo11n-suppressed.onnx --images val/ --annotations instances.json
  lucidbox parity yolo11n.onnx yolo11n.onnx --engine-b onnxruntime --images photos/ --json
"""

DISAGREE = 3


def register(subparsers: Any) -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "parity",
        help="do two artefacts of one network find the same?",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="A", type=Path, help="weights or an artefact")
    parser.add_argument("second", metavar="B", type=Path, help="another")
    parser.add_argument("--images", required=True, metavar="DIR", help="pictures: a folder, file or pattern")
    parser.add_argument("--annotations", metavar="FILE|DIR", help="of these pictures; shows AP side by side")
    parser.add_argument("--size", metavar="N", help="longer side of the network's input (default: the model's)")
    parser.add_argument("--conf", type=float, metavar="C", help="least score of the boxes compared (0.25)")
    parser.add_argument("--engine-a", default="auto", metavar="E", help="for A: openvino, onnxruntime or torch")
    parser.add_argument("--engine-b", default="auto", metavar="E", help="for B, likewise")
    parser.add_argument(
        "--precision", default="fp32", metavar="P", help="of both: fp32 (default), auto, bf16, fp16, int8"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="most processor threads")
    _add_tolerances(parser.add_argument_group("when they disagree"))
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def _add_tolerances(group: Any) -> None:
    group.add_argument("--box-tolerance", type=float, default=1.0, metavar="PX", help="a side moved by more (1.0)")
    group.add_argument("--score-tolerance", type=float, default=0.01, metavar="S", help="a score by more (0.01)")
    group.add_argument("--unmatched", type=int, default=0, metavar="N", help="more boxes found by one only (0)")
    group.add_argument("--ap-tolerance", type=float, default=0.005, metavar="D", help="AP differs by more (0.005)")


def run(arguments: argparse.Namespace) -> int:
    """0 if they agree, 1 if they do but pictures could not be read, 3 if they disagree."""
    from lucidbox.evaluate import CocoEvaluator
    from lucidbox.validate.parity import Tolerances, compare_detectors, load_pair

    tolerances = Tolerances(
        arguments.box_tolerance, arguments.score_tolerance, arguments.unmatched, arguments.ap_tolerance
    )
    for name, value in asdict(tolerances).items():
        if not value >= 0:
            raise OptionError(f"tolerance {value} for {name} is less than 0")
    truth = _truth(arguments)
    # Missing pictures are told before the models, which take seconds to load.
    files = _files(truth, arguments) if truth else None
    pair = load_pair(
        (arguments.first, arguments.second),
        engines=(arguments.engine_a, arguments.engine_b),
        precision=arguments.precision,
        size=arguments.size,
        conf=arguments.conf,
        threads=arguments.threads,
        say=_say,
    )
    failures: list[LucidboxError] = []
    evaluators = (CocoEvaluator(truth), CocoEvaluator(truth)) if truth else None
    result = compare_detectors(pair, _pictures(arguments.images, files, failures), tolerances.scores, evaluators)
    reasons = result.disagreements(tolerances)
    if arguments.json:
        print(json.dumps(_document(arguments, pair, result, tolerances, reasons)))
    else:
        print(_table(arguments, pair, result, tolerances, reasons))
    return DISAGREE if reasons else int(bool(failures))


def _truth(arguments: argparse.Namespace) -> "Truth | None":
    from lucidbox.cli.rules import read_annotations

    return read_annotations(arguments.annotations, None, _say)[0] if arguments.annotations else None


def _files(truth: "Truth", arguments: argparse.Namespace) -> dict[int, Path]:
    from lucidbox.validate.inference import files_of

    return files_of(truth, Path(arguments.images))


def _pictures(
    images: str, files: dict[int, Path] | None, failures: list[LucidboxError]
) -> "Iterator[tuple[int, np.ndarray]]":
    """Numbers and pixels; what cannot be read is told and left out of both."""
    from lucidbox.core.text import printable
    from lucidbox.sources import Failure, open_sources
    from lucidbox.validate.inference import read_files

    def failed(error: LucidboxError) -> None:
        failures.append(error)
        tell(printable(f"lucidbox: error: {error}"))

    if files is not None:
        for group in bar()(read_files(files, 1, failed), len(files)):
            yield from group
        return
    sources, read = open_sources(images), 0
    for item in bar()(sources, sources.count):
        if isinstance(item, Failure):
            failed(item.error)
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
    from lucidbox.core.text import printable

    lines = [
        f"{name}  {printable(str(path))}: {detector.engine.name} {detector.engine.precision}, {count} boxes"
        for name, path, detector, count in zip(
            "AB", (arguments.first, arguments.second), pair, result.detections, strict=True
        )
    ]
    lines.append(f"{result.pictures} pictures, {result.matched} boxes above {pair[0].limits.conf:g} found by both")
    lines.append(f"{'':15} {'median':>10} {'99 %':>10} {'max':>10} {'tolerance':>10}")
    for name, spread, limit in (
        ("box moved, px", result.boxes, tolerances.boxes), ("score moved", result.scores, tolerances.scores),
    ):  # fmt: skip
        numbers = "".join(f" {value:10.3g}" for value in (*asdict(spread).values(), limit))
        lines.append(f"{name:15}{numbers}")
    lines.append(
        f"found by one only: {result.unmatched[0]} by A, {result.unmatched[1]} by B; {result.marginal} more,"
        f" within {tolerances.scores:g} of the score they needed, are not counted"
    )
    if result.ap:
        lines.append(f"AP {result.ap[0]:.4f} and {result.ap[1]:.4f}: {result.ap[1] - result.ap[0]:+.4f}")
    lines.append(f"they disagree: {'; '.join(reasons)}" if reasons else "they agree")
    return "\n".join(lines)


def _say(words: str) -> None:
    from lucidbox.core.text import printable

    print(printable(f"lucidbox: {words}"), file=sys.stderr)
