"""Statistics of a data set."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.formats.dataset import DataSet

# COCO's borders between small, medium and large objects, in square pixels.
_MEDIUM, _LARGE = 32**2, 96**2
_MOST_SHOWN = 10
_PICTURES_AT_ONCE = 4096


@dataclass(frozen=True)
class Quantiles:
    """Minimum, quartiles, maximum and mean of some values; all 0 if there are none."""

    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    mean: float

    @classmethod
    def of(cls, values: Float[np.ndarray, " n"] | Int[np.ndarray, " n"]) -> "Quantiles":
        """Quantiles of these values."""
        if not len(values):
            return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        least, quarter, median, three_quarters, most = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        return cls(least, quarter, median, three_quarters, most, float(values.mean()))


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs: single objects, crowds, and images with any of them."""

    name: str
    objects: int
    crowds: int
    pictures: int


@dataclass(frozen=True)
class Together:
    """In how many images two classes occur together."""

    first: str
    second: str
    pictures: int


@dataclass(frozen=True)
class Statistics:
    """Counts and measures of one split. Crowds are counted in ``crowds`` alone.

    Attributes:
        part: its name.
        pictures: how many.
        empty_pictures: those without objects.
        objects: single objects.
        crowds: boxes around several objects.
        small: objects below 32² square pixels (by COCO's area, which is a mask's where it is stated).
        medium: those below 96².
        large: the others.
        per_picture: objects in an image.
        aspect_ratios: width divided by height of objects.
        relative_sizes: square root of the share of the image that a box covers.
        picture_sizes: the most frequent widths and heights, and how many images have them.
        classes: every class, in class order.
        together: pairs of classes most often seen together.
    """

    part: str
    pictures: int
    empty_pictures: int
    objects: int
    crowds: int
    small: int
    medium: int
    large: int
    per_picture: Quantiles
    aspect_ratios: Quantiles
    relative_sizes: Quantiles
    picture_sizes: tuple[tuple[int, int, int], ...]
    classes: tuple[ClassCount, ...]
    together: tuple[Together, ...]


def statistics(dataset: DataSet) -> Statistics:
    """Count and measure one split."""
    single = dataset.keep_objects(~dataset.crowds)
    present = dataset.presence()
    sides = single.boxes_xywh[:, 2:]
    counts = np.bincount(single.pictures, minlength=len(dataset))
    sized = (single.sizes[single.pictures] > 0).all(axis=1)
    covered = np.sqrt((sides[sized] / single.sizes[single.pictures[sized]]).prod(axis=1))
    small, medium = (int((single.areas < border).sum()) for border in (_MEDIUM, _LARGE))
    sizes = Counter(map(tuple, dataset.sizes.tolist())).most_common(_MOST_SHOWN)
    return Statistics(
        part=dataset.name,
        pictures=len(dataset),
        empty_pictures=int((~present.any(axis=1)).sum()),
        objects=len(single.classes),
        crowds=int(dataset.crowds.sum()),
        small=small,
        medium=medium - small,
        large=len(single.classes) - medium,
        per_picture=Quantiles.of(counts),
        aspect_ratios=Quantiles.of(sides[:, 0] / sides[:, 1]),
        relative_sizes=Quantiles.of(covered),
        picture_sizes=tuple((width, height, count) for (width, height), count in sizes),
        classes=_class_counts(dataset, single, present),
        together=_together(present, dataset.names),
    )


def _class_counts(dataset: DataSet, single: DataSet, present: Bool[np.ndarray, "i c"]) -> tuple[ClassCount, ...]:
    classes = len(dataset.names)
    objects = np.bincount(single.classes, minlength=classes)
    crowds = np.bincount(dataset.classes[dataset.crowds], minlength=classes)
    columns = (objects.tolist(), crowds.tolist(), present.sum(axis=0).tolist())
    return tuple(ClassCount(name, *row) for name, *row in zip(dataset.names, *columns, strict=True))


def _together(present: Bool[np.ndarray, "i c"], names: tuple[str, ...]) -> tuple[Together, ...]:
    """Pairs by the number of images that hold both, most first."""
    classes = present.shape[1]
    pairs = np.zeros((classes, classes))
    for start in range(0, len(present), _PICTURES_AT_ONCE):
        some = present[start : start + _PICTURES_AT_ONCE].astype(np.float32)  # for the fast matrix product
        pairs += some.T @ some
    first, second = np.triu_indices(classes, 1)
    counts = pairs[first, second].astype(np.int64)
    order = np.argsort(-counts, kind="stable")[:_MOST_SHOWN]
    return tuple(
        Together(names[first[pair]], names[second[pair]], int(counts[pair])) for pair in order if counts[pair]
    )
