"""Reading YOLO data sets: a ``data.yaml``, images, and a text file of labels for each image."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.boxes import cxcywh_to_xywh
from lucidbox.core.class_names import coco_category_ids
from lucidbox.core.progress import Progress, no_progress
from lucidbox.formats.coco.annotations import describe_tiny
from lucidbox.formats.dataset import DataSet, Scan, empty_dataset
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.description import YoloDescription, YoloPart
from lucidbox.formats.yolo.label_files import LabelFiles
from lucidbox.formats.yolo.labels import LabelFile, LabelReader, keypoints_after_boxes
from lucidbox.formats.yolo.layout import no_labels, orphan_labels, pictures_of
from lucidbox.images.headers import Header, read_headers

_FILES_LOOKED_AT = 100


@dataclass(frozen=True, eq=False)
class _Labelled:
    """A readable image and its labels; None where it has no label file."""

    path: Path
    header: Header
    labels: LabelFile | None


def scan_yolo(description: YoloDescription, part: YoloPart, progress: Progress = no_progress) -> Scan:
    """Read one split to its end, whatever is wrong with it.

    Labels are relative to the image's size, which is read from its first bytes. Boxes become pixels of the image
    as a viewer shows it. Images without a label file have no objects.

    Args:
        description: the data set's ``data.yaml``.
        part: one of its splits.
        progress: shows the images.
    """
    problems: list[Problem] = []
    pictures = pictures_of(part, str(description.file), problems)
    labels = LabelFiles()
    labels_of = {path: labels.of(path) for path in pictures}
    keypoints = description.keypoints or _unstated_keypoints(labels_of.values())
    reader, first = LabelReader(len(description.names), keypoints, bool(description.keypoints)), len(problems)
    labelled = []
    for path, header in zip(pictures, read_headers(pictures, progress), strict=True):
        if header.error:
            problems.append(Problem(ProblemKind.UNREADABLE_PICTURE, str(path), "", header.error))
        else:
            labelled.append(_Labelled(path, header, _read_labels(labels_of[path], header, reader, problems)))
    if pictures and not any(labels_of.values()):
        problems.append(no_labels(part, pictures, str(description.file)))
    problems += orphan_labels(part, labels_of, labels)
    dataset = _dataset(description, part, labelled)
    problems += _tiny_boxes(dataset, [labels_of[image.path] for image in labelled])
    notes = (*_notes(description, part, labelled, keypoints), *_count_from_one(dataset, problems[first:]))
    return Scan(dataset, tuple(problems), notes)


def _unstated_keypoints(files: Iterable[Path | None]) -> int:
    """How many numbers follow each box in label files of poses; 0 if they are of boxes or outlines."""
    texts = (_text_or_nothing(file) for file in files if file is not None)
    return keypoints_after_boxes(islice(filter(str.strip, texts), _FILES_LOOKED_AT))


def _text_or_nothing(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def _tiny_boxes(dataset: DataSet, files: Sequence[Path | None]) -> list[Problem]:
    """The boxes below a pixel, which stay in."""
    return [
        Problem(
            ProblemKind.TINY_BOX, str(files[int(dataset.pictures[row])]), "",
            describe_tiny(*dataset.boxes_xywh[row, 2:].tolist()), left_out=False,
        )
        for row in np.flatnonzero(dataset.areas < 1).tolist()
    ]  # fmt: skip


def _count_from_one(dataset: DataSet, problems: Sequence[Problem]) -> tuple[str, ...]:
    """A note where class ids seem to begin at 1 instead of 0."""
    count, too_large = len(dataset.names), f"{len(dataset.names)} is not in 0 to {len(dataset.names) - 1}"
    above = sum(problem.message == too_large for problem in problems if problem.kind is ProblemKind.CLASS_RANGE)
    if not above or (dataset.classes == 0).any():
        return ()
    hint = f"class {count} occurs {above} times and class 0 never: do the numbers begin at 1? YOLO's begin at 0"
    return (f"{dataset.source}: {dataset.name}: {hint}",)


def _read_labels(
    file: Path | None, header: Header, reader: LabelReader, problems: list[Problem]
) -> LabelFile | None:
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(ProblemKind.UNREADABLE_LABELS, str(file), "", f"cannot be read as text: {error}"))
        text = ""
    labels = reader.read(text, header.width, header.height, str(file))
    problems += labels.problems
    return labels


def _dataset(description: YoloDescription, part: YoloPart, labelled: Sequence[_Labelled]) -> DataSet:
    source, names = str(description.file), description.names
    if not labelled:
        return empty_dataset(part.name, source, description.file.parent, names)
    root = _root(part, [image.path for image in labelled])
    sizes = np.array([(image.header.width, image.header.height) for image in labelled], np.int64)
    counts = [0 if image.labels is None else len(image.labels.classes) for image in labelled]
    found = [image.labels for image in labelled if image.labels is not None]
    pictures = np.repeat(np.arange(len(labelled)), counts)
    classes = np.concatenate([np.zeros(0, np.int64), *(labels.classes for labels in found)])
    shares = np.concatenate([np.zeros((0, 4)), *(labels.boxes for labels in found)])
    boxes = cxcywh_to_xywh(shares) * np.tile(sizes[pictures], 2)
    return DataSet(
        part.name, source, root, names,
        np.array(description.category_ids or coco_category_ids(names), np.int64),
        picture_numbers([image.path for image in labelled]),
        tuple(image.path.relative_to(root).as_posix() for image in labelled),
        sizes, pictures, classes, boxes, boxes[:, 2] * boxes[:, 3],
        np.zeros(len(classes), bool), np.arange(1, len(classes) + 1),
    )  # fmt: skip


def _root(part: YoloPart, pictures: Sequence[Path]) -> Path:
    """The folder that all images are below: the split's own if it is one, else the deepest."""
    if part.entries and all(entry.is_dir() for entry in part.entries):
        return Path(os.path.commonpath([os.path.abspath(entry) for entry in part.entries]))  # noqa: PTH100  # links stay
    return Path(os.path.commonpath([path.parent for path in pictures]))


def picture_numbers(paths: Iterable[Path]) -> Int[np.ndarray, " i"]:
    """A number for each image: the number in its name, as in COCO, if all have one; else 1, 2, 3 and so on."""
    stems = [path.stem for path in paths]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdecimal() and len(stem) < 19]
    if len(set(numbers)) == len(stems):
        return np.array(numbers, np.int64)
    return np.arange(1, len(stems) + 1)


def _notes(
    description: YoloDescription, part: YoloPart, labelled: Sequence[_Labelled], keypoints: int
) -> tuple[str, ...]:
    where = f"{description.file}: {part.name}"
    without = sum(image.labels is None for image in labelled)
    outlines = sum(image.labels.polygons for image in labelled if image.labels is not None)
    notes = []
    if 0 < without < len(labelled):
        notes.append(f"{where}: {without} of {len(labelled)} pictures have no label file; they have no objects")
    if outlines:
        notes.append(f"{where}: {outlines} outlines became the boxes around them")
    if description.keypoints:
        notes.append(f"{where}: keypoints are not read, only boxes")
    elif keypoints:
        what = f"rows of {5 + keypoints} columns are taken for boxes with keypoints after them, which are not read"
        notes.append(f"{where}: {what}; kpt_shape: in the YAML says so plainly")
    return tuple(notes)
