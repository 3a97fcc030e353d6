"""What is measured: IoU thresholds, recall points, area ranges, limits on detections per image."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from lucidbox.core.errors import OptionError

NO_LIMIT = 1 << 40
"""More detections than any image has."""


@dataclass(frozen=True)
class AreaRange:
    """A named range of object areas, both limits included, in square pixels.

    A truth's area is its annotation's ``area`` (in COCO the mask's), a detection's is width times height.
    """

    name: str
    low: float
    high: float


def _spaced(first: float, last: float, count: int) -> tuple[float, ...]:
    # linspace, because pycocotools uses it: arange's 0.95 is a different double, and a box pair can fall between.
    return tuple(np.linspace(first, last, count).tolist())


COCO_AREAS = (
    AreaRange("all", 0.0, 1e5**2),
    AreaRange("small", 0.0, 32.0**2),
    AreaRange("medium", 32.0**2, 96.0**2),
    AreaRange("large", 96.0**2, 1e5**2),
)


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation. The default is COCO's detection protocol (Lin et al. 2014, cocoeval.py).

    Attributes:
        iou_thresholds: a detection matches a truth when their IoU reaches the threshold; ascending.
        recall_points: recalls at which precision is read off; ascending, 0 to 1.
        areas: object sizes that are measured separately.
        max_detections: numbers of best-scored detections kept per image and class; ascending.
        classes: category ids to evaluate; None means every category of the truth.
        class_agnostic: treat all evaluated classes as one.

    Example:
        >>> strict = Protocol(iou_thresholds=(0.75,), classes=(1, 3))
        >>> print(evaluate(truth, predictions, strict))

    Raises:
        OptionError: a list is empty, not ascending, or out of range.
    """

    iou_thresholds: tuple[float, ...] = field(default_factory=lambda: _spaced(0.5, 0.95, 10))
    recall_points: tuple[float, ...] = field(default_factory=lambda: _spaced(0.0, 1.0, 101))
    areas: tuple[AreaRange, ...] = COCO_AREAS
    max_detections: tuple[int, ...] = (1, 10, 100)
    classes: tuple[int, ...] | None = None
    class_agnostic: bool = False

    def __post_init__(self) -> None:
        """Check every rule."""
        _ascending("iou_thresholds", self.iou_thresholds)
        _ascending("recall_points", self.recall_points)
        _ascending("max_detections", self.max_detections)
        # At threshold 0 boxes that do not even touch would match.
        if self.iou_thresholds[0] <= 0 or self.iou_thresholds[-1] > 1:
            raise OptionError(f"iou_thresholds must lie above 0 and up to 1, got {self.iou_thresholds}")
        if self.recall_points[0] < 0 or self.recall_points[-1] > 1:
            raise OptionError("recall_points must lie between 0 and 1")
        if self.max_detections[0] < 1 or self.max_detections[-1] > NO_LIMIT:
            raise OptionError(f"max_detections must lie between 1 and {NO_LIMIT}, got {self.max_detections}")
        names = [area.name for area in self.areas]
        if not names or len(set(names)) != len(names):
            raise OptionError(f"areas need at least one range and different names, got {names}")
        for area in self.areas:
            if not area.low <= area.high:
                raise OptionError(f"area range {area.name!r}: {area.low} is above {area.high}")


def _ascending(name: str, values: tuple[float, ...] | tuple[int, ...]) -> None:
    if not values or any(not low < high for low, high in pairwise(values)):
        raise OptionError(f"{name} needs ascending values, got {values}")
    # Compared, because np.isfinite refuses whole numbers of more than 64 bits.
    if not all(-np.inf < value < np.inf for value in values):
        raise OptionError(f"{name} needs finite values, got {values}")


COCO = Protocol()
"""COCO's own rules: ten IoU thresholds, 101 recall points, four area ranges, 1, 10 and 100 detections."""
