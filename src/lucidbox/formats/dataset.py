"""Annotated images as columns: what every reader returns and everything else takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, Shaped
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.html_tables import html_table
from lucidbox.formats.problems import Problem, ProblemKind

DatasetFormat = Literal["coco", "yolo", "detections"]

PARTS = ("train", "val", "test")
"""The usual names of splits."""

_ROLES = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}


@dataclass(frozen=True, eq=False)
class DataSet:
    """One split of a data set, such as "train": its images and their usable objects.

    Objects are in the order of their images. Boxes are in pixels of an image of the annotated size; pixels are
    not read.

    Attributes:
        name: of the split.
        source: file the annotations came from, for messages.
        root: folder that ``file_names`` are relative to; None where it could not be found.
        names: class names; a class id is an index into them.
        category_ids: the number of each class in COCO files, which need not be contiguous.
        image_ids: number of each image, all different.
        file_names: path of each image below ``root``, "/" between folders.
        sizes: width and height of each image in pixels; 0, 0 where not stated.
        pictures: for each object, the index of its image; ascending.
        classes: class id of each object.
        boxes_xywh: left, top, width, height in pixels, COCO's format.
        areas: square pixels; COCO's are those of masks, else width times height.
        crowds: whether a box stands for many objects.
        annotation_ids: number of each object, all different.
        unread_fields: fields of the source that are not kept here, and how many entries have them.
    """

    name: str
    source: str
    root: Path | None
    names: tuple[str, ...]
    category_ids: Int[np.ndarray, " c"]
    image_ids: Int[np.ndarray, " i"]
    file_names: tuple[str, ...]
    sizes: Int[np.ndarray, "i 2"]
    pictures: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    boxes_xywh: Float[np.ndarray, "n 4"]
    areas: Float[np.ndarray, " n"]
    crowds: Bool[np.ndarray, " n"]
    annotation_ids: Int[np.ndarray, " n"]
    unread_fields: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.file_names)

    def _repr_html_(self) -> str:
        """Counts of objects and images of every class, the most frequent first, for notebooks."""
        objects, images = np.bincount(self.classes, minlength=len(self.names)), self.presence().sum(axis=0)
        counted = zip(self.names, objects.tolist(), images.tolist(), strict=True)
        rows = sorted((row for row in counted if row[1]), key=lambda row: -row[1])
        return html_table(("class", "objects", "images"), rows, self.in_words)

    @property
    def in_words(self) -> str:
        """Its name, and how much it holds: "val: 4 images, 37 objects, 80 classes"."""
        crowds = f", of which crowds: {int(self.crowds.sum())}" if self.crowds.any() else ""
        return f"{self.name}: {len(self)} images, {len(self.classes)} objects{crowds}, {len(self.names)} classes"

    def path(self, picture: int) -> Path:
        """File of an image.

        Raises:
            DataError: the folder of the images is not known.
        """
        if self.root is None:
            raise DataError(f"{self.source}: the folder of its pictures was not found; name it with --images")
        return self.root / self.file_names[picture]

    def objects(self, picture: int) -> slice:
        """The rows of an image's objects."""
        first, end = np.searchsorted(self.pictures, [picture, picture + 1]).tolist()
        return slice(first, end)

    def keep_objects(self, kept: Shaped[np.ndarray, " m"]) -> "DataSet":
        """With only the objects of a boolean mask or of ascending indices; all images stay."""
        fields = ("pictures", "classes", "boxes_xywh", "areas", "crowds", "annotation_ids")
        return replace(self, **{field: getattr(self, field)[kept] for field in fields})

    def keep_pictures(self, kept: Int[np.ndarray, " m"]) -> "DataSet":
        """With only the images of these ascending indices, and their objects."""
        place = np.full(len(self), -1)
        place[kept] = np.arange(len(kept))
        objects = self.keep_objects(place[self.pictures] >= 0)
        return replace(
            objects,
            image_ids=self.image_ids[kept],
            file_names=tuple(self.file_names[picture] for picture in kept.tolist()),
            sizes=self.sizes[kept],
            pictures=place[objects.pictures],
        )

    def presence(self) -> Bool[np.ndarray, "i c"]:
        """Whether an image has an object of a class, crowds included."""
        present = np.zeros((len(self), len(self.names)), bool)
        present[self.pictures, self.classes] = True
        return present


@dataclass(frozen=True, eq=False)
class Scan:
    """One split as read: what is usable, its problems, and notes for the user."""

    dataset: DataSet
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Reading:
    """A whole data set as read.

    Attributes:
        format: "coco", "yolo", or "detections" for what ``lucidbox batch`` found.
        parts: such as train and val.
        problems: everything found wrong without reading pixels.
        notes: what is not wrong but was decided or replaced, in sentences with counts.
    """

    format: DatasetFormat
    parts: tuple[DataSet, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        """Its splits, for notebooks, and how much is wrong with the files."""
        rows = [(part.name, len(part), len(part.classes), len(part.names)) for part in self.parts]
        notes = "; ".join((f"{len(self.problems)} problems", *self.notes))
        return html_table(("split", "images", "objects", "classes"), rows, self.format, notes)

    def part(self, name: str | None = None) -> DataSet:
        """The part of this name; without a name, the only one.

        Raises:
            OptionError: there is none of this name, or there are several to choose from.
        """
        names = [part.name for part in self.parts]
        called = names if name is None else parts_called(name, names)
        found = [part for part in self.parts if part.name in called]
        if len(found) == 1:
            return found[0]
        wanted = "several parts" if name is None else f"no part {name!r}"
        remedy = "; choose one with --part" if name is None else ""
        raise OptionError(f"{wanted}; the data set has: {', '.join(names)}{remedy}")

    def refuse_malformed(self) -> "Reading":
        """Itself, if the files could be parsed and there is at least one image.

        Raises:
            DataError: not so; names the first problem to blame.
        """
        malformed = [problem for problem in self.problems if problem.kind is ProblemKind.STRUCTURE]
        if malformed:
            raise DataError(str(malformed[0]))
        if not any(map(len, self.parts)):
            reason = f": {self.problems[0]}" if self.problems else ""
            raise DataError(f"{self.parts[0].source}: no usable pictures{reason}")
        return self


def parts_called(wanted: str, names: Sequence[str]) -> list[str]:
    """The name that is wanted, if it is there; else those that mean the same, as val, valid and validation do."""

    def role(name: str) -> str:
        return _ROLES.get(name.lower(), name.lower())

    return [name for name in names if name == wanted] or [name for name in names if role(name) == role(wanted)]


def empty_dataset(name: str, source: str, root: Path | None = None, names: tuple[str, ...] = ()) -> DataSet:
    """A split without images: what an unreadable file holds."""
    none = np.zeros(0, np.int64)
    numbers = np.arange(len(names))
    return DataSet(
        name, source, root, names, numbers, none, (), np.zeros((0, 2), np.int64), none, none,
        np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool), none,
    )  # fmt: skip
