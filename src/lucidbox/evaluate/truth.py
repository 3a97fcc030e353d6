"""The annotated objects of a data set, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lucidbox.core.array_types import Bool, Float, Int, Shaped
from lucidbox.core.columns import boxes_column, finite_column, id_column, index_of_ids, refuse_repeated
from lucidbox.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Truth:
    """Every image, category and annotated object of a data set.

    Attributes:
        image_ids: id of every image, also of those without objects; ascending.
        category_ids: id of every category; ascending.
        category_names: their names, in the same order.
        images: for each object, the index of its image in ``image_ids``.
        categories: for each object, the index of its category in ``category_ids``.
        boxes_xywh: left, top, width, height in pixels: COCO's form, kept because converting would round.
        areas: square pixels; COCO's annotation files give the area of the mask, not of the box.
        crowds: whether the box stands for many objects; detections on it are ignored, not counted wrong.
        annotation_ids: the objects' own ids.
        file_names: image file names in the order of ``image_ids``; empty strings where unknown.
        source: where this came from, for messages.
        notes: what was absent and replaced by a default, in sentences for the user.
        stated_sizes: width and height of every image as the annotations state them, 0 where they do not; None
            where no image has them.
    """

    image_ids: Int[np.ndarray, " i"]
    category_ids: Int[np.ndarray, " k"]
    category_names: tuple[str, ...]
    images: Int[np.ndarray, " n"]
    categories: Int[np.ndarray, " n"]
    boxes_xywh: Float[np.ndarray, "n 4"]
    areas: Float[np.ndarray, " n"]
    crowds: Bool[np.ndarray, " n"]
    annotation_ids: Int[np.ndarray, " n"]
    file_names: tuple[str, ...] = ()
    source: str = "truth"
    notes: tuple[str, ...] = ()
    stated_sizes: Float[np.ndarray, "i 2"] | None = None

    @property
    def sizes(self) -> Float[np.ndarray, "i 2"]:
        """Width and height of every image, 0 where they are not stated."""
        return np.zeros((len(self.image_ids), 2)) if self.stated_sizes is None else self.stated_sizes

    def __len__(self) -> int:
        """Number of annotated objects, crowds included."""
        return len(self.images)

    def __getitem__(self, kept: Shaped[np.ndarray, " m"]) -> "Truth":
        """The objects chosen by a boolean mask or by indices; images and categories stay."""
        fields = ("images", "categories", "boxes_xywh", "areas", "crowds", "annotation_ids")
        return replace(self, **{field: getattr(self, field)[kept] for field in fields})

    def same_as(self, other: "Truth") -> bool:
        """Whether both hold the same images, categories and objects in the same order."""
        fields = ("image_ids", "category_ids", "images", "categories", "boxes_xywh", "areas", "crowds")
        return self is other or all(
            np.array_equal(getattr(self, field), getattr(other, field)) for field in fields
        )

    @classmethod
    def from_arrays(
        cls,
        image_ids: ArrayLike,
        category_ids: ArrayLike,
        boxes_xywh: ArrayLike,
        *,
        areas: ArrayLike | None = None,
        crowds: ArrayLike | None = None,
        annotation_ids: ArrayLike | None = None,
        pictures: ArrayLike | None = None,
        categories: Mapping[int, str] | None = None,
        file_names: Mapping[int, str] | None = None,
        sizes: ArrayLike | None = None,
        source: str = "truth",
        notes: tuple[str, ...] = (),
    ) -> "Truth":
        """Truth from one row per object.

        Args:
            image_ids: image id of each object.
            category_ids: category id of each object.
            boxes_xywh: left, top, width, height in pixels, as COCO has them.
            areas: square pixels; by default width times height.
            crowds: 1 or True for crowd regions; by default none.
            annotation_ids: by default 1, 2, 3, …
            pictures: every image id; by default those that have objects. Name all images here, or
                detections on images without objects would be refused instead of counted as wrong.
            categories: id to name of every category; by default the ids that occur, named by their number.
            file_names: image id to file name.
            sizes: stated width and height of each of ``pictures``, 0 where unknown.
            source: what messages call this data set.
            notes: what the caller replaced by a default, to be shown with the result.

        Raises:
            DataError: lengths differ, a number is not finite, a size negative, an id repeated or unknown.
        """
        image_column = id_column(image_ids, "image_id", source)
        count = len(image_column)
        category_column = id_column(category_ids, "category_id", source, count)
        boxes = boxes_column(boxes_xywh, source, count)
        known_images = image_column if pictures is None else id_column(pictures, "id", f"{source} images")
        if pictures is not None:
            refuse_repeated(known_images, "id", f"{source} images")
        names = categories or {int(number): str(int(number)) for number in np.unique(category_column)}
        order = np.argsort(known_images, kind="stable")
        stated = None if sizes is None or pictures is None else np.asarray(sizes, np.float64)[order]
        known_images, known_categories = np.unique(known_images), np.array(sorted(names), np.int64)
        ids = np.arange(1, count + 1) if annotation_ids is None else id_column(annotation_ids, "id", source, count)
        refuse_repeated(ids, "id", source)
        area_column = boxes[:, 2] * boxes[:, 3] if areas is None else finite_column(areas, "area", source, count)
        crowd_column = np.zeros(count, bool) if crowds is None else np.asarray(crowds).astype(bool)
        if crowd_column.shape != (count,):
            raise DataError(f"{source}: {crowd_column.shape} crowd flags for {count} objects")
        return cls(
            known_images,
            known_categories,
            tuple(names[number] for number in known_categories.tolist()),
            index_of_ids(image_column, known_images, "image_id", source),
            index_of_ids(category_column, known_categories, "category_id", source),
            boxes,
            area_column,
            crowd_column,
            ids,
            tuple((file_names or {}).get(number, "") for number in known_images.tolist()),
            source,
            notes,
            stated,
        )
