"""Boxes that were made elsewhere, as a stream of results without pictures: MOT text, or predict's JSON Lines."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError
from lucidbox.detect.stream import Result
from lucidbox.formats.frame_records import FrameRecord, FrameRecords
from lucidbox.formats.mot import read_mot
from lucidbox.sources import Picture

_NO_PIXELS = np.zeros((1, 1, 3), np.uint8)
_LONGEST_GAP = 250
"""Frames without a box that are gone through one by one; of a longer gap the rest is passed over."""


@dataclasses.dataclass(frozen=True)
class BoxFile:
    """Boxes of a file, frame by frame.

    Attributes:
        results: gives a result for each frame; its picture has no pixels, and size (0, 0) if the file states none.
        videos: how many videos the file is of.
        names: class names.
        sized: whether it states the size of frames.
        notes: what to know of the file.
    """

    results: Callable[[], Iterator[Result]]
    videos: int
    names: tuple[str, ...]
    sized: bool
    notes: tuple[str, ...] = ()


def open_boxes(path: str | Path, fps: float) -> BoxFile:
    """Read a file of boxes through, so that whatever is wrong with it is told before any tracking.

    Args:
        path: MOT text, or JSON Lines of ``lucidbox predict``.
        fps: frames a second, for MOT text, which states no times.

    Raises:
        DataError: the file cannot be read, has no frames, or is malformed; names the line.
    """
    try:
        with Path(path).open("rb") as stream:
            begin = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _records(path) if begin.startswith(b"{") else _mot(path, fps)


def _records(path: str | Path) -> BoxFile:
    records = FrameRecords(path)
    names: dict[int, str] = {}
    videos, last = 0, ("", 0)
    for record in records:
        for class_id, label in zip(record.classes.tolist(), record.labels, strict=True):
            if names.setdefault(class_id, label) != label:
                raise DataError(
                    f"{path}: class {class_id} is {names[class_id]!r} and {label!r}; track one model's boxes"
                )
        videos += not videos or record.source != last[0] or record.frame <= last[1]
        last = (record.source, record.frame)
    if not videos:
        raise DataError(
            f"{path}: no record of a frame of a video; make them with lucidbox predict VIDEO --json-file"
        )
    listed = tuple(names.get(class_id, "") for class_id in range(max(names, default=-1) + 1))
    others = (f"{path}: {records.others} records that are not of frames of videos were passed over",)
    notes = others if records.others else ()
    return BoxFile(lambda: (_result(record, listed) for record in records), videos, listed, True, notes)


def _result(record: FrameRecord, names: tuple[str, ...]) -> Result:
    name = PurePath(record.source).name
    picture = Picture(_NO_PIXELS, record.source, name, record.frame, record.time, whole=record.size)
    return Result(picture, Detections(record.boxes, record.scores, record.classes, names), record.milliseconds)


def _mot(path: str | Path, fps: float) -> BoxFile:
    rows = read_mot(path)
    kinds, classes = np.unique(rows.classes, return_inverse=True)
    names = tuple("object" if kind < 0 else str(kind) for kind in kinds.tolist())
    scores, notes = rows.scores.astype(np.float32), list(rows.notes)
    if scores.min() < 0 or scores.max() > 1:
        notes.append(
            f"{path}: scores from {scores.min():g} to {scores.max():g} are no probabilities; all count as 1"
        )
        scores = np.ones_like(scores)
    if (rows.ids > 0).any():
        notes.append(f"{path}: the ids in the file are passed over, boxes get new ones")
    found = Detections(rows.boxes.astype(np.float32), scores, classes.astype(np.int64), names)
    return BoxFile(lambda: _frames(found, rows.frames, str(path), fps), 1, names, False, tuple(notes))


def _frames(found: Detections, frames: Int[np.ndarray, " n"], source: str, fps: float) -> Iterator[Result]:
    """A result for every frame from the first to the last, also for those without a box; see ``_LONGEST_GAP``."""
    numbers, starts = np.unique(frames, return_index=True)
    ends = np.append(starts[1:], len(frames))
    before = 0
    for number, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        skipped = range(before + 1, min(number, before + 1 + _LONGEST_GAP))
        for frame, boxes in [*((frame, slice(0, 0)) for frame in skipped), (number, slice(start, end))]:
            picture = Picture(
                _NO_PIXELS, source, PurePath(source).name, frame - 1, (frame - 1) / fps, whole=(0, 0)
            )
            yield Result(picture, found[boxes], 0.0)
        before = number
