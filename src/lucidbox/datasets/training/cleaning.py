"""Leaving out of a split what cannot be trained on, with a problem for each. Files are never changed."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lucidbox.core.boxes import xywh_to_xyxy, xyxy_to_xywh
from lucidbox.core.errors import DataError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.images import check_pictures
from lucidbox.formats.dataset import DataSet
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.images.headers import read_headers

# Nothing can be learnt from a box narrower than this many pixels; as float32 its sides might even be equal.
_LEAST_SIDE = 0.01


@dataclass(frozen=True, eq=False)
class Checked:
    """What is usable of a split, and the problems of the rest."""

    dataset: DataSet
    problems: tuple[Problem, ...]


def check_files(dataset: DataSet, progress: Progress = no_progress) -> Checked:
    """Leave out files that do not exist, are not images, or not as large as annotated; read sizes not stated.

    Only first bytes are read: damage after them is found when the image is read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata and large images: read_image judges those
        problems = [
            replace(problem, left_out=True) for problem in check_pictures(dataset, decode=False, progress=progress)
        ]
    bad = {problem.place for problem in problems}
    kept = [index for index in range(len(dataset)) if str(dataset.path(index)) not in bad]
    dataset = dataset.keep_pictures(np.array(kept, np.int64))
    unknown = np.flatnonzero((dataset.sizes <= 0).any(axis=1)).tolist()
    if unknown:
        sizes = dataset.sizes.copy()
        headers = read_headers([dataset.path(index) for index in unknown])
        sizes[unknown] = [(header.width, header.height) for header in headers]
        dataset = replace(dataset, sizes=sizes)
    return Checked(dataset, tuple(problems))


def clip_dataset(dataset: DataSet) -> Checked:
    """Clip boxes to their images; each of those of which nothing is left is a problem."""
    limits = np.tile(dataset.sizes, 2)[dataset.pictures]
    clipped = xyxy_to_xywh(np.clip(xywh_to_xyxy(dataset.boxes_xywh), 0, limits))
    # Where nothing was to be clipped, the numbers stay what they were to the last bit.
    inside = (xywh_to_xyxy(dataset.boxes_xywh) <= limits).all(axis=1) & (dataset.boxes_xywh >= 0).all(axis=1)
    clipped = np.where(inside[:, None], dataset.boxes_xywh, clipped)
    left = clipped[:, 2:].min(axis=1, initial=np.inf) >= _LEAST_SIDE
    problems = []
    for row in np.flatnonzero(~left).tolist():
        picture = int(dataset.pictures[row])
        place = f"{dataset.source}: {dataset.file_names[picture]}"
        width, height = dataset.sizes[picture].tolist()
        box = ", ".join(f"{number:g}" for number in dataset.boxes_xywh[row].tolist())
        message = f"less than {_LEAST_SIDE} px of it is in the {width}×{height} picture: {box}"
        problems.append(Problem(ProblemKind.OUTSIDE, place, f"object {dataset.annotation_ids[row]}", message))
    return Checked(replace(dataset, boxes_xywh=clipped).keep_objects(left), tuple(problems))


def refuse_unsound(dataset: DataSet, verb: str, problems: Sequence[Problem]) -> None:
    """Refuse a split without objects, or with a class id or box that would break training.

    Raises:
        DataError: no images or no objects.
    """
    if not len(dataset) or not (~dataset.crowds).any():
        what = "object" if len(dataset) else "picture"
        blamed = [problem for problem in problems if problem.left_out]
        reason = f"; {len(blamed)} problems were found, the first: {blamed[0]}" if blamed else ""
        raise DataError(f"{dataset.source}: {dataset.name}: no usable {what} to {verb}{reason}")
    if not ((dataset.classes >= 0) & (dataset.classes < len(dataset.names))).all():
        raise DataError(f"{dataset.source}: a class id is not in 0 to {len(dataset.names) - 1}")
    if not np.isfinite(dataset.boxes_xywh).all():
        raise DataError(f"{dataset.source}: a box is not finite")
