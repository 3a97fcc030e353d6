"""``lucidbox benchmark``: how fast, in which part, and how sure."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.benchmark import Duel, ImageSample, Machine, Measurement, Setting, Spread
    from lucidbox.detector.detector import Detector

DESCRIPTION = """\
Measure the whole way from file to boxes: each stage, one picture after the other; the engine alone; and streams,
where stages overlap, beside the bound that perfect overlapping would give. Rounds of all settings alternate, after
one that does not count. With --against, measure `lucidbox predict` as a command beside another command instead."""

EXAMPLES = """\
examples:
  lucidbox benchmark photos/ --weights yolo11n.pt
  lucidbox benchmark photos/ --engine openvino,onnxruntime --threads 1,2 --batch 1,4
  lucidbox benchmark road.mp4 --json > speed.json
  lucidbox benchmark photos/ --plot speed.png
  lucidbox benchmark photos/ --against "yolo predict model=yolo11n.pt source=photos/"

reading the table:
  one picture   milliseconds from file to boxes, p50 p90 p99; nothing overlaps
  overhead      of these, what is neither reading, decoding nor inference
  engine        pictures a second of the engine alone, as streams use it
  stream        pictures a second from files to boxes
  of bound      stream over 1 / (engine seconds + core-seconds of all else / cores), round by round
  of peak       the engine's operations a second over those of a large matrix product in the same precision
  Differences smaller than the noise mean nothing.

exit codes:
  0 done; 2 wrong usage or bad input; 3 --against: the other command was faster; 130 stopped by Ctrl-C
"""

SLOWER = 3


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "benchmark",
        help="how fast, in which part, and how sure",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="pictures, folders, patterns, video files")
    parser.add_argument("--weights", metavar="FILE", help="weights or an artefact (default: the bundled model)")
    parser.add_argument("--engine", default="auto", metavar="A,B", help="engines side by side (default: auto)")
    parser.add_argument(
        "--precision", default="auto", metavar="A,B", help="auto (default), fp32, bf16, fp16, int8"
    )
    parser.add_argument("--batch", default="1", metavar="M,N", help="pictures of one inference (default: 1)")
    parser.add_argument("--threads", metavar="M,N", help="processor threads (default: the engine's own choice)")
    parser.add_argument(
        "--size", metavar="N|H,W", help="longer side of the network's input (default: the model's)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="how often all is measured (default: 3)"
    )
    parser.add_argument(
        "--pictures", type=int, default=150, metavar="N", help="most pictures of it (default: 150)"
    )
    parser.add_argument(
        "--cold", type=int, default=3, metavar="N", help="cold runs of `lucidbox predict` (default: 3; 0 for none)"
    )
    parser.add_argument("--against", metavar="COMMAND", help="a line for the shell, over the same pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it (.png, .svg, .pdf; extra: plots)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and show; 0, or 3 if ``--against`` was faster."""
    for name, least in (("rounds", 1), ("pictures", 1), ("cold", 0)):
        if getattr(arguments, name) < least:
            raise OptionError(f"--{name} {getattr(arguments, name)} is less than {least}")
    return _against(arguments) if arguments.against else _alone(arguments)


def _alone(arguments: argparse.Namespace) -> int:
    from lucidbox.benchmark import Spread, examine_machine, measure, sample
    from lucidbox.benchmark.against import seconds
    from lucidbox.benchmark.machine import fixed_work
    from lucidbox.sources import open_sources

    settings = _settings(arguments)
    taken = sample(open_sources(arguments.sources), arguments.pictures)
    for failure in taken.failures:
        _say(f"left out: {failure}")
    detectors = _load(arguments, settings)
    noise = [fixed_work() for _ in range(5)]
    measured, between = measure(detectors, taken, arguments.rounds, _operations(arguments, detectors, taken), _say)
    machine = examine_machine(noise + between, [one.setting.precision for one in measured])
    cold = None
    still = next((shot.path for shot in taken.shots if shot.path), None)
    if arguments.cold and still is not None:
        with tempfile.TemporaryDirectory() as folder:
            command = _predict(arguments, settings[0], [str(still)], folder)
            cold = Spread.of([seconds(command) for _ in range(arguments.cold + 1)][1:])
    if arguments.plot:
        from lucidbox.benchmark.plot import plot

        plot(measured, [_label(one.setting) for one in measured], arguments.plot)
    if arguments.json:
        print(json.dumps(_document(machine, measured, cold, taken)))
    else:
        print(_table(machine, measured, cold, taken))
    return 0


def _against(arguments: argparse.Namespace) -> int:
    from lucidbox.benchmark import duel

    settings = _settings(arguments)
    if len(settings) > 1:
        raise OptionError("--against takes one engine, precision and batch")
    if arguments.threads is not None:
        raise OptionError("--threads is not for --against: `lucidbox predict` takes the engine's own choice")
    with tempfile.TemporaryDirectory() as folder:
        command = _predict(arguments, settings[0], arguments.sources, folder)
        result = duel(command, arguments.against, arguments.rounds, _say)
    if arguments.json:
        print(json.dumps({"commands": [" ".join(command), arguments.against], **asdict(result)}))
    else:
        print(_duel_table(result))
    return SLOWER if result.ratio < 1 else 0


def _predict(arguments: argparse.Namespace, setting: "Setting", sources: list[str], folder: str) -> list[str]:
    """Our own command line for these sources, with everything that ``predict`` does unless told otherwise."""
    command = [sys.executable, "-m", "lucidbox", "predict", *sources, "--save", str(Path(folder) / "out")]
    rest = setting.precision.rpartition("+")[2]  # an int8 file's convolutions need no asking
    command += ["--engine", setting.engine, "--precision", rest, "--batch", str(setting.batch)]
    for option, value in (("--weights", arguments.weights), ("--size", arguments.size)):
        command += [option, str(value)] if value else []
    return command


def _settings(arguments: argparse.Namespace) -> "list[Setting]":
    """Every combination of what was asked for."""
    from lucidbox.benchmark import Setting

    engines, precisions = arguments.engine.split(","), arguments.precision.split(",")
    batches, threads = _numbers("--batch", arguments.batch), _numbers("--threads", arguments.threads)
    return [Setting(*one) for one in product(engines, precisions, [one or 1 for one in batches], threads)]


def _numbers(option: str, text: str | None) -> list[int | None]:
    try:
        return [None] if text is None else [int(part) for part in text.split(",")]
    except ValueError as error:
        raise OptionError(f"{option} {text}: give a number, or several with commas between") from error


def _load(arguments: argparse.Namespace, settings: "list[Setting]") -> "dict[Setting, Detector]":
    """A detector for each setting, by the setting with the engine and precision that it really has."""
    from lucidbox.detector.detector import Detector

    detectors: dict[Setting, Detector] = {}
    for setting in settings:
        detector = Detector.load(
            arguments.weights,
            engine=setting.engine,
            precision=setting.precision,
            batch=setting.batch,
            threads=setting.threads,
            size=arguments.size,
            say=_say,
        )
        chosen = replace(setting, engine=detector.engine.name, precision=detector.engine.precision)
        if chosen in detectors:
            _say(f"{_label(setting)} is {_label(chosen)} here, which is measured already")
        detectors.setdefault(chosen, detector)
    return detectors


def _operations(
    arguments: argparse.Namespace, detectors: "dict[Setting, Detector]", taken: "ImageSample"
) -> "dict[tuple[int, int], float] | None":
    """Billions of operations by input shape; None for graphs that are fixed to something, and for TorchScript."""
    from lucidbox.benchmark.machine import operations_of
    from lucidbox.detector.loading import graph_of
    from lucidbox.model_files import look_at

    first = next(iter(detectors.values()))
    assert first.weights is not None
    graph = graph_of(look_at(first.weights), _say)
    if graph.format == "torchscript" or (first.info and (first.info.shape or first.info.suppression)):
        return None
    sizes = [shot.pixels.shape[:2] for shot in taken.shots]
    shapes = [one.predictor.letterbox_for(size).shape for one in detectors.values() for size in sizes]
    return operations_of(graph.path, shapes)


def _document(
    machine: "Machine", measured: "list[Measurement]", cold: "Spread | None", taken: "ImageSample"
) -> dict[str, Any]:
    return {
        "pictures": len(taken.shots),
        "machine": asdict(machine) | {"noise_width": machine.noise.width},
        "settings": [asdict(one) | {"peak_share": _share(machine, one)} for one in measured],
        "cold_seconds": None if cold is None else asdict(cold),
    }


def _share(machine: "Machine", one: "Measurement") -> float | None:
    """The engine's operations a second, as a share of the machine's peak in its precision."""
    peak = machine.peaks.get(one.setting.precision)
    return one.gigaflops / peak if one.gigaflops and peak else None


def _label(setting: "Setting") -> str:
    threads = "" if setting.threads is None else f" t{setting.threads}"
    return f"{setting.engine} {setting.precision} b{setting.batch}{threads}"


def _table(machine: "Machine", measured: "list[Measurement]", cold: "Spread | None", taken: "ImageSample") -> str:
    width = max(len(_label(one.setting)) for one in measured)
    peaks = ", ".join(f"{precision} {value:.0f}" for precision, value in machine.peaks.items())
    of_peak = f"; peak of a matrix product, GFLOP/s: {peaks}" if peaks else ""  # of int8 none is measured
    lines = [
        f"{len(taken.shots)} pictures; {machine.cores} cores{of_peak}",
        f"noise: fixed work takes {machine.noise.p50:.2f} ms, p10 to p90 are {machine.noise.width:.0%} apart",
        "",
        f"{'':{width}}   one picture, ms: p50   p90   p99  overhead  engine/s  stream/s  of bound  of peak",
    ]
    for one in measured:
        took, share = one.one_picture, _share(machine, one)
        lines.append(
            f"{_label(one.setting):{width}} {took.p50:22.1f} {took.p90:5.1f} {took.p99:5.1f}"
            f" {one.overhead.p50:9.2f}"
            f" {one.engine_rate.p50:9.1f} {one.stream_rate.p50:9.1f} {one.bound_share.p50:9.2f}"
            f" {'–' if share is None else f'{share:.0%}':>8}"
        )
    stages = list(measured[0].stages)
    lines += ["", f"{'stages, ms: p50 / p90':{width}} " + "".join(f"{stage:>15}" for stage in stages)]
    for one in measured:
        cells = "".join(f"{f'{one.stages[s].p50:.2f} / {one.stages[s].p90:.2f}':>15}" for s in stages)
        lines.append(f"{_label(one.setting):{max(width, 21)}} {cells}")
    if cold is not None:
        lines += [
            "",
            f"cold: lucidbox predict of one picture {cold.p50:.3f} s (p10 {cold.p10:.3f}, p90 {cold.p90:.3f})",
        ]
    return "\n".join(lines)


def _duel_table(result: "Duel") -> str:
    lines = [f"{'':10} {'p10':>8} {'median':>8} {'p90':>8}   seconds, {result.ours.count} turns"]
    for name, spread in (("lucidbox", result.ours), ("the other", result.rival)):
        lines.append(f"{name:10} {spread.p10:8.3f} {spread.p50:8.3f} {spread.p90:8.3f}")
    ratios = result.ratios
    lines.append(
        f"the other takes {result.ratio:.2f} times as long (ratio of medians; turn by turn {ratios.p10:.2f} to"
        f" {ratios.p90:.2f})"
    )
    return "\n".join(lines)


def _say(words: str) -> None:
    from lucidbox.core.text import printable

    print(printable(f"lucidbox: {words}"), file=sys.stderr)
