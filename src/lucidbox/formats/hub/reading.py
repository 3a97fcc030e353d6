"""Annotated pictures from a Hugging Face data set (extra ``hub``): ``hf:NAME[@REVISION][:CONFIG]``.

NAME is a data set of the hub, a local folder in one of the forms that the ``datasets`` package reads, or one that
its ``save_to_disk`` wrote. Rows are expected as in ``detection-datasets/coco``: a column of pictures, and
``objects`` with ``bbox`` and ``category``, or what other data sets call these. ``image_id``, ``width``,
``height``, ``bbox_id``, ``area`` and ``iscrowd`` are used where they are there.

The data set is opened map-style, not streamed: training visits pictures in another order every epoch, which a
stream cannot do. ``datasets`` downloads it once and keeps it as memory-mapped Arrow files in its own cache, from
where every worker process reads any row.
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
from lucidbox.formats.dataset import DataSet
from lucidbox.formats.hub.box_forms import MEANINGS, BoxForm, choose_form, parse_form
from lucidbox.formats.hub.images import HubPictures, look_at_images
from lucidbox.formats.hub.rows import HubColumns, read_columns, read_objects
from lucidbox.formats.problems import Problem
from lucidbox.sources.hub import (
    HubDataset,
    first_line,
    import_datasets,
    without_retry_notes,
    without_torch,
)  # fmt: skip

_ROLES = {"train": ("train",), "val": ("validation", "val", "valid", "dev", "test")}
# Its data sets are believed to store corners; COCO's own form is what others mostly keep to.
_CORNERS_FAMILY = "detection-datasets/"
_BOXES_LOOKED_AT = 1000


@dataclass(frozen=True, eq=False)
class HubPart:
    """One split: its annotations, and its pictures in the same order."""

    dataset: DataSet
    pictures: HubPictures


@dataclass(frozen=True, eq=False)
class HubReading:
    """A data set's splits for training and validation, and what was found wrong or decided in reading them."""

    train: HubPart
    val: HubPart
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def open_hub(argument: str, boxes: str = "auto", progress: Progress = no_progress) -> HubReading:
    """Open a data set for training.

    The split for validation is called validation, val, valid or dev; where there is none, test is taken, with a
    note. Pictures are looked at by their first bytes; those that are none, or not as large as stated, are left
    out.

    Data sets disagree on what the four numbers of a box are, and say so nowhere. So the form is an option, and
    the first boxes are held against their pictures, and against ``area`` where that is stated.

    Args:
        argument: ``hf:NAME[@REVISION][:CONFIG]``.
        boxes: form of the boxes. "auto" is whichever of xyxy and xywh they fit; where they fit both, xyxy for
            data sets of detection-datasets, else xywh.
        progress: sees the pictures pass.

    Raises:
        SourceError: it cannot be had, or ``datasets`` is not installed.
        DataError: it has no such splits or columns, or the boxes are not of that form; names those they fit.
        OptionError: ``boxes`` is no form.
    """
    form = parse_form(boxes)
    splits, problems, notes = _load(argument), list[Problem](), list[str]()
    parts = {}
    for role in _ROLES:
        name = _choose_split(argument, splits, role, notes)
        scanner = _Scanner(f"{argument}:{name}", role, splits[name], argument, form, problems, notes)
        # What the larger split's boxes were found to be, the other's must be, too.
        parts[role], form = scanner.scan(progress)
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
    except Exception as error:  # ``datasets`` passes on whatever its many file and network layers raise
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


@dataclass(frozen=True, eq=False)
class _Scanner:
    """Reads one split.

    Attributes:
        source: what messages call it.
        name: of the part it becomes.
        rows: the split.
        family: name of the data set, which the default form of boxes is taken from.
        boxes: wanted form.
        problems: to add to.
        notes: to add to.
    """

    source: str
    name: str
    rows: Any
    family: str
    boxes: BoxForm
    problems: list[Problem]
    notes: list[str]

    def scan(self, progress: Progress) -> tuple[HubPart, BoxForm]:
        """Annotations, checked entry by entry as those of COCO files are, and pictures; and the form of boxes."""
        datasets = import_datasets()
        features = self.rows.features
        column = next((name for name, kind in features.items() if isinstance(kind, datasets.Image)), None)
        if column is None:
            raise DataError(f"{self.source}: no column is declared to hold pictures ({', '.join(features)})")
        rows = self.rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        objects = read_objects(self.rows, self.source)
        files = look_at_images(rows, column, objects.sizes, self.source, self.problems, progress)
        columns = read_columns(objects, files, self.source)
        form = self._form(columns)
        annotations = columns.converted(form)
        scan = scan_annotations(self.name, self.source, None, columns.images, columns.categories, annotations)
        self.problems.extend(scan.problems)
        self.notes.extend(scan.notes)
        category_ids = np.array(coco_category_ids(scan.dataset.names), np.int64)
        outside = np.array([file.outside for file in files.values()], bool)
        pictures = HubPictures(rows, column, np.array(list(files), np.int64), outside, self.source)
        return HubPart(replace(scan.dataset, category_ids=category_ids), pictures), form

    def _form(self, columns: HubColumns) -> BoxForm:
        default: BoxForm = "xyxy" if _CORNERS_FAMILY in self.family else "xywh"
        form = choose_form(columns.sample(_BOXES_LOOKED_AT), self.boxes, default, self.source)
        if self.boxes == "auto":
            self.notes.append(f"{self.source}: boxes are taken for {form} ({MEANINGS[form]}), which they fit")
        return form
