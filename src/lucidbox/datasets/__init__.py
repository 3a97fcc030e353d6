"""Data sets on disk: reading, checking, counting, splitting and converting COCO JSON and YOLO text.

>>> from lucidbox.datasets import check, read_dataset
>>> train = read_dataset("data.yaml").part("train")
>>> for problem in check("instances.json", images="photos").problems:
...     print(problem)

Running wing: no torch. Pixels are decoded by :func:`check` alone.
"""

from lucidbox.datasets.check import CheckReport, check
from lucidbox.datasets.convert import Conversion, convert
from lucidbox.datasets.count import Statistics, statistics
from lucidbox.datasets.reading import read_dataset, scan
from lucidbox.datasets.split import Split, parse_shares, split
from lucidbox.datasets.truth import SplitTruth, read_truth, to_truth
from lucidbox.formats.dataset import DataSet, Reading
from lucidbox.formats.problems import MISSING, Problem, ProblemKind, count_by_kind, shown

__all__ = [
    "CheckReport", "Conversion", "DataSet", "MISSING", "Problem", "ProblemKind", "Reading", "Split",
    "SplitTruth", "Statistics", "augment", "check", "convert", "count_by_kind", "locate", "parse_shares",
    "read_dataset", "read_truth", "scan", "shown", "split", "statistics", "to_truth", "training", "truth",
]  # fmt: skip
