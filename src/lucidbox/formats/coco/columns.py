"""Reading a COCO annotation file into columns: the one reader, of whatever is done with the file afterwards."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Bool
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.records import CocoRecords, FloatColumn, IntColumn, TextColumn
from lucidbox.formats.json_text import collector_off, describe_value, parse_json, read_bytes


@dataclass(frozen=True, eq=False)
class CocoImages:
    """The list ``images``: a row for each entry; ``records`` has the problems."""

    records: CocoRecords
    ids: IntColumn
    file_names: TextColumn
    widths: IntColumn
    heights: IntColumn


@dataclass(frozen=True, eq=False)
class CocoCategories:
    """The list ``categories``."""

    records: CocoRecords
    ids: IntColumn
    names: TextColumn


@dataclass(frozen=True, eq=False)
class CocoAnnotations:
    """The list ``annotations``: a row for each entry, in the file's order.

    Attributes:
        records: the entries and their problems.
        ids: of the annotations; ``image_ids`` and ``category_ids`` likewise.
        boxes: left, top, width, height, in pixels in COCO's files.
        areas: square pixels; -1 where not stated.
        area_stated: where they are.
        crowds: 0 or 1; 0 where not stated.
        crowd_stated: where they are.
    """

    records: CocoRecords
    ids: IntColumn
    image_ids: IntColumn
    category_ids: IntColumn
    boxes: FloatColumn
    areas: FloatColumn
    area_stated: Bool[np.ndarray, " n"]
    crowds: IntColumn
    crowd_stated: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, records: CocoRecords) -> "CocoAnnotations":
        """The columns of these entries."""
        return cls(
            records,
            records.whole_numbers("id"),
            records.whole_numbers("image_id"),
            records.whole_numbers("category_id"),
            records.boxes("bbox"),
            records.numbers("area", -1.0),
            records.stated("area"),
            records.flags("iscrowd"),
            records.stated("iscrowd"),
        )


@dataclass(frozen=True, eq=False)
class CocoColumns:
    """A whole annotation file.

    Attributes:
        source: the file's name, for messages.
        images: its lists.
        annotations: see ``images``.
        categories: see ``images``.
    """

    source: str
    images: CocoImages
    annotations: CocoAnnotations
    categories: CocoCategories


def read_columns(file: str | Path) -> CocoColumns:
    """Read an annotation file (``instances_*.json``) to its end, whatever is wrong with its entries.

    Raises:
        DataError: it cannot be read, is no JSON, or no object.
    """
    source = str(file)
    with collector_off():
        document = parse_json(read_bytes(file), source)
        if not isinstance(document, dict):
            kind = describe_value(document)
            raise DataError(f"{source}: expected an object with images, annotations, categories, got {kind}")
        images, annotations, categories = (
            CocoRecords.of(document, name, source) for name in ("images", "annotations", "categories")
        )
        return CocoColumns(
            source,
            CocoImages(
                images,
                images.whole_numbers("id"),
                images.texts("file_name"),
                images.whole_numbers("width", left_out=False),
                images.whole_numbers("height", left_out=False),
            ),
            CocoAnnotations.of(annotations),
            CocoCategories(categories, categories.whole_numbers("id"), categories.texts("name")),
        )
