"""Data sets on disk: reading, checking, counting, splitting and converting COCO JSON and YOLO text.

>>> from lucidbox.data import check, read
>>> train = read("data.yaml").part("train")
>>> for problem in check("instances.json", images="photos").problems:
...     print(problem)

Running wing: no torch. Pixels are decoded by :func:`check` alone.
"""

from lucidbox.data.checking import Report, check
from lucidbox.data.converting import Conversion, convert
from lucidbox.data.counting import Statistics, statistics
from lucidbox.data.dataset import DataSet, Reading
from lucidbox.data.problems import Kind, Problem, count_by_kind
from lucidbox.data.reading import read, scan
from lucidbox.data.splitting import Split, parse_shares, split
from lucidbox.data.truth import to_truth

__all__ = [
    "Conversion", "DataSet", "Kind", "Problem", "Reading", "Report", "Split", "Statistics",
    "check", "convert", "count_by_kind", "parse_shares", "read", "scan", "split", "statistics", "to_truth",
]  # fmt: skip
