"""From a COCO annotation file to a data set: everything usable, and every problem."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.columns import lookup
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.columns import CocoAnnotations, read_lists
from lucidbox.formats.coco.records import CheckedColumn, CocoRecords
from lucidbox.formats.coco.substitutes import named_by_url
from lucidbox.formats.dataset import DataSet, Scan, empty_dataset
from lucidbox.formats.problems import Problem, ProblemKind

# Annotation tools round left and width to two decimals each, so a box at the edge may end this far beyond it.
_ROUNDING = 0.0101
# A mask has no more pixels than its box, but tools disagree on whether a box's last pixel belongs to it.
_LARGEST_MASK = 1.05

_READ = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    "categories": ("id", "name"),
}


@dataclass(frozen=True, eq=False)
class Categories:
    """Usable categories by ascending id; ``listed`` is False where the file lacks the list, ``rows`` are in it."""

    ids: Int[np.ndarray, " c"]
    names: tuple[str, ...]
    listed: bool = True
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Images:
    """Usable images, with sizes of 0, 0 where not stated; ``listed`` and ``rows`` as of categories."""

    ids: Int[np.ndarray, " i"]
    file_names: tuple[str, ...]
    sizes: Int[np.ndarray, "i 2"]
    listed: bool = True
    rows: tuple[int, ...] = ()


def scan_coco(file: Path, root: Path | None, name: str) -> Scan:
    """Read one annotation file to its end, whatever is wrong with it.

    Class ids are the ranks of the category ids, which for COCO's own 80 gives the published order. Objects
    without ``iscrowd`` are no crowds; objects without a positive ``area`` have width times height.

    Args:
        file: the JSON.
        root: folder that its file names are relative to; None if not known.
        name: of the split.
    """
    try:
        lists = read_lists(file)
    except DataError as error:
        problem = Problem(ProblemKind.STRUCTURE, str(file), "", str(error).removeprefix(f"{file}: "))
        return Scan(empty_dataset(name, str(file), root), (problem,))
    images, annotations = usable_images(lists.images), CocoAnnotations.of(lists.annotations)
    categories = usable_categories(lists.categories, annotations)
    scan = scan_annotations(name, str(file), root, images, categories, annotations)
    unread = tuple(
        (f"{key}.{field}", count)
        for records, (key, fields) in zip(lists, _READ.items(), strict=True)
        for field, count in sorted(records.other_fields(fields).items())
    )
    problems = [problem for records in lists for problem in records.problems]
    if annotations.only_crowds:
        problems.append(
            Problem(ProblemKind.CROWD, str(file), "annotations", annotations.only_crowds, left_out=False)
        )
    if lists.images.present and not len(images.ids) and not problems:
        problems.append(Problem(ProblemKind.FOLDER, str(file), "images", "has no pictures"))
    notes = (*lists.images.notes, *lists.categories.notes, *scan.notes)
    dataset = replace(scan.dataset, unread_fields=unread)
    return Scan(dataset, tuple(problems), notes)


def scan_annotations(
    name: str, source: str, root: Path | None, images: Images, categories: Categories, annotations: CocoAnnotations
) -> Scan:
    """A split with all usable annotations, the problems of the others, and what was replaced.

    Args:
        name: of the split.
        source: what messages call it.
        root: folder of the images.
        images: the usable ones.
        categories: the usable ones.
        annotations: all of them.
    """
    records, ids, (boxes, boxed) = annotations.records, annotations.ids, annotations.boxes
    good = records.unique(ids.values, ids.good, "id", ProblemKind.DUPLICATE_ID)
    owners = _references(records, "image_id", annotations.image_ids, images.ids, "picture", images.listed)
    classes = _references(
        records, "category_id", annotations.category_ids, categories.ids, "category", categories.listed
    )
    boxed = boxed & _report_sizes(records, boxes, boxed)
    known = boxed & owners.good
    inside = _report_outside(records, boxes, images.sizes[owners.values] if len(images.ids) else None, known)
    areas = _areas(annotations, boxed)
    good = good & known & classes.good & annotations.crowds.good & inside
    columns = (owners.values, classes.values, *boxes.T, annotations.crowds.values)
    good &= ~_report_repeated(records, columns, good)
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(owners.values[rows], kind="stable")]
    dataset = DataSet(
        name, source, root, categories.names, categories.ids, images.ids, images.file_names, images.sizes,
        owners.values[rows], classes.values[rows], boxes[rows], areas[rows], annotations.crowds.values[rows],
        ids.values[rows],
    )  # fmt: skip
    return Scan(dataset, tuple(records.problems), _notes(annotations, dataset))


def _notes(annotations: CocoAnnotations, dataset: DataSet) -> tuple[str, ...]:
    notes = annotations.records.notes
    if (dataset.annotation_ids == 0).any():
        zero = "an annotation has the id 0, which pycocotools takes for 'no match'; start at 1"
        return (*notes, f"{dataset.source}: {zero}")
    return notes


def usable_categories(records: CocoRecords, annotations: CocoAnnotations) -> Categories:
    """The categories with an id of their own and a name.

    Of several with one name, those without annotations go: one popular exporter adds such a one to every file.
    """
    ids, good = records.ids("id")
    names, named = records.texts("name")
    good = records.unique(ids, good & named, "id", ProblemKind.DUPLICATE_ID)
    if len(set(names)) < len(names):
        good &= ~_unused_namesakes(records, ids, names, good, annotations.category_ids.values)
    records.unique(names, good, "name", ProblemKind.CLASS_NAMES, left_out=False)
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    listed = tuple(rows.tolist())
    return Categories(ids[rows], tuple(names[row] for row in listed), records.present, listed)


def _unused_namesakes(
    records: CocoRecords,
    ids: Int[np.ndarray, " n"],
    names: list[str],
    good: Bool[np.ndarray, " n"],
    used: Int[np.ndarray, " m"],
) -> Bool[np.ndarray, " n"]:
    """Which good categories have another's name and no annotations, where the other is to be preferred; counted.

    The other is one with annotations, else one whose ``supercategory`` is not "none". ``used`` are the ids that
    annotations have.
    """
    busy = good & np.isin(ids, used)
    grouped = np.array([entry.get("supercategory") != "none" for entry in records.entries], bool)
    worth = (good * (1 + grouped + 2 * busy)).tolist()
    best: dict[str, int] = {}
    for name, value in zip(names, worth, strict=True):
        best[name] = max(value, best.get(name, 0))
    idle: Bool[np.ndarray, " n"] = good & ~busy
    idle &= np.array([value < best[name] for name, value in zip(names, worth, strict=True)], bool)
    if idle.any():
        records.note("have the name of another and no annotations; the other is taken", int(idle.sum()))
    return idle


def usable_images(records: CocoRecords) -> Images:
    """The images with an id of their own and a file's name."""
    ids, good = records.ids("id")
    names, named = records.texts("file_name", named_by_url)
    good = records.unique(ids, good & named, "id", ProblemKind.DUPLICATE_ID)
    records.unique(names, good, "file_name", ProblemKind.SAME_PICTURE, left_out=False)
    sides = []
    for field in ("width", "height"):
        side, right = records.whole_numbers(field, left_out=False)
        wrong, message = right & (side <= 0), "must be positive, got {}"
        records.report_all(wrong, ProblemKind.PICTURE_SIZE, field, message, side, left_out=False)
        sides.append(side)
    sizes = np.stack(sides, axis=1)
    sizes[(sizes <= 0).any(axis=1)] = 0
    rows = np.flatnonzero(good)
    listed = tuple(rows.tolist())
    return Images(ids[rows], tuple(names[row] for row in listed), sizes[rows], records.present, listed)


def _references(
    records: CocoRecords, field: str, column: CheckedColumn, known: Int[np.ndarray, " k"], noun: str, listed: bool
) -> CheckedColumn:
    """Index in ``known`` of each row's id, and which rows have one; 0 elsewhere.

    Args:
        records: of the annotations.
        field: that holds the id.
        column: of that field.
        known: ids in any order.
        noun: what they are ids of.
        listed: False where the file lacks that list, which is one problem of the file, not of each row.
    """
    order = np.argsort(known)
    places = lookup(column.values, known[order])
    if listed:
        message = f"{{}} is no usable {noun} of this file"
        records.report_all(column.good & (places < 0), ProblemKind.UNKNOWN_ID, field, message, column.values)
    indices = order[np.maximum(places, 0)] if len(known) else np.zeros(len(places), np.int64)
    return CheckedColumn(indices, column.good & (places >= 0))


def _report_sizes(
    records: CocoRecords, boxes: Float[np.ndarray, "n 4"], good: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Which boxes have a positive width and height; those below a pixel are reported."""
    positive: Bool[np.ndarray, " n"] = boxes[:, 2:].min(axis=1) > 0
    for row in np.flatnonzero(good & positive & (boxes[:, 2:].prod(axis=1) < 1)).tolist():
        message = describe_tiny(*boxes[row, 2:].tolist())
        message += "; are these shares of 1? COCO's boxes are in pixels" * bool(boxes[row].max() <= 1)
        records.report(row, ProblemKind.TINY_BOX, "bbox", message, left_out=False)
    for row in np.flatnonzero(good & ~positive).tolist():
        width, height = boxes[row, 2:].tolist()
        what = "a negative size" if min(width, height) < 0 else "no area"
        records.report(row, ProblemKind.EMPTY_BOX, "bbox", f"has {what}: width {width:g}, height {height:g}")
    return positive


def _report_outside(
    records: CocoRecords,
    boxes: Float[np.ndarray, "n 4"],
    sizes: Int[np.ndarray, "n 2"] | None,
    good: Bool[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Which boxes are at least partly in their image; those not wholly in it are reported."""
    if sizes is None:
        return np.ones(len(boxes), bool)
    good = good & (sizes > 0).all(axis=1)
    beyond = np.concatenate([-boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - sizes], axis=1)
    # Out of one edge by its whole width or height: nothing of it is left inside.
    wholly: Bool[np.ndarray, " n"] = (np.tile(boxes[:, 2:], 2) - beyond).min(axis=1) <= 0
    for row in np.flatnonzero(good & (beyond > _ROUNDING).any(axis=1)).tolist():
        message = describe_outside(beyond[row], bool(wholly[row]), *sizes[row].tolist())
        records.report(row, ProblemKind.OUTSIDE, "bbox", message, left_out=bool(wholly[row]))
    some: Bool[np.ndarray, " n"] = ~(good & wholly)
    return some


def describe_tiny(width: float, height: float) -> str:
    """A box below a pixel, in words."""
    return f"is below a pixel: width {width:.4g}, height {height:.4g}"


def describe_outside(beyond: Float[np.ndarray, " 4"], wholly: bool, width: int, height: int) -> str:
    """How far a box reaches beyond its image, in words.

    Args:
        beyond: pixels beyond the left, top, right and bottom edge; negative inside.
        wholly: whether nothing of it is in the image.
        width: of the image in pixels; likewise ``height``.
        height: see ``width``.
    """
    edges = zip(("left", "top", "right", "bottom"), beyond.tolist(), strict=True)
    parts = [f"{distance:.4g} px beyond the {edge} edge" for edge, distance in edges if distance > 0]
    share = "wholly outside" if wholly else "partly outside"
    return f"{share} the {width}×{height} picture: {', '.join(parts)}"


def _areas(annotations: CocoAnnotations, good: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Stated areas; width times height where they are absent or not positive."""
    records, boxes, (areas, right) = annotations.records, annotations.boxes.values, annotations.areas
    whole = boxes[:, 2] * boxes[:, 3]
    stated = right & annotations.has_area
    message = "must be positive, got {}"
    records.report_all(stated & (areas <= 0), ProblemKind.AREA, "area", message, areas, left_out=False)
    large = good & stated & (areas > whole * _LARGEST_MASK + 1)
    for row in np.flatnonzero(large).tolist():
        message = f"{areas[row]:g} exceeds the {whole[row]:g} square pixels of its box"
        records.report(row, ProblemKind.AREA, "area", message, left_out=False)
    return np.where(stated & (areas > 0), areas, whole)


def _report_repeated(
    records: CocoRecords, columns: tuple[np.ndarray, ...], good: Bool[np.ndarray, " n"]
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
        first = records.entries[order[place]]["id"]
        message = f"the same picture, category and bbox as annotation id {first}"
        records.report(int(order[place + 1]), ProblemKind.DUPLICATE_OBJECT, "bbox", message)
    return repeated
