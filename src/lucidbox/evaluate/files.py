"""COCO's JSON files as truth and predictions."""

from pathlib import Path

import numpy as np

from lucidbox.core.columns import boxes_column, refuse_repeated
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.truth import Truth
from lucidbox.formats.coco.columns import CocoAnnotations, read_lists
from lucidbox.formats.coco.results import CocoResults, read_results, write_results


def load_truth(path: str | Path) -> Truth:
    """Read a COCO annotation file (``instances_*.json``).

    Objects without ``iscrowd`` are no crowds; objects without ``area`` have width times height. ``Truth.notes``
    says how many there are of both.

    Raises:
        DataError: unreadable, not JSON, or a field is missing or wrong; names file, entry and field.
    """
    lists = read_lists(path)
    annotations, where = CocoAnnotations.of(lists.annotations), lists.annotations.where
    image_ids = lists.images.whole_numbers("id").values
    category_ids = lists.categories.whole_numbers("id").values
    for records in lists:
        records.refuse_problems()
    refuse_repeated(category_ids, "id", lists.categories.where)
    boxes = boxes_column(annotations.boxes.values, where, len(lists.annotations))
    categories = zip(category_ids.tolist(), lists.categories.entries, strict=True)
    images = zip(image_ids.tolist(), lists.images.entries, strict=True)
    # Asked for after what is wrong was refused: sizes are for notes alone.
    sizes = np.stack([lists.images.numbers(side, 0.0).values for side in ("width", "height")], axis=1)
    taken = {"area": "width times height was taken", "iscrowd": "they count as single objects"}
    return Truth.from_arrays(
        annotations.image_ids.values,
        annotations.category_ids.values,
        boxes,
        areas=np.where(annotations.has_area, annotations.areas.values, boxes[:, 2] * boxes[:, 3]),
        crowds=annotations.crowds.values,
        annotation_ids=annotations.ids.values,
        pictures=image_ids,
        categories={number: str(entry.get("name", number)) for number, entry in categories},
        file_names={number: str(entry.get("file_name", "")) for number, entry in images},
        sizes=sizes,
        source=where,
        notes=tuple(
            f"{path}: {count} of {len(lists.annotations)} annotations have no {field}; {taken[field]}"
            for field, count in annotations.absent()
        ),
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
    predictions = Predictions.from_arrays(*read_results(path), source=str(path))
    return predictions.restricted_to(truth) if subset else predictions.checked_against(truth)


def save_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a COCO result file: boxes with 3 decimals, scores with 5, as is customary.

    Raises:
        OutputError: the file cannot be written.
    """
    columns = predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, predictions.scores
    write_results(path, CocoResults(*columns))
