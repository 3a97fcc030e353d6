"""Match predictions to truth: sort, list pairs, match. :mod:`lucidbox.evaluate.curves` makes the curves."""

from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Int
from lucidbox.core.columns import index_of_ids, lookup
from lucidbox.core.errors import OptionError
from lucidbox.evaluate.bitsets import bitsets
from lucidbox.evaluate.candidates import MatchCandidates, Objects, find_candidates
from lucidbox.evaluate.matching import Matches, match
from lucidbox.evaluate.overlaps import Boxes
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.ranking import Ranking, rank_detections, stable_order
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True, eq=False)
class Matching:
    """Every match of an evaluation; curves and all analyses are computed from it.

    Attributes:
        truth: the annotated objects.
        predictions: the detections of the chosen categories, in the rows that the ranking numbers.
        protocol: the rules.
        category_ids: the category of each class index; empty if class-agnostic.
        class_names: name of each class index.
        objects: the truths of the chosen categories.
        ranking: the detections' order.
        outside: per area range, whether the detection at each position of the ranking is of another size.
        positives: number of truths that count, per area range and class.
        candidates: detections that overlap any truth, and their pairs.
        matches: the matches, one entry for each bitset of settings.

    Example:
        >>> matching = match_all(truth, predictions)
        >>> precision = curves_of(matching).precision
    """

    truth: Truth
    predictions: Predictions
    protocol: Protocol
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    objects: Objects
    ranking: Ranking
    outside: Bool[np.ndarray, "areas n"]
    positives: Int[np.ndarray, "areas classes"]
    candidates: MatchCandidates
    matches: tuple[Matches, ...]


def match_all(truth: Truth, predictions: Predictions, protocol: Protocol = COCO) -> Matching:
    """Match predictions to truth under every threshold and area range.

    Raises:
        DataError: a detection is on an image or of a category that the truth does not have.
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
    names = tuple(truth.category_names[index] for index in lookup(ids, truth.category_ids))
    names = ("all classes",) if protocol.class_agnostic else names
    class_count = len(names)
    columns = np.zeros_like(categories) if protocol.class_agnostic else classes[categories]
    ranking = rank_detections(images, columns, predictions.scores, class_count)
    objects = _objects(truth, classes, protocol)
    candidates = find_candidates(ranking, predictions.boxes_xywh, objects, protocol)
    sizes = predictions.boxes_xywh[:, 2] * predictions.boxes_xywh[:, 3]
    # Flags are an eighth of the size of areas: quicker to put in order.
    outside = [((sizes < area.low) | (sizes > area.high))[ranking.detections] for area in protocol.areas]
    positives = [np.bincount(objects.classes[~ignored], minlength=class_count) for ignored in objects.ignored]
    return Matching(
        truth,
        predictions,
        protocol,
        () if protocol.class_agnostic else tuple(ids.tolist()),
        names,
        objects,
        ranking,
        np.array(outside),
        np.array(positives),
        candidates,
        tuple(match(candidates, objects, protocol, bitset) for bitset in bitsets(protocol)),
    )


def _chosen_categories(truth: Truth, protocol: Protocol) -> Int[np.ndarray, " k"]:
    if protocol.classes is None:
        return truth.category_ids
    unknown = sorted(set(protocol.classes) - set(truth.category_ids.tolist()))
    if unknown:
        raise OptionError(f"classes to evaluate: category {unknown[0]} is not in {truth.source}")
    return np.unique(np.array(protocol.classes, np.int64))


def _rows_of_classes(
    classes: Int[np.ndarray, " k"], categories: Int[np.ndarray, " n"], agnostic: bool
) -> Int[np.ndarray, " m"] | None:
    """Rows of the chosen classes; None for all of them as they are.

    Without classes pycocotools lines up an image's boxes by category before it sorts, which decides ties.
    """
    chosen = None if len(classes) == 0 or classes.min() >= 0 else np.flatnonzero(classes[categories] >= 0)
    if not agnostic:
        return chosen
    order = stable_order(categories if chosen is None else categories[chosen])
    return order if chosen is None else chosen[order]


def _objects(truth: Truth, classes: Int[np.ndarray, " k"], protocol: Protocol) -> Objects:
    """The truths of the chosen classes, ordered by image, class and row."""
    rows = _rows_of_classes(classes, truth.categories, protocol.class_agnostic)
    rows = np.arange(len(truth)) if rows is None else rows
    count = 1 if protocol.class_agnostic else int(classes.max(initial=-1)) + 1
    columns = np.zeros(len(rows), np.int64) if protocol.class_agnostic else classes[truth.categories[rows]]
    groups = truth.images[rows] * count + columns
    order = np.argsort(groups, kind="stable")
    rows = rows[order]
    areas, crowds = truth.areas[rows], truth.crowds[rows]
    ignored = np.array([crowds | (areas < area.low) | (areas > area.high) for area in protocol.areas])
    return Objects(rows, groups[order], columns[order], Boxes.from_xywh(truth.boxes_xywh[rows]), crowds, ignored)
