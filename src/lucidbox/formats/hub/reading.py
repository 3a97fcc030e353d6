"""Annotated images of a Hugging Face data set (extra ``hub``): ``hf:NAME[@REVISION][:CONFIG]``.

NAME is a data set of the hub, a local folder in a format that the ``datasets`` package reads, or one that its
``save_to_disk`` wrote. Rows have a column of images and ``objects`` with ``bbox`` and ``category``, as in
``detection-datasets/coco``, or other data sets' names for these. ``image_id``, ``width``, ``height``, ``bbox_id``,
``area`` and ``iscrowd`` are used if they exist.

The data set is opened map-style, not streamed: training reads images in another order every epoch. ``datasets``
downloads it once and keeps it as memory-mapped Arrow files in its own cache, which worker processes read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.class_names import coco_category_ids
from lucidbox.core.errors import DataError, LucidboxError, SourceError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.formats.coco.annotations import scan_annotations
from lucidbox.formats.dataset import DataSet, Scan
from lucidbox.formats.hub.box_forms import MEANINGS, BoxForm, choose_form, parse_form
from lucidbox.formats.hub.images import HubPictures, look_at_images
from lucidbox.formats.hub.rows import read_columns, read_objects
from lucidbox.formats.problems import Problem
from lucidbox.sources.hub import HubDataset, first_line, import_datasets, without_retry_notes, without_torch

_ROLES = {"train": ("train",), "val": ("validation", "val", "valid", "dev", "test")}
# Its data sets store corners, as far as is known; most others use COCO's own format.
_CORNERS_FAMILY = "detection-datasets/"
_BOXES_LOOKED_AT = 1000


@dataclass(frozen=True, eq=False)
class HubPart:
    """One split: its annotations, and its images in the same order."""

    dataset: DataSet
    pictures: HubPictures


@dataclass(frozen=True, eq=False)
class HubReading:
    """A data set's splits for training and validation, their problems, and what was decided in reading them."""

    train: HubPart
    val: HubPart
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def open_hub(argument: str, boxes: str = "auto", progress: Progress = no_progress) -> HubReading:
    """Open a data set for training.

    The split for validation is called validation, val, valid or dev; without one, test is taken, with a note. Of
    images only the first bytes are read; those that are not images, or not as large as stated, are left out.

    Data sets differ in what the four numbers of a box are, and do not state it. So the format is an option, and
    the first boxes are compared with their images, and with ``area`` if that is stated.

    Args:
        argument: ``hf:NAME[@REVISION][:CONFIG]``.
        boxes: format of the boxes. "auto" is the one of xyxy and xywh that they fit; if they fit both, xyxy for
            data sets of detection-datasets, else xywh.
        progress: shows the images.

    Raises:
        SourceError: it cannot be loaded, or ``datasets`` is not installed.
        DataError: it has no such splits or columns, or the boxes are not of that format; names those they fit.
        OptionError: ``boxes`` is not a format.
    """
    form = parse_form(boxes)
    splits, problems, notes = _load(argument), list[Problem](), list[str]()
    parts = {}
    for role in _ROLES:
        name = _choose_split(argument, splits, role, notes)
        # The boxes of both splits must have the format that was found in the first, larger one.
        parts[role], form, scan = _scan_split(f"{argument}:{name}", role, splits[name], form, progress)
        problems += scan.problems
        notes += scan.notes
    return HubReading(parts["train"], parts["val"], tuple(problems), tuple(dict.fromkeys(notes)))


def _load(argument: str) -> Mapping[str, Any]:
    """All splits by name."""
    parsed = HubDataset.parse(argument)
    name, config = parsed.dataset, parsed.split
    revision = None
    if "@" in name and not Path(name).exists():
        name, _, revision = name.rpartition("@")
    datasets = import_datasets()
    try:
        with without_torch(datasets), without_retry_notes():
            if any((Path(name) / file).is_file() for file in ("dataset_dict.json", "state.json")):
                opened = datasets.load_from_disk(name)
            else:
                opened = datasets.load_dataset(name, config, revision=revision)
    except LucidboxError:
        raise
    except Exception as error:  # ``datasets`` passes on what its many file and network layers raise
        cause = f" ({first_line(error.__cause__)})" if isinstance(error.__cause__, Exception) else ""
        raise SourceError(f"{argument}: {first_line(error)}{cause}") from error
    splits: Mapping[str, Any] = opened if isinstance(opened, dict) else {"train": opened}
    return splits


def _choose_split(argument: str, splits: Mapping[str, Any], role: str, notes: list[str]) -> str:
    found = next((name for name in _ROLES[role] if name in splits), None)
    if found is None:
        wanted = " or ".join(_ROLES[role])
        raise DataError(f"{argument}: has no split for {role}, called {wanted}; it has: {', '.join(splits)}")
    if found == "test":
        notes.append(f"{argument}: has no split for validation; test is taken")
    return found


def _scan_split(
    source: str, role: str, rows: Any, wanted: BoxForm, progress: Progress
) -> tuple[HubPart, BoxForm, Scan]:
    """Annotations, checked entry by entry as those of COCO files are, and images; and the format of the boxes.

    Args:
        source: what messages call the split.
        role: name of the split that it becomes.
        rows: of the split.
        wanted: format of the boxes.
        progress: shows the images.

    Returns:
        The split, the format of its boxes, and its problems and notes.
    """
    datasets = import_datasets()
    column = next((name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)), None)
    if column is None:
        raise DataError(f"{source}: no column is declared to hold pictures ({', '.join(rows.features)})")
    images = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    objects, problems = read_objects(rows, source), list[Problem]()
    files = look_at_images(images, column, objects.sizes, source, problems, progress)
    columns = read_columns(objects, files, source)
    default: BoxForm = "xyxy" if _CORNERS_FAMILY in source else "xywh"
    form = choose_form(columns.sample(_BOXES_LOOKED_AT), wanted, default, source)
    notes = (f"{source}: boxes are taken for {form} ({MEANINGS[form]}), which they fit",) * (wanted == "auto")
    scan = scan_annotations(role, source, None, columns.images, columns.categories, columns.converted(form))
    category_ids = np.array(coco_category_ids(scan.dataset.names), np.int64)
    outside = np.array([file.outside for file in files.values()], bool)
    pictures = HubPictures(images, column, np.array(list(files), np.int64), outside, source)
    part = HubPart(replace(scan.dataset, category_ids=category_ids), pictures)
    return part, form, replace(scan, problems=(*problems, *scan.problems), notes=notes + scan.notes)
