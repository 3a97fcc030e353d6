"""A data set prepared for training: two splits, one list of classes, and only usable images and objects.

>>> data = open_data("data.yaml", classes=["person", "car"])
>>> samples = data.samples(640)
>>> for problem in data.problems:
...     print(problem)

No torch. Files are read and never changed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.class_names import Classes
from lucidbox.core.errors import OptionError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.core.text import shortened
from lucidbox.datasets.augment import contact_sheet
from lucidbox.datasets.training.classes import agree
from lucidbox.datasets.training.cleaning import clip_dataset, refuse_unsound
from lucidbox.datasets.training.images import Pictures, PictureSamples
from lucidbox.datasets.training.opening import open_files, open_hub_data
from lucidbox.draw import show
from lucidbox.formats.dataset import DataSet
from lucidbox.formats.problems import Problem


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a network is trained on and validated with.

    Class ids of both splits are indices into ``names``. Images that are not there, cannot be read, or are not
    as large as annotated, are in neither part.

    Attributes:
        train: without crowds; boxes clipped to their images; sizes known.
        val: as annotated, crowds included, as COCO's protocol wants them.
        names: class names.
        problems: all that is wrong with the data; what is ``left_out`` is neither trained on nor validated with.
        notes: what was decided or left out, in sentences with counts.
        train_pictures: the pixels of ``train``, by its numbers.
        val_pictures: likewise of ``val``.
    """

    train: DataSet
    val: DataSet
    names: tuple[str, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    train_pictures: Pictures
    val_pictures: Pictures

    def _repr_html_(self) -> str:
        """Both splits, for notebooks."""
        return self.train._repr_html_() + self.val._repr_html_()

    def show(self, count: int = 4, size: int = 320) -> None:
        """Show the first images to train on, with their boxes, in the notebook or in the system's viewer.

        Args:
            count: how many.
            size: longer side of each, pixels.

        Raises:
            ImageError: one cannot be read.
            OutputError: nothing here can show pictures.
        """
        samples = self.samples(size)
        shown = [samples[index] for index in range(min(count, len(samples)))]
        show(contact_sheet(shown, self.names, columns=4))

    def samples(self, size: int) -> PictureSamples:
        """The train split, scaled so that longer sides are ``size`` pixels; see :class:`PictureSamples`."""
        return PictureSamples(self.train, size, self.train_pictures)

    def read_val(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """An image of the val split by its number there: RGB, upright, full size.

        Raises:
            ImageError: it cannot be read.
        """
        return self.val_pictures[index]


def open_data(
    path: str | Path,
    *,
    classes: Classes | None = None,
    boxes: str = "auto",
    progress: Progress = no_progress,
) -> TrainingData:
    """Open a data set for training.

    Bad labels are left out one by one and reported, their images stay; bad images are left out and reported.
    Images without objects stay.

    Args:
        path: a ``data.yaml``; a TOML with ``[train]`` and ``[val]``; a folder that holds one of these or a COCO
            JSON for each split; ``hf:NAME[:CONFIG]`` (see :mod:`lucidbox.formats.hub.reading`).
        classes: names or ids of those to learn, which become the classes 0, 1, 2 … in this order; objects of
            others are left out. By default all of the train split.
        boxes: format of the boxes of an ``hf:`` data set, see :mod:`lucidbox.formats.hub.box_forms`.
        progress: shows the images whose first bytes are read.

    Raises:
        OptionError: there is no such data set or class, or no split for training or validation; or ``boxes`` is
            no format, or given with other data sets, whose format is known.
        DataError: nothing usable is in a split, the splits' classes do not agree, or a file cannot be understood.
        SourceError: an ``hf:`` data set cannot be had.
    """
    if str(path).startswith("hf:"):
        opened = open_hub_data(str(path), boxes, progress)
    elif boxes != "auto":
        raise OptionError(f"boxes {boxes}: goes with hf: data sets; in {path} the form of boxes is known")
    else:
        opened = open_files(path, progress)
    agreed = agree(opened.train, opened.val, classes)
    clipped = clip_dataset(agreed.train.keep_objects(~agreed.train.crowds))
    train, val = clipped.dataset, agreed.val
    problems = tuple(dict.fromkeys((*opened.problems, *clipped.problems)))
    refuse_unsound(train, "learn from", problems)
    refuse_unsound(val, "validate with", problems)
    notes = (*opened.notes, *agreed.notes, *_crowds(agreed.train), *_lacking(train), *_shared(train, val))
    return TrainingData(train, val, train.names, problems, notes, opened.train_pictures, opened.val_pictures)


def identity(part: DataSet) -> str:
    """SHA-256 of a split of a data set, in hexadecimal: names, files, sizes, boxes and classes.

    Not of pixels, nor of where the files are: the data set may be moved between two runs.
    """
    total = hashlib.sha256()
    for names in (part.names, part.file_names):
        total.update("".join(f"{name}\0" for name in names).encode("utf-8", "surrogatepass"))
        total.update(b"\1")
    for column in (part.sizes, part.pictures, part.classes, part.boxes_xywh):
        kind = "<f8" if column.dtype.kind == "f" else "<i8"
        total.update(np.ascontiguousarray(column, kind).tobytes())
    return total.hexdigest()


def describe_data(data: TrainingData) -> str:
    """The train split in a few words: "3572 pictures, 34038 objects, 80 classes"."""
    part = data.train
    classes = f"{len(part.names)} classes" if len(part.names) > 1 else f"1 class, {part.names[0]}"
    return f"{len(part)} pictures, {len(part.classes)} objects, {classes}"


def _crowds(train: DataSet) -> tuple[str, ...]:
    """How many crowds are left out: a box around several objects is no object's box."""
    count = int(train.crowds.sum())
    return (f"{train.source}: {count} crowd regions are not learnt from",) if count else ()


def _lacking(train: DataSet) -> tuple[str, ...]:
    """Which classes have no object to train on."""
    counts = np.bincount(train.classes, minlength=len(train.names))
    absent = [name for name, count in zip(train.names, counts.tolist(), strict=True) if not count]
    if not absent:
        return ()
    return (f"{train.source}: {train.name} has no object of {len(absent)} classes: {shortened(absent)}",)


def _shared(train: DataSet, val: DataSet) -> tuple[str, ...]:
    """Whether images to validate with are trained on."""
    if train.root is None or val.root is None:
        return ()
    seen = {train.root / name for name in train.file_names}
    both = sum(val.root / name in seen for name in val.file_names)
    return (f"{both} pictures are in train and val alike: accuracy will look better than it is",) if both else ()
