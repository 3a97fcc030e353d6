"""``lucidbox explain --measure``: a table of how far each method can be trusted on a data set."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lucidbox.cli.console import Failures, progress, tell, write_json
from lucidbox.cli.explain.report import effort_of, masking_of
from lucidbox.cli.tables import Column, table
from lucidbox.core.errors import OptionError
from lucidbox.detector import Detector
from lucidbox.evaluate import load_truth
from lucidbox.explain.measuring import CONFIDENCE, MeasuredMethods, measure_methods, right_detections, sampled
from lucidbox.explain.methods import METHODS, QUICK_METHODS, checked_method, network_of
from lucidbox.validate.inference import files_of


def measure_command(arguments: argparse.Namespace, detector: Detector) -> int:
    """Print the table; 1 if pictures could not be read."""
    if arguments.sample is not None and arguments.sample < 1:
        raise OptionError(f"--sample {arguments.sample} is less than 1")
    masking = masking_of(arguments)
    methods = _methods(arguments)
    seeing = [name for name in methods if METHODS[name].network]
    network = network_of(detector, seeing[0]) if seeing else None
    failures = Failures()
    truth = load_truth(arguments.annotations)
    files = files_of(truth, Path(arguments.measure))
    conf = CONFIDENCE if arguments.conf is None else arguments.conf
    groups = sampled(right_detections(detector, truth, files, failures, conf), arguments.sample, masking.seed)
    measured = measure_methods(
        detector,
        network,
        groups,
        methods,
        layer=arguments.layer,
        masking=masking,
        effort=effort_of(arguments),
        progress=progress(),
    )
    document = [one.to_dict() for one in measured]
    if arguments.json:
        write_json(document, 1)
    else:
        tell(method_table(measured))
    return 1 if failures.count else 0


def _methods(arguments: argparse.Namespace) -> list[str]:
    """The method that was asked for, or all quick ones; with --layer those that look at a layer."""
    if arguments.method:
        checked_method(arguments.method, arguments.layer, None)
        return [arguments.method]
    return [name for name in QUICK_METHODS if METHODS[name].layer or not arguments.layer]


def method_table(measured: Sequence[MeasuredMethods]) -> str:
    """A line a method; a dash stands for a figure that cannot be had."""
    columns = [
        Column("method", 13, align="<"),
        Column("detections", 10, gap=2),
        Column("inside", 6, "{:.3f}", gap=2),
        Column("pointing", 8, "{:.3f}", gap=2),
        Column("deletion", 8, "{:.4f}", gap=2),
        Column("insertion", 9, "{:.4f}", gap=2),
        Column("beats Gaussian", 14, "{:.2f}", gap=2, missing="-"),
        Column("likeness", 8, "{:.2f}", gap=2, missing="-"),
        Column("flagged", 7, "{:.2f}", gap=2, missing="-"),
    ]
    rows = [
        (
            *(one.method, one.detections, one.inside, one.pointing, one.deletion, one.insertion),
            *(one.beats_gaussian, one.randomised, one.flagged),
        )
        for one in measured
    ]
    return table(columns, rows)
