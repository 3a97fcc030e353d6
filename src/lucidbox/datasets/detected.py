"""Results of ``lucidbox batch`` as a data set: what was found takes the place of annotations."""

from pathlib import Path

import numpy as np

from lucidbox.core.boxes import xyxy_to_xywh
from lucidbox.core.class_names import coco_category_ids
from lucidbox.core.detection_tables import job_of, tables
from lucidbox.core.errors import DataError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.core.storage import is_folder, local_path
from lucidbox.formats.dataset import DataSet, Reading
from lucidbox.formats.problems import Problem, ProblemKind


def read_detections(uri: str, images: str | Path | None = None, progress: Progress = no_progress) -> Reading:
    """A data set of one split, "all", from Parquet files; images that failed are problems and left out.

    Args:
        uri: path or address of a file or of a folder of them.
        images: folder that relative names of images begin at; by default the one that the job states.
        progress: shows the files.

    Raises:
        SourceError: something cannot be read.
        DataError: there are no results, no usable image, or files of models with different classes.
    """
    names: tuple[str, ...] | None = None
    file_names: list[str] = []
    sizes: list[tuple[int, int]] = []
    boxes, classes, counts, problems = [np.zeros((0, 4))], [np.zeros(0, np.int64)], list[int](), list[Problem]()
    scores = 0
    files = tables(uri)
    for table in progress(files, len(files)):
        if table.info().names != (names or table.info().names):
            raise DataError(f"{table.uri}: has other class names than the files before it; convert them apart")
        names = table.info().names
        for row in table.rows():
            if row.error is not None or row.width is None or row.height is None:
                problems.append(Problem(ProblemKind.UNREADABLE_PICTURE, row.uri, "", _cause(row.uri, row.error)))
                continue
            file_names.append(row.uri)
            sizes.append((row.width, row.height))
            counts.append(len(row.detections))
            boxes.append(xyxy_to_xywh(row.detections.boxes.astype(np.float64)))
            classes.append(row.detections.classes)
            scores += len(row.detections)
    if not file_names:
        raise DataError(f"{uri}: no usable pictures: {problems[0] if problems else 'no rows'}")
    together = np.concatenate(boxes)
    number = np.arange(1, len(file_names) + 1)
    assert names is not None
    dataset = DataSet(
        "all", uri, _root(uri, images), names, np.array(coco_category_ids(names)), number, tuple(file_names),
        np.array(sizes).reshape(-1, 2), np.repeat(number - 1, counts), np.concatenate(classes), together,
        together[:, 2] * together[:, 3], np.zeros(scores, bool), np.arange(1, scores + 1), (("score", scores),),
    )  # fmt: skip
    return Reading("detections", (dataset,), tuple(problems), ())


def _cause(uri: str, error: str | None) -> str:
    return (error or "states no size").removeprefix(f"{uri}: ")


def _root(uri: str, images: str | Path | None) -> Path | None:
    """The folder that relative names begin at; None where the images are in object storage."""
    if images is not None:
        return Path(images)
    job = job_of(uri) if is_folder(uri) else None
    return local_path(job["manifest"]["base"]) if job and job["manifest"].get("base") else None
