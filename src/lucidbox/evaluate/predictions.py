"""What a detector found in a data set, as arrays."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lucidbox.core.array_types import Float, Int, Shaped
from lucidbox.core.columns import boxes_column, finite_column, id_column, index_of_ids, lookup
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True, eq=False)
class Predictions:
    """Detections of many images, one row each, in any order (equal scores: the earlier row ranks first).

    Attributes:
        image_ids: image id of each detection.
        category_ids: category id of each detection.
        boxes_xywh: left, top, width, height in pixels: COCO's form, kept because converting would round.
        scores: any finite numbers, higher is surer.
        source: where this came from, for messages.
        notes: what was left out, in sentences for the user.
        left_out: the detections that were, which may tell what is wrong with all.
    """

    image_ids: Int[np.ndarray, " n"]
    category_ids: Int[np.ndarray, " n"]
    boxes_xywh: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]
    source: str = "predictions"
    notes: tuple[str, ...] = ()
    left_out: "Predictions | None" = None

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.scores)

    @classmethod
    def from_arrays(
        cls,
        image_ids: ArrayLike,
        category_ids: ArrayLike,
        boxes_xywh: ArrayLike,
        scores: ArrayLike,
        *,
        source: str = "predictions",
    ) -> "Predictions":
        """Predictions from one row per detection.

        Args:
            image_ids: image id of each detection.
            category_ids: category id of each detection.
            boxes_xywh: left, top, width, height in pixels, as COCO has them.
            scores: finite numbers, higher is surer.
            source: what messages call these predictions.

        Raises:
            DataError: lengths differ, a number is not finite, a size is negative.
        """
        image_column = id_column(image_ids, "image_id", source)
        count = len(image_column)
        return cls(
            image_column,
            id_column(category_ids, "category_id", source, count),
            boxes_column(boxes_xywh, source, count),
            finite_column(scores, "score", source, count),
            source,
        )

    def __getitem__(self, kept: Shaped[np.ndarray, " m"]) -> "Predictions":
        """The rows chosen by a boolean mask or by indices."""
        return replace(
            self,
            image_ids=self.image_ids[kept],
            category_ids=self.category_ids[kept],
            boxes_xywh=self.boxes_xywh[kept],
            scores=self.scores[kept],
        )

    def checked_against(self, truth: Truth) -> "Predictions":
        """These predictions, if the truth has all their images and categories.

        Raises:
            DataError: it has not; names the entry.
        """
        for ids, known, field in (
            (self.image_ids, truth.image_ids, "image_id"),
            (self.category_ids, truth.category_ids, "category_id"),
        ):
            index_of_ids(ids, known, field, self.source)
        return self

    def restricted_to(self, truth: Truth) -> "Predictions":
        """The detections on images and of categories that the truth knows; ``notes`` counts the others."""
        picture_known = lookup(self.image_ids, truth.image_ids) >= 0
        category_known = lookup(self.category_ids, truth.category_ids) >= 0
        counts = (
            (int((~picture_known).sum()), "on pictures"),
            (int((picture_known & ~category_known).sum()), "of categories"),
        )
        notes = tuple(
            f"{self.source}: {count} detections {where} that the annotations do not have were left out"
            for count, where in counts
            if count
        )
        known = picture_known & category_known
        return replace(self[known], notes=self.notes + notes, left_out=self[~known] if notes else None)

    def with_left_out(self) -> "Predictions":
        """All detections: those that were kept, then those that were left out."""
        if self.left_out is None:
            return self
        parts = (self, self.left_out)
        return replace(
            self,
            image_ids=np.concatenate([part.image_ids for part in parts]),
            category_ids=np.concatenate([part.category_ids for part in parts]),
            boxes_xywh=np.concatenate([part.boxes_xywh for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            left_out=None,
        )
