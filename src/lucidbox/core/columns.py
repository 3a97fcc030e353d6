"""Checking columns of ids, boxes and numbers, with errors that name the entry and the field."""

import numpy as np
from numpy.typing import ArrayLike

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.errors import DataError

# Ids that span less than this are looked up in a table; wider ones (hashes, timestamps) by bisection.
_WIDEST_TABLE = 1 << 22
_LARGEST = 1e150  # coordinates beyond it have areas that a double cannot hold


def id_column(values: ArrayLike, field: str, source: str, count: int | None = None) -> Int[np.ndarray, " n"]:
    """Whole numbers, one an entry.

    Raises:
        DataError: not one-dimensional, not whole numbers, or not ``count`` of them.
    """
    column = np.asarray(values)
    if column.size == 0 and column.ndim <= 2:
        column = np.zeros(0, np.int64)
    if column.dtype.kind not in "iu":
        raise DataError(f"{source}: {field} must be whole numbers, got an array of {column.dtype}")
    _same_length(column, field, source, count)
    return column.astype(np.int64, copy=False)


def finite_column(values: ArrayLike, field: str, source: str, count: int | None = None) -> Float[np.ndarray, " n"]:
    """Finite numbers in double precision, one an entry.

    Raises:
        DataError: not one-dimensional, not numbers, not ``count`` of them, NaN or infinite.
    """
    column = _as_double(values, field, source)
    column = column.reshape(0) if column.size == 0 else column
    _same_length(column, field, source, count)
    refuse(~np.isfinite(column), column, field, source, "is not a finite number")
    return column


def boxes_column(boxes_xywh: ArrayLike, source: str, count: int) -> Float[np.ndarray, "n 4"]:
    """Boxes as left, top, width, height in double precision.

    Raises:
        DataError: not four numbers a box, not ``count`` of them, NaN, infinite, so large that an area
            is, or a negative size.
    """
    boxes = _as_double(boxes_xywh, "bbox", source)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DataError(f"{source}: bbox must be four numbers an entry, got an array of shape {boxes.shape}")
    if len(boxes) != count:
        raise DataError(f"{source}: {len(boxes)} boxes for {count} entries")
    # Cheap passes find that nothing is wrong, which no NaN passes; which entry is wrong is looked for only then.
    if boxes.size and not (boxes.min() >= -_LARGEST and boxes.max() <= _LARGEST and boxes[:, 2:].min() >= 0):
        refuse(np.any(~np.isfinite(boxes), axis=1), boxes, "bbox", source, "is not finite")
        refuse(np.any(np.abs(boxes) > _LARGEST, axis=1), boxes, "bbox", source, f"is larger than {_LARGEST:g}")
        refuse(np.any(boxes[:, 2:] < 0, axis=1), boxes, "bbox", source, "has a negative width or height")
    return boxes


def _as_double(values: ArrayLike, field: str, source: str) -> Float[np.ndarray, "..."]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iuf":
        raise DataError(f"{source}: {field} must be numbers, got an array of {array.dtype}")
    return array.astype(np.float64, copy=False)


def _same_length(column: np.ndarray, field: str, source: str, count: int | None) -> None:
    if column.ndim != 1 or (count is not None and len(column) != count):
        wanted = "one number an entry" if count is None else f"{count} numbers, one an entry"
        raise DataError(f"{source}: {field} must be {wanted}, got an array of shape {column.shape}")


def refuse(wrong: Bool[np.ndarray, " n"], values: np.ndarray, field: str, source: str, reason: str) -> None:
    """Raise a DataError that names the first wrong entry and how many there are; none wrong: nothing."""
    if wrong.any():
        entry, total = int(np.argmax(wrong)), int(wrong.sum())
        others = f" ({total} such entries)" if total > 1 else ""
        raise DataError(f"{source}: entry {entry}: {field} {values[entry].tolist()} {reason}{others}")


def refuse_repeated(ids: Int[np.ndarray, " n"], field: str, source: str) -> None:
    """Raise a DataError that names the first entry whose id an earlier one had."""
    if len(ids) > 1 and not (ids[1:] > ids[:-1]).all():
        repeated = np.ones(len(ids), bool)
        repeated[np.unique(ids, return_index=True)[1]] = False
        refuse(repeated, ids, field, source, "was used by an earlier entry; ids must differ")


def lookup(ids: Int[np.ndarray, " n"], known: Int[np.ndarray, " k"]) -> Int[np.ndarray, " n"]:
    """Index of each id in ``known`` (ascending); -1 where it is not there."""
    if len(known) == 0 or len(ids) == 0:
        return np.full(len(ids), -1)
    low, high = int(known[0]), int(known[-1])
    if high - low >= _WIDEST_TABLE:
        near = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[near] == ids, near, -1)
    table = np.full(high - low + 3, -1)
    table[known - (low - 1)] = np.arange(len(known))
    # Ids outside the table are looked up in its two border entries, which are -1.
    found: Int[np.ndarray, " n"] = table[np.clip(ids, low - 1, high + 1) - (low - 1)]
    return found


def index_of_ids(
    ids: Int[np.ndarray, " n"], known: Int[np.ndarray, " k"], field: str, source: str
) -> Int[np.ndarray, " n"]:
    """Index of each id in ``known`` (ascending).

    Raises:
        DataError: an id is unknown.
    """
    found = lookup(ids, known)
    if len(found) and found.min() < 0:
        nouns = {"image_id": "picture", "category_id": "category"}
        refuse(found < 0, ids, field, source, f"is no {nouns.get(field, 'id')} of the annotations")
    return found
