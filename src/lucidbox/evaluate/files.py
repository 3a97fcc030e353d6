"""COCO's JSON files as truth and predictions."""

from pathlib import Path

import numpy as np

from lucidbox.core.columns import boxes_column, refuse_repeated
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.truth import Truth
from lucidbox.formats.coco.columns import CocoColumns, read_columns
from lucidbox.formats.coco.results import CocoResults, read_results, write_results

_USED = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")


def load_truth(path: str | Path) -> Truth:
    """Read a COCO annotation file (``instances_*.json``).

    Objects without ``iscrowd`` are no crowds; objects without ``area`` have width times height. ``Truth.notes``
    says how many there are of both.

    Raises:
        DataError: unreadable, not JSON, or a field is missing or wrong; names file, entry and field.
    """
    columns = read_columns(path)
    for records in (columns.images.records, columns.annotations.records, columns.categories.records):
        records.refuse(_USED)
    annotations, images, where = columns.annotations, columns.images, columns.annotations.records.where
    boxes = boxes_column(annotations.boxes.values, where, len(annotations.records))
    image_ids = images.ids.values
    return Truth.from_arrays(
        annotations.image_ids.values,
        annotations.category_ids.values,
        boxes,
        areas=np.where(annotations.area_stated, annotations.areas.values, boxes[:, 2] * boxes[:, 3]),
        crowds=annotations.crowds.values,
        annotation_ids=annotations.ids.values,
        pictures=image_ids,
        categories=_category_names(columns),
        file_names=dict(zip(image_ids.tolist(), images.file_names.values, strict=True)),
        source=where,
        notes=_notes(columns),
    )


def load_predictions(path: str | Path, truth: Truth, *, subset: bool = False) -> Predictions:
    """Read a COCO result file: a list of image_id, category_id, bbox (left, top, width, height), score.

    Args:
        path: the file.
        truth: the annotations the results belong to.
        subset: leave out, and count in ``notes``, detections on images or of categories that ``truth`` does not
            have, instead of refusing them.

    Raises:
        DataError: unreadable, not JSON, a field missing or wrong, an image or category unknown; names file, entry
            and field.
    """
    results = read_results(path)
    predictions = Predictions.from_arrays(
        results.image_ids, results.category_ids, results.boxes_xywh, results.scores, source=str(path)
    )
    return predictions.restricted_to(truth) if subset else predictions.checked_against(truth)


def save_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a COCO result file: boxes with 3 decimals, scores with 5, as is customary.

    Raises:
        OutputError: the file cannot be written.
    """
    columns = predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, predictions.scores
    write_results(path, CocoResults(*columns))


def _category_names(columns: CocoColumns) -> dict[int, str]:
    """Name by id; the id itself where there is no name."""
    records, ids = columns.categories.records, columns.categories.ids.values
    refuse_repeated(ids, "id", records.where)
    named = zip(ids.tolist(), columns.categories.names.values, records.stated("name").tolist(), strict=True)
    return {number: name if stated else str(number) for number, name, stated in named}


def _notes(columns: CocoColumns) -> tuple[str, ...]:
    annotations = columns.annotations
    absent = (
        (annotations.area_stated, "area", "width times height was taken"),
        (annotations.crowd_stated, "iscrowd", "they count as single objects"),
    )
    return tuple(
        f"{columns.source}: {int((~stated).sum())} of {len(stated)} annotations have no {field}; {remedy}"
        for stated, field, remedy in absent
        if not stated.all()
    )
