"""The annotations in the rows of a Hugging Face data set, and the same as a COCO document."""

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from lucidbox.core.errors import DataError
from lucidbox.formats.hub.box_forms import BoxForm, to_xywh
from lucidbox.formats.problems import Problem

# What data sets on the hub call the same thing; the first name that is there counts.
_OBJECTS = ("objects", "annotations")
_FIELDS = {
    "bbox": ("bbox", "bboxes", "boxes", "box"),
    "category": ("category", "category_id", "categories", "label", "labels", "class"),
    "id": ("bbox_id", "id"),
    "area": ("area", "areas"),
    "iscrowd": ("iscrowd", "is_crowd"),
}


@dataclass(frozen=True)
class Written:
    """A box as it is written.

    Attributes:
        row: of its picture.
        entry: its object's place in :attr:`HubObjects.entries`.
        numbers: four, of a meaning not yet known.
        area: in square pixels, as stated; None if not.
    """

    row: int
    entry: int
    numbers: tuple[float, ...]
    area: float | None


@dataclass(frozen=True, eq=False)
class HubObjects:
    """All annotations of a split.

    Attributes:
        image_ids: of each row; the data set's own if they are all different, else 1, 2, 3 …
        sizes: stated width and height of each row's picture; None where not stated.
        entries: row and fields of each object, as COCO names the fields.
        written: the boxes that are four numbers.
        names: class names by category id.
    """

    image_ids: list[int]
    sizes: list[tuple[int, int] | None]
    entries: list[tuple[int, dict[str, Any]]]
    written: list[Written]
    names: tuple[str, ...]


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
        (row, {ours: one.get(theirs) for ours, theirs in fields.items()})
        for row, listed in enumerate(table[column])
        for one in _one_by_one(listed)
    ]
    names = _number_categories(entries, getattr(label, "names", None))
    ids = _unique([entry.get("id") for _, entry in entries])
    for (_, entry), number in zip(entries, ids, strict=True):
        entry["id"] = number
    sizes = list(map(_size, table.get("width", [None] * count), table.get("height", [None] * count)))
    written = [
        Written(row, place, tuple(entry["bbox"] or ()), _number(entry.get("area")))
        for place, (row, entry) in enumerate(entries)
        if _four_numbers(entry["bbox"])
    ]
    return HubObjects(_unique(table.get("image_id", [None] * count)), sizes, entries, written, names)


def coco_document(
    objects: HubObjects, files: Mapping[int, tuple[str, tuple[int, int]]], form: BoxForm
) -> dict[str, Any]:
    """The annotations as COCO's files have them; what is not four numbers stays as it is, to be found wrong.

    Args:
        objects: of a split.
        files: name, and width and height in pixels, of the usable pictures, by row; others are left out.
        form: of the boxes.
    """
    known = [one for one in objects.written if one.row in files]
    numbers = np.array([one.numbers for one in known], np.float64).reshape(-1, 4)
    sizes = np.array([files[one.row][1] for one in known], np.float64).reshape(-1, 2)
    boxes = dict(zip((one.entry for one in known), to_xywh(numbers, sizes, form).tolist(), strict=True))
    images = [
        {"id": objects.image_ids[row], "file_name": name, "width": size[0], "height": size[1]}
        for row, (name, size) in files.items()
    ]
    annotations = [
        {**entry, "image_id": objects.image_ids[row], "bbox": boxes.get(place, entry["bbox"])}
        for place, (row, entry) in enumerate(objects.entries)
        if row in files
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(objects.names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def called_by_row(
    problems: Iterable[Problem], objects: HubObjects, files: Container[int], source: str
) -> Iterator[Problem]:
    """The same problems; those of an object say its row and its number there, not its place in the document.

    Args:
        problems: of the document of :func:`coco_document`.
        objects: that it was made of.
        files: the rows it was made of.
        source: what messages call the split.
    """
    rows, where = [row for row, _ in objects.entries if row in files], f"{source}: annotations["
    for problem in problems:
        if problem.place.startswith(where):
            entry = int(problem.place.removeprefix(where).partition("]")[0])
            number = entry - bisect_left(rows, rows[entry])
            yield replace(problem, place=f"{source}#{rows[entry]}: object {number}")
        else:
            yield problem


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
    return [one for one in listed or [] if one is not None]


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
    if all(type(one) is int for one in ids) and len(set(ids)) == len(ids):
        return list(ids)
    return list(range(1, len(ids) + 1))


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    return (width, height) if type(width) is type(height) is int and min(width, height) > 0 else None


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def _four_numbers(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(one) in (int, float) for one in box)
