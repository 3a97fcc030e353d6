"""COCO's JSON files: annotations and results in, results out."""

import json
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.columns import boxes_column
from lucidbox.core.errors import DataError
from lucidbox.core.filesystem import atomic_write
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.truth import Truth
from lucidbox.formats.json_text import collector_off, describe_value, parse_entries, parse_json, read_bytes

_WHOLE, _NUMBER, _FLAG = frozenset({int}), frozenset({int, float}), frozenset({int, bool})


def load_truth(path: str | Path) -> Truth:
    """Read a COCO annotation file (``instances_*.json``).

    Objects without ``iscrowd`` are no crowds; objects without ``area`` have width times height. Both are
    counted and said in ``Truth.notes``.

    Raises:
        DataError: unreadable, not JSON, or a field is missing or wrong; names file, entry and field.
    """
    source = str(path)
    with collector_off():
        document = parse_json(read_bytes(path), source)
        if not isinstance(document, dict):
            raise DataError(
                f"{source}: expected an object with images, annotations, categories, got {describe_value(document)}"
            )
        images, objects, categories = (
            _section(document, name, source) for name in ("images", "annotations", "categories")
        )
        where = f"{source}: annotations"
        areas, areas_absent = _areas(objects, where)
        crowds, crowds_absent = _crowds(objects, where)
        notes = [
            f"{source}: {count} of {len(objects)} annotations have no {field}; {remedy}"
            for count, field, remedy in (
                (areas_absent, "area", "width times height was taken"),
                (crowds_absent, "iscrowd", "they count as single objects"),
            )
            if count
        ]
        return Truth.from_arrays(
            _whole_numbers(objects, "image_id", where),
            _whole_numbers(objects, "category_id", where),
            _boxes(objects, where),
            areas=areas,
            crowds=crowds,
            annotation_ids=_whole_numbers(objects, "id", where),
            pictures=_whole_numbers(images, "id", f"{source}: images"),
            categories=_category_names(categories, f"{source}: categories"),
            file_names={one["id"]: str(one.get("file_name", "")) for one in images},
            source=where,
            notes=tuple(notes),
        )


def load_predictions(path: str | Path, truth: Truth, *, subset: bool = False) -> Predictions:
    """Read a COCO result file: a list of image_id, category_id, bbox (left, top, width, height), score.

    Args:
        path: the file.
        truth: the annotations the results belong to.
        subset: leave out, and count in ``notes``, detections on pictures or of categories that ``truth``
            does not have, instead of refusing them.

    Raises:
        DataError: unreadable, not JSON, a field missing or wrong, a picture or category unknown; names
            file, entry and field.
    """
    source = str(path)
    columns: list[tuple[np.ndarray, ...]] = []
    read = 0
    with collector_off():
        for entries, strange in parse_entries(read_bytes(path), source):
            columns.append(
                (
                    _whole_numbers(entries, "image_id", source, read, strange),
                    _whole_numbers(entries, "category_id", source, read, strange),
                    _boxes(entries, source, read, strange),
                    _numbers(entries, "score", source, read, strange),
                )
            )
            read += len(entries)
    images, categories, boxes, scores = (np.concatenate(column) for column in zip(*columns, strict=True))
    predictions = Predictions.from_arrays(images, categories, boxes, scores, source=source)
    return predictions.restricted_to(truth) if subset else predictions.checked_against(truth)


def save_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a COCO result file: boxes with 3 decimals, scores with 5, as is customary.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = zip(
        predictions.image_ids.tolist(),
        predictions.category_ids.tolist(),
        predictions.boxes_xywh.round(3).tolist(),
        predictions.scores.round(5).tolist(),
        strict=True,
    )
    fields = ("image_id", "category_id", "bbox", "score")
    atomic_write(path, json.dumps([dict(zip(fields, row, strict=True)) for row in rows]))


def _section(document: dict[str, Any], name: str, source: str) -> list[Any]:
    if name not in document:
        raise DataError(f"{source}: the field {name} is missing; is this a COCO annotation file?")
    if not isinstance(document[name], list):
        raise DataError(f"{source}: {name} must be a list, got {describe_value(document[name])}")
    return list(document[name])


def _category_names(categories: Sequence[Any], where: str) -> dict[int, str]:
    ids = _whole_numbers(categories, "id", where).tolist()
    if len(set(ids)) != len(ids):
        entry = next(index for index, one in enumerate(ids) if one in ids[:index])
        raise DataError(f"{where}: entry {entry}: id {ids[entry]} was used by an earlier entry; ids must differ")
    return {number: str(one.get("name", number)) for number, one in zip(ids, categories, strict=True)}


def _areas(objects: Sequence[Any], where: str) -> tuple[Float[np.ndarray, " n"] | None, int]:
    """Area of each object, box area where it is absent, and how many are absent."""
    absent = [index for index, one in enumerate(objects) if isinstance(one, dict) and "area" not in one]
    if not absent:
        return _numbers(objects, "area", where), 0
    boxes = boxes_column(_boxes(objects, where), where, len(objects))
    filled = [one if "area" in one else one | {"area": 0.0} for one in objects]
    areas = _numbers(filled, "area", where)
    areas[absent] = boxes[absent, 2] * boxes[absent, 3]
    return areas, len(absent)


def _crowds(objects: Sequence[Any], where: str) -> tuple[Int[np.ndarray, " n"], int]:
    """Crowd flag of each object, 0 where it is absent, and how many are absent."""
    absent = sum(isinstance(one, dict) and "iscrowd" not in one for one in objects)
    given = [one if not isinstance(one, dict) else {"iscrowd": one.get("iscrowd", 0)} for one in objects]
    values = _column(given, "iscrowd", where, 0, "0 or 1", lambda value: type(value) in _FLAG and value in (0, 1))
    return np.array(values, np.int64), absent


# ``strange`` below: whether values may be true or false, which Python's arrays would take for numbers. Without
# them the conversion to an array is itself the check.
def _whole_numbers(
    entries: Sequence[Any], field: str, where: str, first: int = 0, strange: bool = True
) -> Int[np.ndarray, " n"]:
    fits = lambda value: type(value) is int and -(1 << 63) <= value < 1 << 63  # noqa: E731
    values = _column(entries, field, where, first, "a whole number", fits, _WHOLE if strange else None)
    try:
        return np.frombuffer(array("q", values), np.int64)
    except (OverflowError, TypeError):
        raise _blame(entries, field, where, first, "a whole number of 64 bits", fits) from None


def _numbers(
    entries: Sequence[Any], field: str, where: str, first: int = 0, strange: bool = True
) -> Float[np.ndarray, " n"]:
    fits = lambda value: type(value) in _NUMBER  # noqa: E731
    values = _column(entries, field, where, first, "a number", fits, _NUMBER if strange else None)
    try:
        return _doubles(values, entries, field, where, first)
    except TypeError:
        raise _blame(entries, field, where, first, "a number", fits) from None


def _boxes(entries: Sequence[Any], where: str, first: int = 0, strange: bool = True) -> Float[np.ndarray, "n 4"]:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 4 and {type(side) for side in value} <= _NUMBER

    wanted = "four numbers (left, top, width, height)"
    boxes = _column(
        entries, "bbox", where, first, wanted, lambda value: isinstance(value, list), frozenset({list})
    )
    sides = list(chain.from_iterable(boxes))
    try:
        if set(map(len, boxes)) <= {4} and not (strange and set(map(type, sides)) - _NUMBER):
            return _doubles(sides, entries, "bbox", where, first).reshape(-1, 4)
    except TypeError:
        pass
    raise _blame(entries, "bbox", where, first, wanted, fits)


def _doubles(
    values: Sequence[Any], entries: Sequence[Any], field: str, where: str, first: int
) -> Float[np.ndarray, " n"]:
    try:
        return np.frombuffer(array("d", values), np.float64).copy()
    except OverflowError:
        raise _blame(entries, field, where, first, "a number that a double can hold", _in_range) from None


def _in_range(value: Any) -> bool:
    try:
        return bool(np.isfinite(np.array(value, np.float64)).all())
    except OverflowError:
        return False


def _column(
    entries: Sequence[Any],
    field: str,
    where: str,
    first: int,
    wanted: str,
    fits: Callable[[Any], bool],
    types: frozenset[type] | None = frozenset(),
) -> list[Any]:
    """One field of every entry.

    Args:
        entries: objects of the file.
        field: the field's name.
        where: file and section, for messages.
        first: number of the first entry in its file.
        wanted: what the field must be, for messages.
        fits: whether a value is that.
        types: if every value's type is among these, none is looked at singly; None to look at none at all.

    Raises:
        DataError: an entry is no object, lacks the field, or its value does not fit.
    """
    try:
        values = list(map(itemgetter(field), entries))
    except (KeyError, TypeError, IndexError):
        raise _blame(entries, field, where, first, wanted, fits) from None
    if types is None or (types and set(map(type, values)) <= types):
        return values
    if not all(map(fits, values)):
        raise _blame(entries, field, where, first, wanted, fits)
    return values


def _blame(
    entries: Sequence[Any], field: str, where: str, first: int, wanted: str, fits: Callable[[Any], bool]
) -> DataError:
    """The error that names the first entry at fault."""
    for number, entry in enumerate(entries, start=first):
        if not isinstance(entry, dict):
            return DataError(f"{where}: entry {number}: must be an object, got {describe_value(entry)}")
        if field not in entry:
            return DataError(f"{where}: entry {number}: the field {field} is missing")
        if not fits(entry[field]):
            return DataError(
                f"{where}: entry {number}: {field} must be {wanted}, got {describe_value(entry[field])}"
            )
    raise AssertionError(f"{where}: no entry is at fault")
