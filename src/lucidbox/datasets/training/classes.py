"""One list of classes for both splits of a data set."""

from dataclasses import dataclass, replace

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.class_names import Classes, class_ids
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.text import shortened
from lucidbox.formats.dataset import DataSet


@dataclass(frozen=True, eq=False)
class Agreed:
    """Both splits with the same class names, ids and category ids, and notes for the user."""

    train: DataSet
    val: DataSet
    notes: tuple[str, ...]


def agree(train: DataSet, val: DataSet, wanted: Classes | None = None) -> Agreed:
    """Give both splits the train split's classes, or some of them.

    Splits may list their classes in another order, or lack some: they are matched by name.

    Args:
        train: whose classes count.
        val: the other split.
        wanted: classes of ``train``, in the order they shall have; see :func:`class_ids`; all if None. Objects of
            others are left out of both splits.

    Raises:
        OptionError: a wanted class is unknown, or named twice.
        DataError: ``val`` has objects of classes that ``train`` does not know, or names are not clear.
    """
    chosen = np.arange(len(train.names)) if wanted is None else _chosen(train, wanted)
    names = tuple(train.names[index] for index in chosen.tolist())
    ids = train.category_ids[chosen]
    own = np.full(len(train.names), -1)
    own[chosen] = np.arange(len(chosen))
    other = own if val.names == train.names else _by_name(train, val, own)
    if wanted is None:
        _refuse_unknown(train, val, other)
    parts = _renumber(train, own, names, ids), _renumber(val, other, names, ids)
    return Agreed(*parts, _notes(train, val, parts, other))


def _chosen(train: DataSet, wanted: Classes) -> Int[np.ndarray, " m"]:
    try:
        chosen = class_ids(wanted, train.names)
    except OptionError as error:
        raise OptionError(f"--classes: {str(error).replace('in the model', f'in {train.source}')}") from error
    twice = [train.names[index] for index in chosen if chosen.count(index) > 1]
    if twice or not chosen:
        reason = f"{twice[0]} is named twice" if twice else "no class is named"
        named = (
            wanted
            if isinstance(wanted, str)
            else ",".join(map(str, [wanted] if isinstance(wanted, (int, np.integer)) else wanted))
        )
        raise OptionError(f"--classes {named}: {reason}")
    return np.array(chosen, np.int64)


def _by_name(train: DataSet, val: DataSet, own: Int[np.ndarray, " c"]) -> Int[np.ndarray, " k"]:
    """The new id of each class of ``val``; -1 for those that go."""
    for part in (train, val):
        repeated = [name for name in part.names if part.names.count(name) > 1]
        if repeated:
            raise DataError(
                f"{part.source}: several classes are called {repeated[0]!r}, and the two parts list their classes "
                "differently: which is which cannot be told; give each class a name of its own"
            )
    places = {name: int(own[index]) for index, name in enumerate(train.names)}
    return np.array([places.get(name, -1) for name in val.names], np.int64)


def _refuse_unknown(train: DataSet, val: DataSet, other: Int[np.ndarray, " k"]) -> None:
    unknown = np.unique(val.classes[other[val.classes] < 0])
    if len(unknown):
        names = shortened([val.names[index] for index in unknown.tolist()])
        raise DataError(
            f"{val.source}: {val.name} has objects of classes that {train.name} does not know: {names}; "
            f"{train.name} knows {shortened(train.names)}. Add them to {train.source}, or choose with --classes"
        )


def _renumber(
    part: DataSet, table: Int[np.ndarray, " c"], names: tuple[str, ...], ids: Int[np.ndarray, " m"]
) -> DataSet:
    kept = part.keep_objects(table[part.classes] >= 0)
    return replace(kept, names=names, category_ids=ids, classes=table[kept.classes])


def _notes(
    train: DataSet, val: DataSet, parts: tuple[DataSet, DataSet], other: Int[np.ndarray, " k"]
) -> tuple[str, ...]:
    notes = [
        f"{before.source}: {before.name}: {gone} of {len(before.classes)} objects are of classes not chosen"
        for before, after in zip((train, val), parts, strict=True)
        if (gone := len(before.classes) - len(after.classes))
    ]
    if val.names != train.names and (other >= 0).any():
        notes.append(
            f"{val.source}: lists other classes than {train.source}, or in another order: matched by name"
        )
    return tuple(notes)
