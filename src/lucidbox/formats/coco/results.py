"""COCO result files: a list of ``{"image_id", "category_id", "bbox": [left, top, width, height], "score"}``."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from lucidbox.core.array_types import Float, Int
from lucidbox.core.errors import DataError
from lucidbox.core.filesystem import atomic_write
from lucidbox.core.parallel import cores, in_threads
from lucidbox.formats.coco.records import CocoRecords
from lucidbox.formats.json_text import collector_off, cut_list, parse_list, read_bytes
from lucidbox.formats.uniform_json import SPARE_BYTES, EntryTemplate, NotUniformError, NumberColumn

_FIELDS = ("image_id", "category_id", "bbox", "score")
_THREADS = 2


class CocoResults(NamedTuple):
    """The columns of a result file: a row for each detection.

    Attributes:
        image_ids: of each detection.
        category_ids: of each detection.
        boxes_xywh: left, top, width, height in pixels.
        scores: of each detection.
    """

    image_ids: Int[np.ndarray, " n"]
    category_ids: Int[np.ndarray, " n"]
    boxes_xywh: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]


def read_results(path: str | Path) -> CocoResults:
    """Read a result file.

    The file is read in pieces by several threads: pieces in which all entries are written alike with NumPy, others
    with a JSON parser. Both give the same numbers to the last bit.

    Raises:
        DataError: unreadable, not JSON, or a field missing or wrong; names file, entry and field.
    """
    source = str(path)
    with collector_off():
        pieces = list(_read_pieces(read_bytes(path), source))
    return CocoResults(*map(np.concatenate, zip(*pieces, strict=True)))


def write_results(path: str | Path, results: CocoResults) -> None:
    """Write a result file: boxes with 3 decimals, scores with 5, as is customary.

    Raises:
        OutputError: the file cannot be written.
    """
    images, categories, boxes, scores = results
    columns = images.tolist(), categories.tolist(), boxes.round(3).tolist(), scores.round(5).tolist()
    rows = [dict(zip(_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]
    atomic_write(path, json.dumps(rows))


def _read_pieces(content: bytes, source: str) -> Iterator[CocoResults]:
    """The entries of a file, some at a time."""
    read = 0
    work = partial(_parse_piece, content, _template(content))
    try:
        for piece in in_threads(work, cut_list(content), min(_THREADS, cores())):
            columns = piece if isinstance(piece, CocoResults) else _from_entries(piece, source, read)
            read += len(columns.scores)
            yield columns
    except DataError:
        raise
    except ValueError:
        # A cut inside a string or a nested object leaves a piece that is not JSON; a comma before the closing
        # bracket leaves an empty one. Reading the file whole tells what is right.
        pass
    else:
        if read:
            return
    yield _from_entries(parse_list(content, source)[read:], source, read)


def _template(content: bytes) -> EntryTemplate | None:
    """How the entries are written; None if they are not to be read by NumPy."""
    start = content.find(b"{")
    try:
        template = EntryTemplate.of(content[start : start + 4096])
    except ValueError:
        return None
    fields = template.fields
    box = fields.get("bbox")
    single = all(type(fields.get(field)) is int for field in ("image_id", "category_id", "score"))
    four = isinstance(box, list) and len(box) == 4 and {type(index) for index in box} == {int}
    return template if single and four else None


def _parse_piece(content: bytes, template: EntryTemplate | None, piece: slice) -> CocoResults | list[Any]:
    """The columns of a piece, or its entries.

    Raises:
        ValueError: it is not JSON, or empty.
    """
    if template is not None:
        try:
            return _from_text(content, template, piece)
        except NotUniformError:
            pass
    entries = orjson.loads(b"[%b]" % content[piece])
    if not entries:
        raise ValueError("a piece without entries")
    return list(entries)


def _from_text(content: bytes, template: EntryTemplate, piece: slice) -> CocoResults:
    start, stop = content.find(b"{", piece.start, piece.stop), piece.stop
    if start < 0 or content[piece.start : start].strip():
        raise NotUniformError
    text = np.frombuffer(content, np.uint8)[start : stop + SPARE_BYTES]
    if len(text) < stop - start + SPARE_BYTES:  # the last piece
        text = np.frombuffer(content[start:stop] + bytes(SPARE_BYTES), np.uint8)
    columns = template.read(text)
    fields = template.fields
    images, categories = _whole(columns[fields["image_id"]]), _whole(columns[fields["category_id"]])
    boxes = np.stack([columns[index] for index in fields["bbox"]], axis=1).astype(np.float64, copy=False)
    return CocoResults(images, categories, boxes, columns[fields["score"]].astype(np.float64, copy=False))


def _whole(ids: NumberColumn) -> Int[np.ndarray, " n"]:
    """Ids, of which some may be written as fractions: 1.0.

    Raises:
        NotUniformError: one of them is no whole number.
    """
    whole = ids.astype(np.int64, copy=False)
    if whole is not ids and (whole != ids).any():
        raise NotUniformError
    return whole


def _from_entries(entries: list[Any], source: str, first: int) -> CocoResults:
    """The columns of parsed entries.

    Raises:
        DataError: a field is missing or wrong.
    """
    records = CocoRecords(entries, source, first=first)
    columns = (
        records.ids("image_id"), records.ids("category_id"), records.boxes("bbox"),
        records.numbers("score"),
    )  # fmt: skip
    records.refuse_problems()
    return CocoResults(*(column.values for column in columns))
