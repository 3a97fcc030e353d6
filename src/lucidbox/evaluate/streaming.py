"""Evaluating while detecting: images are added in any order, by one process or several."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from lucidbox.core.boxes import xyxy_to_xywh
from lucidbox.core.columns import lookup
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.text import shortened
from lucidbox.evaluate.categories import CategoryMap, map_classes
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.ranking import rank_detections
from lucidbox.evaluate.summary import Summary, evaluate
from lucidbox.evaluate.truth import Truth


class CocoEvaluator:
    """Collects detections image by image; what the protocol cannot count is dropped at once.

    The result does not depend on the order of images, nor on how they were split over evaluators.

    Example:
        >>> evaluator = CocoEvaluator(truth)
        >>> for image_id, picture in pictures:
        ...     evaluator.add(image_id, detector(picture))
        >>> print(evaluator.summary())
    """

    def __init__(self, truth: Truth, protocol: Protocol = COCO) -> None:
        self.truth = truth
        self.protocol = protocol
        self._known = frozenset(truth.image_ids.tolist())
        self._pictures: dict[int, Predictions] = {}
        self._maps: dict[tuple[str, ...], CategoryMap] = {}
        self._left_out = 0

    def __len__(self) -> int:
        """Number of images added."""
        return len(self._pictures)

    def add(self, image_id: int, detections: Detections, category_ids: ArrayLike | None = None) -> None:
        """Add an image's detections; those of classes that the truth lacks are left out and counted.

        Args:
            image_id: the image's id in the truth.
            detections: boxes in the image's own pixels.
            category_ids: category id of each of the model's classes; by default the categories of the same
                names or, if not one name is known, COCO's numbers
                (:func:`~lucidbox.evaluate.categories.map_classes`).

        Raises:
            DataError: the image is not in the truth or was added before, a category is unknown, or model
                and truth have no class in common.
            OptionError: there are not as many ``category_ids`` as the model has classes.
        """
        left_out = 0
        if category_ids is None:
            categories = self._map(detections.names).categories[detections.classes]
            known = categories >= 0
            left_out = len(known) - int(known.sum())
            detections, ids = detections[known], self.truth.category_ids[categories[known]]
        else:
            given = np.asarray(category_ids)
            if given.shape != (len(detections.names),):
                raise OptionError(
                    f"category_ids: {given.size} given for the model's {len(detections.names)} classes"
                )
            ids = given[detections.classes]
        self.add_arrays(
            image_id,
            ids,
            xyxy_to_xywh(detections.boxes.astype(np.float64)),
            detections.scores.astype(np.float64),
        )
        self._left_out += left_out

    def add_arrays(self, image_id: int, category_ids: ArrayLike, boxes_xywh: ArrayLike, scores: ArrayLike) -> None:
        """Add an image's detections as arrays: category ids, xywh boxes in pixels, scores.

        Raises:
            DataError: the image is not in the truth or was added before, or the arrays are malformed.
        """
        if isinstance(image_id, bool) or not isinstance(image_id, (int, np.integer)):
            raise DataError(f"picture {image_id!r}: its id must be a whole number")
        if image_id in self._pictures:
            raise DataError(f"picture {image_id} was added before; add each picture once, with all its detections")
        if image_id not in self._known:
            raise DataError(f"picture {image_id} is not in {self.truth.source}")
        ids = np.full(np.size(scores), image_id, np.int64)
        given = Predictions.from_arrays(ids, category_ids, boxes_xywh, scores, source=f"picture {image_id}")
        self._pictures[int(image_id)] = self._best(given.checked_against(self.truth))

    def merge(self, other: "CocoEvaluator") -> None:
        """Take over the images of another evaluator of the same truth and rules.

        Raises:
            OptionError: truth or rules differ.
            DataError: both have the same image.
        """
        if not self.truth.same_as(other.truth) or self.protocol != other.protocol:
            raise OptionError("evaluators can be merged only if truth and protocol are the same")
        shared = sorted(self._pictures.keys() & other._pictures.keys())
        if shared:
            raise DataError(f"picture {shared[0]} was added to both evaluators ({len(shared)} such pictures)")
        self._pictures |= other._pictures
        self._maps |= other._maps
        self._left_out += other._left_out

    def predictions(self) -> Predictions:
        """Everything kept so far, by image id; ``notes`` says which of the model's classes were left out."""
        parts = [self._pictures[image_id] for image_id in sorted(self._pictures)]
        if not parts:
            none = np.zeros(0)
            return replace(Predictions.from_arrays(none, none, none, none), notes=self._notes())
        return Predictions(
            np.concatenate([part.image_ids for part in parts]),
            np.concatenate([part.category_ids for part in parts]),
            np.concatenate([part.boxes_xywh for part in parts]),
            np.concatenate([part.scores for part in parts]),
            notes=self._notes(),
        )

    def summary(self) -> Summary:
        """Evaluate what was added; images that were not added count as images without detections."""
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

    def _map(self, names: tuple[str, ...]) -> CategoryMap:
        if names not in self._maps:
            self._maps[names] = map_classes(names, self.truth)
        return self._maps[names]

    def _notes(self) -> tuple[str, ...]:
        """Notes on the models' classes, the same for every order of images."""
        notes = {note for found in self._maps.values() for note in found.notes}
        absent = sorted(
            {
                name
                for names, found in self._maps.items()
                for name, category in zip(names, found.categories.tolist(), strict=True)
                if category < 0
            }
        )
        if absent:
            notes.add(
                f"{self.truth.source} lacks {len(absent)} classes of the model, whose {self._left_out} detections "
                f"were left out: {shortened(absent)}"
            )
        return tuple(sorted(notes))
