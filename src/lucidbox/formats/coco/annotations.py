"""Reading COCO annotation files: everything usable, and every problem."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.columns import lookup
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.records import CocoRecords
from lucidbox.formats.dataset import DataSet, Scan, empty_dataset
from lucidbox.formats.json_text import collector_off, describe_value, parse_json, read_bytes
from lucidbox.formats.problems import Problem, ProblemKind

# Annotation tools round left and width to two decimals each, so a box at the edge may stand out by this much.
_ROUNDING = 0.0101
# A mask has no more pixels than its box, but tools disagree on whether a box's last pixel belongs to it.
_LARGEST_MASK = 1.05

_READ = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    "categories": ("id", "name"),
}


@dataclass(frozen=True, eq=False)
class _Categories:
    ids: Int[np.ndarray, " c"]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Images:
    ids: Int[np.ndarray, " i"]
    file_names: tuple[str, ...]
    sizes: Int[np.ndarray, "i 2"]


@dataclass(frozen=True, eq=False)
class _Objects:
    """Usable annotations, as columns in the file's order; see :class:`DataSet`."""

    pictures: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    boxes_xywh: Float[np.ndarray, "n 4"]
    areas: Float[np.ndarray, " n"]
    crowds: Bool[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"]


def scan_coco(file: Path, images: Path | None, name: str) -> Scan:
    """Read one annotation file (``instances_*.json``) to its end, whatever is wrong with it.

    Class ids are the ranks of the category ids, which for COCO's own 80 gives the published order. Objects
    without ``iscrowd`` are no crowds; objects without a positive ``area`` have width times height.

    Args:
        file: the JSON.
        images: folder that its file names are relative to; None if not known.
        name: of the part.
    """
    source = str(file)
    with collector_off():
        try:
            document = parse_json(read_bytes(file), source)
            if not isinstance(document, dict):
                kind = describe_value(document)
                raise DataError(f"{source}: expected an object with images, annotations, categories, got {kind}")
        except DataError as error:
            problem = Problem(ProblemKind.STRUCTURE, source, "", str(error).removeprefix(f"{source}: "))
            return Scan(empty_dataset(name, source, images), (problem,))
        return scan_document(document, source, images, name)


def scan_document(document: dict[str, Any], source: str, root: Path | None, name: str) -> Scan:
    """A part from a parsed COCO document: everything usable, and every problem.

    Args:
        document: what the JSON holds.
        source: its file's name, for messages.
        root: folder of the pictures.
        name: of the part.
    """
    sections = {key: CocoRecords(document, key, source) for key in _READ}
    categories = _read_categories(sections["categories"])
    images = _read_images(sections["images"])
    objects = _read_objects(sections, images, categories)
    order = np.argsort(objects.pictures, kind="stable")
    unread = tuple(
        (f"{key}.{field}", count)
        for key, section in sections.items()
        for field, count in sorted(section.other_fields(_READ[key]).items())
    )
    dataset = DataSet(
        name, source, root, categories.names, categories.ids, images.ids, images.file_names, images.sizes,
        objects.pictures[order], objects.classes[order], objects.boxes_xywh[order], objects.areas[order],
        objects.crowds[order], objects.ids[order], unread,
    )  # fmt: skip
    problems = tuple(problem for section in sections.values() for problem in section.problems)
    return Scan(dataset, problems, _notes(sections["annotations"], objects, source))


def _notes(section: CocoRecords, objects: _Objects, source: str) -> tuple[str, ...]:
    """What was taken for absent fields, and one trap of another tool."""
    notes = [
        f"{source}: {count} of {len(section)} annotations have no {field}; {taken}"
        for field, taken in (
            ("area", "width times height is taken"),
            ("iscrowd", "they are taken for single objects"),
        )
        if (count := section.count_absent(field))
    ]
    if (objects.ids == 0).any():
        notes.append(f"{source}: an annotation has the id 0, which pycocotools takes for 'no match'; start at 1")
    return tuple(notes)


def _read_categories(section: CocoRecords) -> _Categories:
    ids, good = section.whole_numbers("id")
    names, named = section.texts("name")
    good = section.unique(ids, good & named, "id", ProblemKind.DUPLICATE_ID)
    section.unique(names, good, "name", ProblemKind.CLASS_NAMES, left_out=False)
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    return _Categories(ids[rows], tuple(names[row] for row in rows.tolist()))


def _read_images(section: CocoRecords) -> _Images:
    ids, good = section.whole_numbers("id")
    names, named = section.texts("file_name")
    good = section.unique(ids, good & named, "id", ProblemKind.DUPLICATE_ID)
    section.unique(names, good, "file_name", ProblemKind.SAME_PICTURE, left_out=False)
    sides = []
    for field in ("width", "height"):
        side, right = section.whole_numbers(field, left_out=False)
        wrong = right & (side <= 0)
        section.report_all(
            wrong, ProblemKind.PICTURE_SIZE, field, "must be positive, got {}", side, left_out=False
        )
        sides.append(np.where(right, np.maximum(side, 0), 0))
    sizes = np.stack(sides, axis=1)
    sizes[(sizes == 0).any(axis=1)] = 0
    rows = np.flatnonzero(good)
    return _Images(ids[rows], tuple(names[row] for row in rows.tolist()), sizes[rows])


def _read_objects(sections: dict[str, CocoRecords], images: _Images, categories: _Categories) -> _Objects:
    section = sections["annotations"]
    ids, good = section.whole_numbers("id")
    good = section.unique(ids, good, "id", ProblemKind.DUPLICATE_ID)
    pictures, pictured = _references(section, "image_id", images.ids, "picture", sections["images"].present)
    classes, classed = _references(
        section, "category_id", categories.ids, "category", sections["categories"].present
    )
    boxes, boxed = section.boxes("bbox")
    crowds, flagged = section.flags("iscrowd")
    boxed &= _report_sizes(section, boxes, boxed)
    known = boxed & pictured
    inside = _report_outside(section, boxes, images.sizes[pictures] if len(images.ids) else None, known)
    areas = _areas(section, boxes, boxed)
    good &= known & classed & flagged & inside
    columns = (pictures, classes, *boxes.T, crowds)
    good &= ~_report_repeated(section, columns, good)
    return _Objects(*(column[good] for column in (pictures, classes, boxes, areas, crowds, ids)))


def _references(
    section: CocoRecords, field: str, known: Int[np.ndarray, " k"], noun: str, listed: bool
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Index in ``known`` of each row's number, and which rows have one; 0 elsewhere.

    Args:
        section: of the annotations.
        field: that holds the number.
        known: ids in any order.
        noun: what they are ids of.
        listed: False where the file lacks that list: then the one problem of the file stands for all.
    """
    ids, good = section.whole_numbers(field)
    order = np.argsort(known)
    found = lookup(ids, known[order])
    unknown = good & (found < 0)
    if listed:
        message = f"{{}} is no usable {noun} of this file"
        section.report_all(unknown, ProblemKind.UNKNOWN_ID, field, message, ids)
    index = order[np.maximum(found, 0)] if len(known) else np.zeros(len(ids), np.int64)
    return index, good & (found >= 0)


def _report_sizes(
    section: CocoRecords, boxes: Float[np.ndarray, "n 4"], good: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Which boxes have a positive width and height."""
    positive: Bool[np.ndarray, " n"] = boxes[:, 2:].min(axis=1) > 0
    for row in np.flatnonzero(good & ~positive).tolist():
        width, height = boxes[row, 2:].tolist()
        what = "a negative size" if min(width, height) < 0 else "no area"
        section.report(row, ProblemKind.EMPTY_BOX, "bbox", f"has {what}: width {width:g}, height {height:g}")
    return positive


def _report_outside(
    section: CocoRecords,
    boxes: Float[np.ndarray, "n 4"],
    sizes: Int[np.ndarray, "n 2"] | None,
    good: Bool[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Which boxes have something in their picture; those that stand out at all are reported."""
    if sizes is None:
        return np.ones(len(boxes), bool)
    good = good & (sizes > 0).all(axis=1)
    beyond = np.concatenate([-boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - sizes], axis=1)
    # Out of one edge by its whole width or height: nothing of it is left inside.
    wholly: Bool[np.ndarray, " n"] = (np.tile(boxes[:, 2:], 2) - beyond).min(axis=1) <= 0
    for row in np.flatnonzero(good & (beyond > _ROUNDING).any(axis=1)).tolist():
        message = describe_outside(beyond[row], bool(wholly[row]), *sizes[row].tolist())
        section.report(row, ProblemKind.OUTSIDE, "bbox", message, left_out=bool(wholly[row]))
    some: Bool[np.ndarray, " n"] = ~(good & wholly)
    return some


def describe_outside(beyond: Float[np.ndarray, " 4"], wholly: bool, width: int, height: int) -> str:
    """How far a box stands out of its picture.

    Args:
        beyond: pixels beyond the left, top, right and bottom edge; negative inside.
        wholly: whether nothing of it is in the picture.
        width: of the picture in pixels; likewise ``height``.
        height: see ``width``.
    """
    edges = zip(("left", "top", "right", "bottom"), beyond.tolist(), strict=True)
    parts = [f"{distance:.4g} px beyond the {edge} edge" for edge, distance in edges if distance > 0]
    share = "wholly outside" if wholly else "partly outside"
    return f"{share} the {width}×{height} picture: {', '.join(parts)}"


def _areas(
    section: CocoRecords, boxes: Float[np.ndarray, "n 4"], good: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Stated areas; width times height where they are absent or not positive."""
    whole = boxes[:, 2] * boxes[:, 3]
    areas, right = section.numbers("area", -1.0)
    stated = right & np.array(["area" in entry for entry in section.entries], bool)
    section.report_all(
        stated & (areas <= 0), ProblemKind.AREA, "area", "must be positive, got {}", areas, left_out=False
    )
    large = good & stated & (areas > whole * _LARGEST_MASK + 1)
    for row in np.flatnonzero(large).tolist():
        message = f"{areas[row]:g} exceeds the {whole[row]:g} square pixels of its box"
        section.report(row, ProblemKind.AREA, "area", message, left_out=False)
    return np.where(stated & (areas > 0), areas, whole)


def _report_repeated(
    section: CocoRecords, columns: tuple[np.ndarray, ...], good: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Which good rows repeat an earlier one in every column."""
    rows = np.flatnonzero(good)
    order = rows[np.lexsort([column[rows] for column in columns])] if len(rows) else rows
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    repeated = np.zeros(len(good), bool)
    repeated[order[1:][same]] = True
    for place in np.flatnonzero(same).tolist():
        first = section.entries[order[place]]["id"]
        message = f"the same picture, category and bbox as annotation id {first}"
        section.report(int(order[place + 1]), ProblemKind.DUPLICATE_OBJECT, "bbox", message)
    return repeated
