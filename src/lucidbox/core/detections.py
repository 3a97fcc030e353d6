"""The result type: what was found in one picture."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float32, Int, Shaped
from lucidbox.core.boxes import xyxy_to_xywh
from lucidbox.core.errors import OptionError


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in one picture, best score first. Frozen; indexing returns a new one.

    Attributes:
        boxes: xyxy, in pixels of the picture as a viewer shows it (EXIF rotation applied).
        scores: probability of each box's class, 0 to 1.
        classes: class id of each box, an index into ``names``.
        names: every class name of the model.

    Example:
        >>> people = detections[detections.classes == 0]
        >>> confident = detections[detections.scores > 0.5]
    """

    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.boxes)

    def __iter__(self) -> Iterator["Detections"]:
        """One-box ``Detections``, best first."""
        return (self[index : index + 1] for index in range(len(self)))

    def __getitem__(self, key: int | slice | Shaped[np.ndarray, " k"] | Sequence[int]) -> "Detections":
        """The boxes chosen by an index, a slice, an integer array or a boolean mask."""
        if isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(f"detection {key} does not exist: there are {len(self)}")
            key = [int(key)]
        chosen = key if isinstance(key, slice) else np.asarray(key)
        if isinstance(chosen, np.ndarray) and chosen.size == 0 and chosen.dtype != bool:
            chosen = chosen.astype(np.intp)
        return Detections(self.boxes[chosen], self.scores[chosen], self.classes[chosen], self.names)

    def __eq__(self, other: object) -> bool:
        """Equal boxes, scores, classes and names, bit for bit."""
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            np.array_equal(self.boxes, other.boxes)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.classes, other.classes)
            and self.names == other.names
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside: equal by value, never a dict key

    @property
    def labels(self) -> list[str]:
        """The class name of each box."""
        return [self.names[index] for index in self.classes]

    def _repr_html_(self) -> str:
        """A table, for notebooks: the picture belongs to whoever has the pixels, as results of streams do."""
        from lucidbox.core.html_tables import html_table

        columns = zip(self.labels, self.scores.tolist(), self.boxes.tolist(), strict=True)
        rows = [(row, label, score, *box) for row, (label, score, box) in enumerate(columns)]
        head = ("", "class", "score", "left", "top", "right", "bottom")
        return html_table(head, rows, f"{len(self)} detections")

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per box: ``box`` (xyxy pixels, 2 decimals), ``score`` (4 decimals), ``class``, ``label``."""
        return [
            {
                "box": [round(side, 2) for side in box],
                "score": round(score, 4),
                "class": index,
                "label": self.names[index],
            }
            for box, score, index in zip(
                self.boxes.tolist(), self.scores.tolist(), self.classes.tolist(), strict=True
            )
        ]

    def to_json(self) -> str:
        """:meth:`to_dicts` as a JSON array."""
        return json.dumps(self.to_dicts(), ensure_ascii=False)

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Entries of a COCO result file: bbox = left, top, width, height with 3 decimals, score with 5.

        Args:
            image_id: the picture's id in the annotation file.
            category_ids: category id of each class id. By default COCO's 91-id numbering where ``names``
                are COCO's 80 classes, else the class ids themselves.

        Raises:
            OptionError: ``category_ids`` has not one entry for each class.
        """
        from lucidbox.core.class_names import coco_category_ids

        ids = list(category_ids) if category_ids is not None else coco_category_ids(self.names)
        if len(ids) != len(self.names):
            raise OptionError(f"{len(ids)} category ids given for {len(self.names)} classes; give one for each")
        return [
            {
                "image_id": image_id,
                "category_id": ids[index],
                "bbox": [round(side, 3) for side in box],
                "score": round(score, 5),
            }
            for box, score, index in zip(
                xyxy_to_xywh(self.boxes.astype(np.float64)).tolist(),
                self.scores.tolist(),
                self.classes.tolist(),
                strict=True,
            )
        ]

    def to_supervision(self) -> Any:
        """The same boxes as ``supervision.Detections``, for its trackers, zones and annotators.

        Raises:
            OptionError: the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise OptionError("supervision is not installed; pip install 'lucidbox[supervision]'") from error
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.classes.astype(int),
            data={"class_name": np.array(self.labels, dtype=str)},
        )

    @classmethod
    def from_parquet(cls, uri: str, names: Sequence[str] | None = None) -> "Iterator[DetectionRow]":
        """What ``lucidbox batch`` found, image by image; failed images come with their error and no boxes.

        Args:
            uri: path or address of a Parquet file, or of a folder of them.
            names: class names, for files that do not state any.

        Raises:
            SourceError: something cannot be read.
            DataError: it is no table of detections, or of another version.

        Example:
            >>> for row in Detections.from_parquet("s3://bucket/found"):
            ...     print(row.uri, row.error or row.detections.labels)
        """
        from lucidbox.core.detection_tables import tables

        given = None if names is None else tuple(names)
        return (row for table in tables(uri, given) for row in table.rows())

    @classmethod
    def empty(cls, names: Sequence[str]) -> "Detections":
        """No boxes at all, of a model with these class names."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), tuple(names))


@dataclass(frozen=True, eq=False)
class DetectionRow:
    """One image of a table of ``lucidbox batch``.

    Attributes:
        uri: as the manifest names it.
        sha256: of the image's file; None where it was not read.
        width, height: of the image in pixels; None where it could not be read.
        detections: what was found; none where there is an error.
        error: why nothing could be found, or None.
        milliseconds: from letterbox to suppression; None where there is an error.
    """

    uri: str
    sha256: str | None
    width: int | None
    height: int | None
    detections: Detections
    error: str | None
    milliseconds: float | None
