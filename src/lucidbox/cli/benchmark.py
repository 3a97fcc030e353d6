"""``lucidbox benchmark``: how fast, in which part, and how sure."""

import argparse
import sys
import tempfile
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say, say_passed_over, tell, write_json
from lucidbox.cli.options import add_number, add_option, add_options, add_verb, comma_separated, load_detector
from lucidbox.cli.tables import Column, table
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.benchmark import Duel, ImageSample, Machine, Measurement, Setting, Spread
    from lucidbox.detector import Detector

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
    parser = add_verb(verbs, "benchmark", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="pictures, folders, patterns, video files")
    add_options(parser, "--weights", "--layout", "--names", "--size")
    add_option(parser, "--engine", metavar="A,B", help="engines side by side (default: auto)")
    add_option(parser, "--precision", metavar="A,B", help="auto (default), fp32, bf16, fp16, int8")
    several = {"type": None, "metavar": "M,N"}
    add_option(parser, "--batch", **several, default="1", help="pictures of one inference (default: 1)")
    add_option(parser, "--threads", **several, help="processor threads (default: the engine's own choice)")
    add_number(parser, "--rounds", "how often all is measured (default: 3)", 3)
    add_number(parser, "--pictures", "most pictures of it (default: 150)", 150)
    add_number(parser, "--cold", "cold runs of `lucidbox predict` (default: 3; 0 for none)", 3)
    parser.add_argument("--against", metavar="COMMAND", help="a line for the shell, over the same pictures")
    add_options(parser, "--json")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it (.png, .svg, .pdf; extra: plots)")


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
    if arguments.plot:
        from lucidbox.benchmark.plot import check_plot

        check_plot(arguments.plot)
    sources = open_sources(arguments.sources)
    say_passed_over(sources)
    taken = sample(sources, arguments.pictures)
    for failure in taken.failures:
        say(f"left out: {failure}")
    detectors = _load(arguments, settings)
    noise = [fixed_work() for _ in range(5)]
    measured, between = measure(detectors, taken, arguments.rounds, _operations(arguments, detectors, taken), say)
    machine = examine_machine(noise + between, [one.setting.precision for one in measured])
    cold = None
    still = next((shot.path for shot in taken.shots if shot.path), None)
    if arguments.cold and still is not None:
        with tempfile.TemporaryDirectory() as folder:
            command = _predict(arguments, settings[0], [str(still)], folder)
            cold = Spread.of([seconds(command) for _ in range(arguments.cold + 1)][1:])
    if arguments.json:
        write_json(_document(machine, measured, cold, taken))
    else:
        tell(_table(machine, measured, cold, taken))
    if arguments.plot:
        from lucidbox.benchmark.plot import plot

        plot(measured, [_label(one.setting) for one in measured], arguments.plot)
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
        result = duel(command, arguments.against, arguments.rounds, say)
    if arguments.json:
        write_json({"commands": [" ".join(command), arguments.against], **asdict(result)})
    else:
        tell(_duel_table(result))
    return SLOWER if result.ratio < 1 else 0


def _predict(arguments: argparse.Namespace, setting: "Setting", sources: list[str], folder: str) -> list[str]:
    """The ``lucidbox predict`` command for these sources, with the defaults of predict for everything else."""
    command = [sys.executable, "-m", "lucidbox", "predict", *sources, "--save", str(Path(folder) / "out")]
    rest = setting.precision.rpartition("+")[2]  # an int8 file computes its convolutions in int8 by itself
    command += ["--engine", setting.engine, "--precision", rest, "--batch", str(setting.batch)]
    for name in ("weights", "layout", "names", "size"):
        value = getattr(arguments, name)
        command += [f"--{name}", str(value)] if value else []
    return command


def _settings(arguments: argparse.Namespace) -> "list[Setting]":
    """Every combination of the values that were given."""
    from lucidbox.benchmark import Setting

    engines, precisions = arguments.engine.split(","), arguments.precision.split(",")
    batches = [count or 1 for count in comma_separated("--batch", arguments.batch, int)]
    threads = (None,) if arguments.threads is None else comma_separated("--threads", arguments.threads, int)
    return [Setting(*values) for values in product(engines, precisions, batches, threads)]


def _load(arguments: argparse.Namespace, settings: "list[Setting]") -> "dict[Setting, Detector]":
    """A detector for each setting, by the setting with the engine and precision that it really has."""
    detectors: dict[Setting, Detector] = {}
    for setting in settings:
        detector = load_detector(arguments, **asdict(setting))
        chosen = replace(setting, engine=detector.engine.name, precision=detector.engine.precision)
        if chosen in detectors:
            say(f"{_label(setting)} is {_label(chosen)} here, which is measured already")
        detectors.setdefault(chosen, detector)
    return detectors


def _operations(
    arguments: argparse.Namespace, detectors: "dict[Setting, Detector]", taken: "ImageSample"
) -> "dict[tuple[int, int], float] | None":
    """Billions of operations by input shape; None for graphs that are fixed, other tools' and TorchScript."""
    from lucidbox.benchmark.machine import operations_of
    from lucidbox.detector.loading import graph_of
    from lucidbox.model_files import look_at

    first = next(iter(detectors.values()))
    assert first.weights is not None
    if first.info and (first.info.shape or first.info.suppression or first.info.layout):
        return None
    graph = graph_of(look_at(first.weights), say)
    if graph.format == "torchscript":
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
    peaks = ", ".join(f"{precision} {value:.0f}" for precision, value in machine.peaks.items())
    of_peak = f"; peak of a matrix product, GFLOP/s: {peaks}" if peaks else ""  # of int8 none is measured
    sections = [
        f"{len(taken.shots)} pictures; {machine.cores} cores{of_peak}\n"
        f"noise: fixed work takes {machine.noise.p50:.2f} ms, p10 to p90 are {machine.noise.width:.0%} apart",
        _speed_table(machine, measured),
        _stage_table(measured),
    ]
    if cold is not None:
        spread = f"{cold.p50:.3f} s (p10 {cold.p10:.3f}, p90 {cold.p90:.3f})"
        sections.append(f"cold: lucidbox predict of one picture {spread}")
    return "\n\n".join(sections)


def _speed_table(machine: "Machine", measured: "list[Measurement]") -> str:
    """Time of one picture and rates of many, a line for each setting."""
    columns = [
        Column(width=max(len(_label(one.setting)) for one in measured), align="<"),
        Column("one picture, ms: p50", 22, "{:.1f}"),
        Column("p90", 5, "{:.1f}"),
        Column("p99", 5, "{:.1f}"),
        Column("overhead", 9, "{:.2f}"),
        Column("engine/s", 9, "{:.1f}"),
        Column("stream/s", 9, "{:.1f}"),
        Column("of bound", 9, "{:.2f}"),
        Column("of peak", 8, "{:.0%}"),
    ]
    rows = [
        (
            _label(one.setting),
            *(one.one_picture.p50, one.one_picture.p90, one.one_picture.p99),
            *(one.overhead.p50, one.engine_rate.p50, one.stream_rate.p50, one.bound_share.p50),
            _share(machine, one),
        )
        for one in measured
    ]
    return table(columns, rows)


def _stage_table(measured: "list[Measurement]") -> str:
    """Time of each stage, a line for each setting."""
    title, stages = "stages, ms: p50 / p90", list(measured[0].stages)
    width = max(len(title), *(len(_label(one.setting)) for one in measured))
    columns = [Column(title, width + 1, align="<"), *(Column(stage, 15, gap=0) for stage in stages)]
    rows = []
    for one in measured:
        spreads = [one.stages[stage] for stage in stages]
        rows.append((_label(one.setting), *(f"{spread.p50:.2f} / {spread.p90:.2f}" for spread in spreads)))
    return table(columns, rows)


def _duel_table(result: "Duel") -> str:
    columns = [
        Column(width=10, align="<"),
        *(Column(title, 8, "{:.3f}") for title in ("p10", "median", "p90")),
        Column(f"seconds, {result.ours.count} turns", gap=3),
    ]
    named = (("lucidbox", result.ours), ("the other", result.rival))
    times = table(columns, [(name, spread.p10, spread.p50, spread.p90) for name, spread in named])
    ratios = result.ratios
    return (
        f"{times}\nthe other takes {result.ratio:.2f} times as long (ratio of medians; turn by turn"
        f" {ratios.p10:.2f} to {ratios.p90:.2f})"
    )
