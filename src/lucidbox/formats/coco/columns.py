"""Reading a COCO annotation file into its lists, and the annotations into columns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lucidbox.core.array_types import Bool
from lucidbox.core.errors import DataError
from lucidbox.formats.coco.records import CheckedColumn, CocoRecords
from lucidbox.formats.coco.substitutes import box_of_outline
from lucidbox.formats.json_text import collector_off, describe_value, parse_json, read_bytes


class CocoLists(NamedTuple):
    """The lists of an annotation file, in the file's order."""

    images: CocoRecords
    annotations: CocoRecords
    categories: CocoRecords

    @classmethod
    def of(cls, document: Any, source: str) -> "CocoLists":
        """The lists of a parsed file; ``source`` is what messages call it.

        Raises:
            DataError: not an object.
        """
        if not isinstance(document, dict):
            kind = describe_value(document)
            raise DataError(f"{source}: expected an object with images, annotations, categories, got {kind}")
        return cls(*(CocoRecords.of(document, name, source) for name in cls._fields))


@dataclass(frozen=True, eq=False)
class CocoAnnotations:
    """The columns of annotations: a row for each, right or wrong.

    Attributes:
        records: the entries and their problems.
        ids: of the annotations; ``image_ids`` and ``category_ids`` likewise.
        boxes: four numbers, in COCO's files left, top, width, height in pixels.
        areas: square pixels; -1 where not stated.
        crowds: whether a box stands for many objects; False where not stated.
        has_area: where the area is stated.
    """

    records: CocoRecords
    ids: CheckedColumn
    image_ids: CheckedColumn
    category_ids: CheckedColumn
    boxes: CheckedColumn
    areas: CheckedColumn
    crowds: CheckedColumn
    has_area: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, records: CocoRecords) -> "CocoAnnotations":
        """The columns of these entries."""
        return cls(
            records,
            records.ids("id", numbered=True),
            records.ids("image_id"),
            records.ids("category_id"),
            records.boxes("bbox", box_of_outline),
            records.numbers("area", -1.0, "width times height is taken"),
            records.flags("iscrowd"),
            records.stated("area"),
        )

    @property
    def only_crowds(self) -> str:
        """What to say where every annotation is a crowd; empty where not so."""
        count = len(self.records)
        if not count or not self.crowds.values.all():
            return ""
        return f"all {count} annotations have iscrowd 1, so none counts as an object; single objects have 0"


def read_lists(file: str | Path) -> CocoLists:
    """Read an annotation file (``instances_*.json``): the one reader, of data sets and of the evaluation.

    Raises:
        DataError: it cannot be read, is not JSON, or not an object.
    """
    source = str(file)
    with collector_off():
        document = parse_json(read_bytes(file), source)
    return CocoLists.of(document, source)
