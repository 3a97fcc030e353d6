"""Evaluating while detecting: pictures are added in any order, by one process or several."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lucidbox.boxes import xyxy_to_xywh
from lucidbox.detections import Detections
from lucidbox.errors import DataError, OptionError
from lucidbox.evaluate.columns import lookup
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.ranking import rank_detections
from lucidbox.evaluate.summary import Summary, evaluate
from lucidbox.evaluate.truth import Truth
from lucidbox.labels import coco_category_ids


class CocoEvaluator:
    """Collects detections picture by picture; what the protocol cannot count is dropped at once.

    The result does not depend on the order of pictures, nor on how they were split over evaluators.

    Example:
        >>> evaluator = CocoEvaluator(truth)
        >>> for image_id, picture in pictures:
        ...     evaluator.add(image_id, detector(picture))
        >>> print(evaluator.summary())
    """

    def __init__(self, truth: Truth, protocol: Protocol = COCO) -> None:
        self.truth = truth
        self.protocol = protocol
        self._pictures: dict[int, Predictions] = {}

    def __len__(self) -> int:
        """Number of pictures added."""
        return len(self._pictures)

    def add(self, image_id: int, detections: Detections, category_ids: ArrayLike | None = None) -> None:
        """Add a picture's detections.

        Args:
            image_id: the picture's id in the truth.
            detections: boxes in the picture's own pixels.
            category_ids: category id of each of the model's class ids; by default COCO's numbering where the
                model has COCO's 80 classes, else the categories of the same names, else the class ids.

        Raises:
            DataError: the picture is not in the truth or was added before, or a category is unknown.
        """
        ids = self._category_ids(detections.names) if category_ids is None else np.asarray(category_ids)
        self.add_arrays(
            image_id,
            ids[detections.classes],
            xyxy_to_xywh(detections.boxes.astype(np.float64)),
            detections.scores.astype(np.float64),
        )

    def add_arrays(self, image_id: int, category_ids: ArrayLike, boxes_xywh: ArrayLike, scores: ArrayLike) -> None:
        """Add a picture's detections as arrays: category ids, xywh boxes in pixels, scores.

        Raises:
            DataError: the picture is not in the truth or was added before, or the arrays are malformed.
        """
        if image_id in self._pictures:
            raise DataError(f"picture {image_id} was added before; add each picture once, with all its detections")
        source = f"picture {image_id}"
        ids = np.full(len(np.asarray(scores)), image_id, np.int64)
        given = Predictions.from_arrays(ids, category_ids, boxes_xywh, scores, source=source)
        if lookup(np.array([image_id]), self.truth.image_ids)[0] < 0:
            raise DataError(f"picture {image_id} is not in {self.truth.source}")
        self._pictures[int(image_id)] = self._best(given.checked_against(self.truth))

    def merge(self, other: "CocoEvaluator") -> None:
        """Take over the pictures of another evaluator of the same truth and rules.

        Raises:
            OptionError: truth or rules differ.
            DataError: both have the same picture.
        """
        if not self.truth.same_as(other.truth) or self.protocol != other.protocol:
            raise OptionError("evaluators can be merged only if truth and protocol are the same")
        shared = sorted(self._pictures.keys() & other._pictures.keys())
        if shared:
            raise DataError(f"picture {shared[0]} was added to both evaluators ({len(shared)} such pictures)")
        self._pictures |= other._pictures

    def predictions(self) -> Predictions:
        """Everything kept so far, by picture id."""
        parts = [self._pictures[one] for one in sorted(self._pictures)]
        if not parts:
            none = np.zeros(0)
            return Predictions.from_arrays(none, none, none, none)
        return Predictions(
            np.concatenate([part.image_ids for part in parts]),
            np.concatenate([part.category_ids for part in parts]),
            np.concatenate([part.boxes_xywh for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def summary(self) -> Summary:
        """Evaluate what was added; pictures that were not are pictures in which nothing was found."""
        return evaluate(self.truth, self.predictions(), self.protocol)

    def _best(self, given: Predictions) -> Predictions:
        """As many detections per class as the protocol counts, in the order given, which decides ties."""
        categories = lookup(given.category_ids, self.truth.category_ids)
        columns = np.zeros_like(categories) if self.protocol.class_agnostic else categories
        order = np.argsort(categories, kind="stable") if self.protocol.class_agnostic else np.arange(len(given))
        ranking = rank_detections(
            np.zeros_like(categories), columns[order], given.scores[order], len(self.truth.category_ids)
        )
        kept = np.zeros(len(given), bool)
        kept[order[ranking.detections[ranking.ranks < self.protocol.max_detections[-1]]]] = True
        return given[kept]

    def _category_ids(self, names: tuple[str, ...]) -> Any:
        by_name = dict(zip(self.truth.category_names, self.truth.category_ids.tolist(), strict=True))
        if all(name in by_name for name in names):
            return np.array([by_name[name] for name in names], np.int64)
        return np.array(coco_category_ids(names), np.int64)
