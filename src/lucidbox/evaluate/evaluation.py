"""Evaluate predictions against truth: sort, pair, match, accumulate."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.columns import index_of_ids, lookup
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.bitsets import bitsets
from lucidbox.evaluate.candidates import MatchCandidates, Objects, find_candidates
from lucidbox.evaluate.curves import Curves, Field, curves_of, field_of
from lucidbox.evaluate.matching import Matches, match
from lucidbox.evaluate.overlaps import Boxes
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.ranking import rank_detections, stable_order
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True, eq=False)
class Matching:
    """Everything that was found out before curves are drawn; every analysis starts from here.

    Attributes:
        truth: the annotated objects.
        predictions: the detections of the chosen categories, in the rows that the ranking numbers.
        protocol: the rules.
        category_ids: the category of each class index; empty if class-agnostic.
        class_names: name of each class index.
        objects: the truths of the chosen categories.
        candidates: detections with any truth to match, and their pairs.
        outcomes: the matches, one a word of cells.
        field: ranking, scores, sizes and number of truths.
    """

    truth: Truth
    predictions: Predictions
    protocol: Protocol
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    objects: Objects
    candidates: MatchCandidates
    outcomes: tuple[Matches, ...]
    field: Field

    def curves(self) -> Curves:
        """Precision, recall and score arrays."""
        return curves_of(self.field, self.candidates, self.outcomes)


def match_all(truth: Truth, predictions: Predictions, protocol: Protocol = COCO) -> Matching:
    """Match predictions to truth under every threshold and area range.

    Raises:
        DataError: a detection is on a picture or of a category that the truth does not have.
        OptionError: a class to evaluate is not in the truth.
    """
    ids = _chosen_categories(truth, protocol)
    images = index_of_ids(predictions.image_ids, truth.image_ids, "image_id", predictions.source)
    categories = index_of_ids(predictions.category_ids, truth.category_ids, "category_id", predictions.source)
    class_of_category = lookup(truth.category_ids, ids)
    classes = class_of_category if len(ids) < len(truth.category_ids) else np.arange(len(ids))
    rows = _rows_of_classes(classes, categories, protocol.class_agnostic)
    if rows is not None:
        predictions, images, categories = predictions[rows], images[rows], categories[rows]
    class_count = 1 if protocol.class_agnostic else len(ids)
    columns = np.zeros_like(categories) if protocol.class_agnostic else classes[categories]
    ranking = rank_detections(images, columns, predictions.scores, class_count)
    objects = _objects(truth, classes, protocol)
    candidates = find_candidates(ranking, predictions.boxes_xywh, objects, protocol)
    outcomes = tuple(match(candidates, objects, protocol, word) for word in bitsets(protocol))
    sizes = predictions.boxes_xywh[:, 2] * predictions.boxes_xywh[:, 3]
    return Matching(
        truth,
        predictions,
        protocol,
        () if protocol.class_agnostic else tuple(ids.tolist()),
        ("all classes",) if protocol.class_agnostic else _names_of(truth, ids),
        objects,
        candidates,
        outcomes,
        field_of(ranking, sizes, objects, protocol),
    )


def _chosen_categories(truth: Truth, protocol: Protocol) -> Int[np.ndarray, " k"]:
    if protocol.classes is None:
        return truth.category_ids
    unknown = sorted(set(protocol.classes) - set(truth.category_ids.tolist()))
    if unknown:
        raise OptionError(f"classes to evaluate: category {unknown[0]} is not in {truth.source}")
    return np.unique(np.array(protocol.classes, np.int64))


def _names_of(truth: Truth, ids: Int[np.ndarray, " k"]) -> tuple[str, ...]:
    return tuple(truth.category_names[index] for index in lookup(ids, truth.category_ids))


def _rows_of_classes(
    classes: Int[np.ndarray, " k"], categories: Int[np.ndarray, " n"], agnostic: bool
) -> Int[np.ndarray, " m"] | None:
    """Rows of the chosen classes; None for all of them as they are.

    Without classes pycocotools lines up a picture's boxes by category before it sorts, which decides ties.
    """
    chosen = None if len(classes) == 0 or classes.min() >= 0 else np.flatnonzero(classes[categories] >= 0)
    if not agnostic:
        return chosen
    order = stable_order(categories if chosen is None else categories[chosen])
    return order if chosen is None else chosen[order]


def _objects(truth: Truth, classes: Int[np.ndarray, " k"], protocol: Protocol) -> Objects:
    """The truths of the chosen classes, ordered by picture, class and arrival."""
    rows = _rows_of_classes(classes, truth.categories, protocol.class_agnostic)
    rows = np.arange(len(truth)) if rows is None else rows
    count = 1 if protocol.class_agnostic else int(classes.max(initial=-1)) + 1
    columns = np.zeros(len(rows), np.int64) if protocol.class_agnostic else classes[truth.categories[rows]]
    groups = truth.images[rows] * count + columns
    order = np.argsort(groups, kind="stable")
    rows = rows[order]
    areas, crowds = truth.areas[rows], truth.crowds[rows]
    ignored = np.array([crowds | (areas < one.low) | (areas > one.high) for one in protocol.areas])
    return Objects(rows, groups[order], columns[order], Boxes.from_xywh(truth.boxes_xywh[rows]), crowds, ignored)
