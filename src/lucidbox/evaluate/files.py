"""COCO's JSON files as truth and predictions."""

from pathlib import Path

import numpy as np

from lucidbox.core.columns import boxes_column, lookup, refuse_repeated
from lucidbox.core.errors import DataError
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.summary import evaluate
from lucidbox.evaluate.truth import Truth
from lucidbox.formats.coco.columns import CocoAnnotations, read_lists
from lucidbox.formats.coco.results import CocoResults, read_results, write_results
from lucidbox.formats.coco.substitutes import image_name


def load_truth(path: str | Path) -> Truth:
    """Read a COCO annotation file (``instances_*.json``).

    What is absent or written in an unusual way is taken as ``lucidbox.datasets`` takes it, and ``Truth.notes``
    says how often: objects without ``iscrowd`` are no crowds, those without ``area`` have width times height,
    those without ``bbox`` the box around their segmentation, and ids may be texts.

    Raises:
        DataError: unreadable, not JSON, or a field is missing or wrong; names file, entry and field.
    """
    lists = read_lists(path)
    annotations, where = CocoAnnotations.of(lists.annotations), lists.annotations.where
    image_ids = lists.images.ids("id").values
    category_ids = lists.categories.ids("id").values
    for records in lists:
        records.refuse_problems()
    refuse_repeated(category_ids, "id", lists.categories.where)
    boxes = boxes_column(annotations.boxes.values, where, len(lists.annotations))
    categories = zip(category_ids.tolist(), lists.categories.entries, strict=True)
    images = zip(image_ids.tolist(), lists.images.entries, strict=True)
    notes = [*lists.images.notes, *lists.categories.notes, *lists.annotations.notes]
    notes += [f"{path}: {annotations.only_crowds}"] if annotations.only_crowds else []
    # Asked for after what is wrong was refused: sizes are for notes alone.
    sizes = np.stack([lists.images.numbers(side, 0.0).values for side in ("width", "height")], axis=1)
    return Truth.from_arrays(
        annotations.image_ids.values,
        annotations.category_ids.values,
        boxes,
        areas=np.where(annotations.has_area, annotations.areas.values, boxes[:, 2] * boxes[:, 3]),
        crowds=annotations.crowds.values,
        annotation_ids=annotations.ids.values,
        pictures=image_ids,
        categories={number: str(entry.get("name", number)) for number, entry in categories},
        file_names={number: image_name(entry) for number, entry in images},
        sizes=sizes,
        source=where,
        notes=tuple(notes),
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
    if subset:
        return predictions.restricted_to(truth)
    try:
        return predictions.checked_against(truth)
    except DataError as error:
        raise DataError(f"{error}; {_hint(predictions, truth)}") from None


def _hint(predictions: Predictions, truth: Truth) -> str:
    """What may be wrong where ids are unknown: the likeliest cause, or the ids of both sides."""
    told = evaluate(truth, predictions.restricted_to(truth)).doubts
    if told:
        return told[0].removeprefix(f"{predictions.source}: ")
    sides = []
    for name, given, known in (
        ("image", predictions.image_ids, truth.image_ids),
        ("category", predictions.category_ids, truth.category_ids),
    ):
        if len(known) and (lookup(given, known) < 0).any():
            ranges = f"{given.min()} to {given.max()}, those of the annotations from {known[0]} to {known[-1]}"
            sides.append(f"{name} ids run from {ranges}")
    return f"{', '.join(sides)}; --subset leaves such detections out and counts them"


def save_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a COCO result file: boxes with 3 decimals, scores with 5, as is customary.

    Raises:
        OutputError: the file cannot be written.
    """
    columns = predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, predictions.scores
    write_results(path, CocoResults(*columns))
