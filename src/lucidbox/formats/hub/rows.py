"""The annotations in the rows of a Hugging Face data set, in the columns of a COCO file."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.annotations import Categories, Images
from lucidbox.formats.coco.columns import CocoAnnotations
from lucidbox.formats.coco.records import CheckedColumn, CocoRecords
from lucidbox.formats.hub.box_forms import BoxForm, BoxSample, to_xywh
from lucidbox.formats.hub.images import ImageFile

# What data sets on the hub call the same thing; the first name that is there counts.
_OBJECTS = ("objects", "annotations")
_FIELDS = {
    "bbox": ("bbox", "bboxes", "boxes", "box"),
    "category": ("category", "category_id", "categories", "label", "labels", "class"),
    "id": ("bbox_id", "id"),
    "area": ("area", "areas"),
    "iscrowd": ("iscrowd", "is_crowd"),
}


@dataclass(frozen=True, eq=False)
class HubObjects:
    """All annotations of a split.

    Attributes:
        image_ids: of each row; the data set's own if they are all different, else 1, 2, 3 …
        sizes: stated width and height of each row's image; None where not stated.
        entries: row and fields of each object, as COCO names the fields.
        names: class names by category id.
    """

    image_ids: list[int]
    sizes: list[tuple[int, int] | None]
    entries: list[tuple[int, dict[str, Any]]]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class HubColumns:
    """The annotations of the usable rows of a split, in the columns of a COCO file.

    Attributes:
        images: of each usable row.
        categories: of the split.
        annotations: boxes are as they are written, of a format not yet known.
        sizes: width and height in pixels of each annotation's image.
    """

    images: Images
    categories: Categories
    annotations: CocoAnnotations
    sizes: Float[np.ndarray, "n 2"]

    def sample(self, most: int) -> BoxSample:
        """The first boxes, to find out their format."""
        annotations, rows = self.annotations, np.flatnonzero(self.annotations.boxes.good)[:most]
        stated = annotations.has_area & annotations.areas.good
        areas = np.where(stated, annotations.areas.values, np.nan)
        return BoxSample(annotations.boxes.values[rows], self.sizes[rows], areas[rows])

    def converted(self, form: BoxForm) -> CocoAnnotations:
        """The annotations with boxes in COCO's format, from this one."""
        boxes, good = self.annotations.boxes
        boxes = np.where(good[:, None], to_xywh(boxes, self.sizes, form), 0)
        return replace(self.annotations, boxes=CheckedColumn(boxes, good))


def read_objects(rows: Any, source: str) -> HubObjects:
    """Annotations of every row, whatever is wrong with them.

    Args:
        rows: a split (``datasets.Dataset``).
        source: what messages call it.

    Raises:
        DataError: there is no column of objects with boxes and classes.
    """
    column, fields, label = _columns(rows.features, source)
    others = [name for name in ("image_id", "width", "height") if name in rows.features]
    table = rows.select_columns([column, *others])[:]
    count = len(table[column])
    entries = [
        (row, {ours: listed_object.get(theirs) for ours, theirs in fields.items()})
        for row, listed in enumerate(table[column])
        for listed_object in _one_by_one(listed)
    ]
    names = _number_categories(entries, getattr(label, "names", None))
    ids = _unique([entry.get("id") for _, entry in entries])
    for (_, entry), number in zip(entries, ids, strict=True):
        entry["id"] = number
    sizes = list(map(_size, table.get("width", [None] * count), table.get("height", [None] * count)))
    return HubObjects(_unique(table.get("image_id", [None] * count)), sizes, entries, names)


def read_columns(objects: HubObjects, files: Mapping[int, ImageFile], source: str) -> HubColumns:
    """The annotations of the rows whose image is usable; what is wrong with them is in their records.

    Args:
        objects: of a split.
        files: the usable images, by row; other rows are left out.
        source: what messages call the split.
    """
    usable = [(row, entry) for row, entry in objects.entries if row in files]
    rows = [row for row, _ in usable]
    entries = [{**entry, "image_id": objects.image_ids[row]} for row, entry in usable]

    def place(entry: int) -> str:
        return f"{source}#{rows[entry]}: object {entry - bisect_left(rows, rows[entry])}"

    annotations = CocoAnnotations.of(CocoRecords(entries, f"{source}: annotations", place=place))
    images = Images(
        np.array([objects.image_ids[row] for row in files], np.int64),
        tuple(file.name for file in files.values()),
        np.array([file.size for file in files.values()], np.int64).reshape(-1, 2),
    )
    sizes = np.array([files[row].size for row in rows], np.float64).reshape(-1, 2)
    return HubColumns(images, Categories(np.arange(len(objects.names)), objects.names), annotations, sizes)


def _columns(features: Mapping[str, Any], source: str) -> tuple[str, dict[str, str], Any]:
    """The column of objects, the name of each field in it, and what type the classes are of."""
    column = next((name for name in _OBJECTS if name in features), None)
    if column is None:
        raise DataError(f"{source}: has no column {' or '.join(_OBJECTS)}; it has: {', '.join(features)}")
    kind = features[column]
    kind = kind[0] if isinstance(kind, list) else getattr(kind, "feature", kind)
    inside = list(kind) if isinstance(kind, Mapping) else []
    fields = {}
    for ours, known in _FIELDS.items():
        theirs = next((name for name in known if name in inside), None)
        if theirs is not None:
            fields[ours] = theirs
        elif ours in ("bbox", "category"):
            raise DataError(
                f"{source}: {column} has no field {' or '.join(known)}; it has: {', '.join(inside) or 'none'}"
            )
    label = kind[fields["category"]]
    label = label[0] if isinstance(label, list) else getattr(label, "feature", label)
    return column, fields, label


def _one_by_one(listed: Any) -> Iterable[dict[str, Any]]:
    """Objects of one row, from a list of objects or from a list for each field."""
    if isinstance(listed, Mapping):
        columns = [values or [] for values in listed.values()]
        return [dict(zip(listed, values, strict=True)) for values in zip_longest(*columns)]
    return [entry for entry in listed or [] if entry is not None]


def _number_categories(entries: list[tuple[int, dict[str, Any]]], names: Sequence[str] | None) -> tuple[str, ...]:
    """Class names; every entry's ``category`` becomes its ``category_id``.

    Classes that are declared have names. Others are texts or numbers, which name themselves, sorted.
    """
    values = [entry.pop("category") for _, entry in entries]
    if names is None:
        kinds = {value for value in values if isinstance(value, (int, str))}
        ordered = sorted(kinds, key=lambda value: (isinstance(value, str), value))
        numbers = {value: number for number, value in enumerate(ordered)}
        names, values = list(map(str, ordered)), [numbers.get(value) for value in values]
    for (_, entry), value in zip(entries, values, strict=True):
        entry["category_id"] = value
    return tuple(names)


def _unique(ids: Sequence[Any]) -> list[int]:
    """The numbers, if they are whole and all different; else those from 1."""
    if all(type(number) is int for number in ids) and len(set(ids)) == len(ids):
        return list(ids)
    return list(range(1, len(ids) + 1))


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    return (width, height) if type(width) is type(height) is int and min(width, height) > 0 else None
