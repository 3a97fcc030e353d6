"""Reading a COCO annotation file into its lists, and the annotations into columns."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lucidbox.core.array_types import Bool
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.records import CheckedColumn, CocoRecords
from lucidbox.formats.json_text import collector_off, describe_value, parse_json, read_bytes


class CocoLists(NamedTuple):
    """The lists of an annotation file, in the file's order."""

    images: CocoRecords
    annotations: CocoRecords
    categories: CocoRecords


@dataclass(frozen=True, eq=False)
class CocoAnnotations:
    """The columns of annotations: a row for each, right or wrong.

    Attributes:
        records: the entries and their problems.
        ids: of the annotations; ``image_ids`` and ``category_ids`` likewise.
        boxes: four numbers, in COCO's files left, top, width, height in pixels.
        areas: square pixels; -1 where not stated.
        crowds: whether a box stands for many objects; False where not stated.
        has_area: where the area is stated; ``has_crowd`` likewise.
    """

    records: CocoRecords
    ids: CheckedColumn
    image_ids: CheckedColumn
    category_ids: CheckedColumn
    boxes: CheckedColumn
    areas: CheckedColumn
    crowds: CheckedColumn
    has_area: Bool[np.ndarray, " n"]
    has_crowd: Bool[np.ndarray, " n"]

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
            records.flags("iscrowd"),
            records.stated("area"),
            records.stated("iscrowd"),
        )

    def absent(self) -> list[tuple[str, int]]:
        """Which optional fields are not everywhere, and how many annotations lack them."""
        stated = (("area", self.has_area), ("iscrowd", self.has_crowd))
        return [(field, int((~there).sum())) for field, there in stated if not there.all()]


def read_lists(file: str | Path) -> CocoLists:
    """Read an annotation file (``instances_*.json``): the one reader, of data sets and of the evaluation.

    Raises:
        DataError: it cannot be read, is not JSON, or not an object.
    """
    source = str(file)
    with collector_off():
        document = parse_json(read_bytes(file), source)
    if not isinstance(document, dict):
        kind = describe_value(document)
        raise DataError(f"{source}: expected an object with images, annotations, categories, got {kind}")
    return CocoLists(*(CocoRecords.of(document, name, source) for name in CocoLists._fields))
