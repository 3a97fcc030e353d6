"""Reading what was written, and comparing it with what was to be written."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lucidbox.core.errors import DataError
from lucidbox.datasets.reading import scan
from lucidbox.formats.dataset import DataSet

# Pixels: boxes are written with six decimals of a pixel or more.
_TOLERANCE = 1e-5


def image_keys(part: DataSet) -> list[Hashable]:
    """What tells the images of a split apart: their files, by absolute paths that keep links."""
    root = "" if part.root is None else os.path.abspath(part.root)  # noqa: PTH100
    return [os.path.normpath(os.path.join(root, name)) for name in part.file_names]  # noqa: PTH118


def compare_with_written(
    file: Path,
    parts: Sequence[DataSet],
    keys: Mapping[str, Sequence[Hashable]],
    keys_of: Callable[[DataSet], Sequence[Hashable]] = image_keys,
) -> None:
    """Read a written data set and compare images, classes and boxes with those of these splits.

    Args:
        file: of the data set.
        parts: what it should hold.
        keys: of the images of each split, by its name, in the split's order.
        keys_of: gives the keys of a split that was read.

    Raises:
        DataError: it holds something else; nothing is to be kept of it.
    """
    reading = scan(file)
    read = {part.name: part for part in reading.parts}
    lost = [problem for problem in reading.problems if problem.left_out]
    for part in parts:
        found = read.get(part.name)
        difference = "is missing" if found is None else _difference(part, found, keys[part.name], keys_of(found))
        if difference:
            cause = f"; the first problem in reading it: {lost[0]}" if lost else ""
            raise DataError(
                f"{part.source}: {part.name}: what was written is not what is read back: {difference}{cause}; "
                "nothing is kept. Please report this with the names and boxes of the pictures"
            )


def _difference(part: DataSet, read: DataSet, wanted: Sequence[Hashable], found: Sequence[Hashable]) -> str:
    """How a split differs from what was read back; empty if it does not."""
    if (len(part), len(part.classes)) != (len(read), len(read.classes)):
        return f"{len(read)} pictures of {len(part)}, {len(read.classes)} objects of {len(part.classes)}"
    if Counter(wanted) != Counter(found):
        return f"{next(iter(Counter(found) - Counter(wanted)))} is not one of the pictures"
    # The images of one key, which are one file, are told apart by their order.
    ranks: defaultdict[Hashable, list[int]] = defaultdict(list)
    for rank, key in reversed(list(enumerate(wanted))):
        ranks[key].append(rank)
    order = [ranks[key].pop() for key in found]
    places = np.empty(len(part), np.int64)
    places[order] = np.arange(len(part))
    rows = np.argsort(places[part.pictures], kind="stable")
    if (read.pictures != places[part.pictures[rows]]).any() or (read.classes != part.classes[rows]).any():
        return "objects are of other pictures or classes"
    distances = np.abs(read.boxes_xywh - part.boxes_xywh[rows])
    return f"a box is {distances.max():g} pixels off" if distances.max(initial=0) > _TOLERANCE else ""
