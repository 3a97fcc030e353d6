"""A data set as truth for the evaluator, whatever format its files have."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets.layout import CocoPart, YoloFile, find_data, image_root
from lucidbox.datasets.reading import read_dataset
from lucidbox.evaluate import Truth, load_truth
from lucidbox.formats.dataset import DataSet, parts_called
from lucidbox.formats.problems import shown
from lucidbox.formats.yolo.description import read_description


@dataclass(frozen=True, eq=False)
class SplitTruth:
    """The truth of one split of a data set.

    Attributes:
        truth: the annotations.
        root: folder of the images; None if it was not found.
        name: of the split.
        names: of all splits of the data set.
    """

    truth: Truth
    root: Path | None
    name: str
    names: tuple[str, ...]


def read_truth(path: str | Path, name: str | None = None) -> SplitTruth:
    """Read a split to evaluate on. Of COCO JSON, only the split's own file is read.

    Args:
        path: see :func:`~lucidbox.datasets.read_dataset`.
        name: of the split; by default the only one, or ``val``.

    Raises:
        OptionError: there is no such data set or split.
        DataError: it cannot be read, or has no images.
    """
    found = find_data(Path(path))
    parts = read_description(found.path).parts if isinstance(found, YoloFile) else found
    names = tuple(part.name for part in parts)
    alike = parts_called(name or "val", names)
    if name is None and len(names) > 1 and not alike:
        raise OptionError(f"{path}: there are several parts; choose with --part one of: {', '.join(names)}")
    if name is not None and not alike:
        raise OptionError(f"no part {name!r}; the data set has: {', '.join(names)}")
    name = (alike or names)[0]
    part = parts[names.index(name)]
    if isinstance(part, CocoPart):
        truth = load_truth(part.annotations)
        if not len(truth.image_ids):
            raise DataError(f"{part.annotations}: no usable pictures")
        return SplitTruth(truth, image_root(part, truth.file_names), name, names)
    reading = read_dataset(path)
    left_out = shown([problem for problem in reading.problems if problem.left_out])
    dataset = reading.part(name)
    return SplitTruth(
        to_truth(dataset, notes=(*reading.notes, *(f"{line}; left out" for line in left_out))),
        dataset.root,
        name,
        names,
    )


def to_truth(dataset: DataSet, notes: tuple[str, ...] = ()) -> Truth:
    """The usable objects of one split, with COCO's category ids, in pixels of images as a viewer shows them.

    Args:
        dataset: one split.
        notes: what was decided or replaced in reading it (:attr:`~lucidbox.datasets.Reading.notes`), to be shown
            with the result.

    Raises:
        DataError: no object is usable in a way that the evaluator can take.
    """
    ids, categories = dataset.image_ids, dataset.category_ids
    return Truth.from_arrays(
        ids[dataset.pictures],
        categories[dataset.classes],
        dataset.boxes_xywh,
        areas=dataset.areas,
        crowds=dataset.crowds,
        annotation_ids=dataset.annotation_ids,
        pictures=ids,
        categories=dict(zip(categories.tolist(), dataset.names, strict=True)),
        file_names=dict(zip(ids.tolist(), dataset.file_names, strict=True)),
        sizes=dataset.sizes,
        source=dataset.source,
        notes=notes,
    )
