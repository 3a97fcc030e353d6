"""``lucidbox explain --measure``: a table of how far each method can be trusted on a data set."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lucidbox.detector import Detector
from lucidbox.errors import ImageError, OptionError
from lucidbox.evaluate import load_truth
from lucidbox.explain.drise import Masking
from lucidbox.explain.measuring import Measured, measure, right_detections, sampled
from lucidbox.explain.methods import METHODS
from lucidbox.validation import files_of

HEADER = "method         detections  inside  pointing  deletion  insertion  beats Gaussian  likeness  flagged"


def measure_command(arguments: argparse.Namespace, detector: Detector, network: Any) -> int:
    """Print the table; 1 if pictures could not be read."""
    if arguments.sample is not None and arguments.sample < 1:
        raise OptionError(f"--sample {arguments.sample} is less than 1")
    if arguments.method and arguments.method not in METHODS:
        raise OptionError(f"method {arguments.method!r} is unknown; choose one of {', '.join(METHODS)}")
    failures: list[ImageError] = []

    def failed(error: ImageError) -> None:
        failures.append(error)
        print(f"lucidbox: error: {error}", file=sys.stderr)

    truth = load_truth(arguments.annotations)
    files = files_of(truth, Path(arguments.measure))
    groups = sampled(right_detections(detector, truth, files, failed), arguments.sample, arguments.seed)
    methods = [arguments.method] if arguments.method else list(METHODS)
    masking = Masking(masks=arguments.masks, seed=arguments.seed)
    measured = measure(detector, network, groups, methods, masking)
    if arguments.json:
        print(json.dumps([one.to_dict() for one in measured], indent=1))
    else:
        print(table(measured))
    return 1 if failures else 0


def table(measured: Sequence[Measured]) -> str:
    """A line a method; a dash where a figure cannot be had."""
    lines = [HEADER]
    for one in measured:
        shares = f"{one.inside:>6.3f}  {one.pointing:>8.3f}  {one.deletion:>8.4f}  {one.insertion:>9.4f}"
        likeness = "-" if one.randomised is None else f"{one.randomised:.2f}"
        flagged = "-" if one.flagged is None else f"{one.flagged:.2f}"
        trusted = f"{one.beats_gaussian:>14.2f}  {likeness:>8}  {flagged:>7}"
        lines.append(f"{one.method:<13}  {one.detections:>10}  {shares}  {trusted}")
    return "\n".join(lines)
