"""Which category of the annotations each class of a model is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.class_names import coco_category_ids
from lucidbox.core.columns import lookup
from lucidbox.core.errors import DataError
from lucidbox.core.text import shortened
from lucidbox.evaluate.truth import Truth


@dataclass(frozen=True, eq=False)
class CategoryMap:
    """A model's classes in the annotations.

    Attributes:
        categories: for each class of the model, an index into the truth's categories; -1 if it has none.
        notes: what a user should know about it, in sentences.
    """

    categories: Int[np.ndarray, " c"]
    notes: tuple[str, ...]


def map_classes(names: Sequence[str], truth: Truth) -> CategoryMap:
    """Find a model's classes in the annotations: by name, or if not one name is there, by COCO's numbers.

    Classes that the annotations lack map to nothing: a model of COCO's 80 classes may be evaluated on people
    and cars alone.

    Raises:
        DataError: nothing in common, or a name that several categories have.
    """
    used = set(truth.categories.tolist())
    # Of several categories of one name, those without annotations go, unless none has any.
    named = [name for index, name in enumerate(truth.category_names) if index in used]
    indices = {
        name: index for index, name in enumerate(truth.category_names) if index in used or named.count(name) == 0
    }
    repeated = [name for name in names if truth.category_names.count(name) > 1 and named.count(name) != 1]
    if repeated:
        raise DataError(
            f"{truth.source}: several categories are called {repeated[0]!r}: which of them is the model's class?"
        )
    categories = np.array([indices.get(name, -1) for name in names], np.int64)
    if (categories >= 0).any():
        return CategoryMap(categories, _lacking(categories, truth))
    numbers = lookup(np.array(coco_category_ids(names), np.int64), truth.category_ids)
    if not len(numbers) or (numbers < 0).any():
        raise DataError(
            f"{truth.source}: no category has the name of a class of the model, and the numbers differ, too: "
            f"categories are {shortened(truth.category_names)}; classes are {shortened(names)}"
        )
    by_number = f"{truth.source}: no category has the name of a class of the model; they were matched by number"
    return CategoryMap(numbers, (by_number, *_lacking(numbers, truth)))


def _lacking(categories: Int[np.ndarray, " c"], truth: Truth) -> tuple[str, ...]:
    """A note on the categories that the model does not know."""
    known = {truth.category_names[index] for index in categories.tolist() if index >= 0}
    lacking = [name for name in truth.category_names if name not in known]
    if not lacking:
        return ()
    return (f"{truth.source}: the model does not know, and cannot find, the categories: {shortened(lacking)}",)
