"""A data set as truth for the evaluator, whatever form its files have."""

from lucidbox.evaluate.truth import Truth
from lucidbox.formats.dataset import DataSet


def to_truth(dataset: DataSet, notes: tuple[str, ...] = ()) -> Truth:
    """The usable objects of one part, with COCO's category ids, in pixels of pictures as a viewer shows them.

    Args:
        dataset: one part.
        notes: what was decided or replaced in reading it (:attr:`~lucidbox.datasets.Reading.notes`), to be shown with
            the result.

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
        source=dataset.source,
        notes=notes,
    )
