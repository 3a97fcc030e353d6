"""``lucidbox explain --measure``: a table of how far each method can be trusted on a data set."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from lucidbox.cli.explain_report import masking_of
from lucidbox.cli.progress import bar, tell
from lucidbox.core.errors import ImageError, OptionError
from lucidbox.core.text import printable
from lucidbox.detector.detector import Detector
from lucidbox.evaluate import load_truth
from lucidbox.explain.measuring import CONFIDENCE, MeasuredMethods, measure_methods, right_detections, sampled
from lucidbox.explain.methods import METHODS, checked_method, network_of
from lucidbox.validate.inference import files_of

HEADER = "method         detections  inside  pointing  deletion  insertion  beats Gaussian  likeness  flagged"


def measure_command(arguments: argparse.Namespace, detector: Detector) -> int:
    """Print the table; 1 if pictures could not be read."""
    if arguments.sample is not None and arguments.sample < 1:
        raise OptionError(f"--sample {arguments.sample} is less than 1")
    masking = masking_of(arguments)
    methods = _methods(arguments)
    network = None if methods == ["drise"] else network_of(detector, methods[0])
    failures: list[ImageError] = []

    def failed(error: ImageError) -> None:
        failures.append(error)
        tell(printable(f"lucidbox: error: {error}"))

    truth = load_truth(arguments.annotations)
    files = files_of(truth, Path(arguments.measure))
    conf = CONFIDENCE if arguments.conf is None else arguments.conf
    groups = sampled(right_detections(detector, truth, files, failed, conf), arguments.sample, masking.seed)
    measured = measure_methods(
        detector, network, groups, methods, layer=arguments.layer, masking=masking, progress=bar()
    )
    print(json.dumps([one.to_dict() for one in measured], indent=1) if arguments.json else table(measured))
    return 1 if failures else 0


def _methods(arguments: argparse.Namespace) -> list[str]:
    """The method that was asked for, or all of them; with --layer those that look at layers."""
    if arguments.method:
        checked_method(arguments.method, arguments.layer, None)
        return [arguments.method]
    return [name for name, method in METHODS.items() if method.heat or not arguments.layer]


def table(measured: Sequence[MeasuredMethods]) -> str:
    """A line a method; a dash where a figure cannot be had."""
    lines = [HEADER]
    for one in measured:
        shares = f"{one.inside:>6.3f}  {one.pointing:>8.3f}  {one.deletion:>8.4f}  {one.insertion:>9.4f}"
        likeness = "-" if one.randomised is None else f"{one.randomised:.2f}"
        flagged = "-" if one.flagged is None else f"{one.flagged:.2f}"
        beats = "-" if one.beats_gaussian is None else f"{one.beats_gaussian:.2f}"
        trusted = f"{beats:>14}  {likeness:>8}  {flagged:>7}"
        lines.append(f"{one.method:<13}  {one.detections:>10}  {shares}  {trusted}")
    return "\n".join(lines)
