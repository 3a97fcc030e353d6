"""Records of frames in JSON Lines by ``lucidbox predict`` or ``track`` (docs/reference/predict.schema.json)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float32, Int
from lucidbox.core.errors import DataError
from lucidbox.formats.json_text import describe_value, parse_json

_MOST_CLASSES = 1 << 16
_MOST_FRAMES = 1 << 53  # a double counts no further


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What was found in one frame.

    Attributes:
        source: the video.
        frame: its number, from 0.
        time: seconds since the video's first frame.
        size: height, width in pixels.
        boxes: xyxy in pixels.
        scores: 0 to 1.
        classes: class ids.
        labels: class names, one a box.
        milliseconds: that detecting took.
    """

    source: str
    frame: int
    time: float
    size: tuple[int, int]
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    labels: tuple[str, ...]
    milliseconds: float


class FrameRecords:
    """Reads such a file, record by record.

    Attributes:
        others: after reading, records that are not of frames: of still pictures, of failures and the like.

    Example:
        >>> for record in FrameRecords("found.jsonl"):
        ...     print(record.frame, record.labels)
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.others = 0

    def __iter__(self) -> Iterator[FrameRecord]:
        """Every frame.

        Raises:
            DataError: the file cannot be read, or a line of it is no such record; names the line.
        """
        self.others = 0
        try:
            with self._path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    place = f"{self._path}: line {number}"
                    record = parse_json(line, place) if line.strip() else {}
                    if not isinstance(record, dict):
                        raise DataError(
                            f"{place}: expected a record of lucidbox predict, got {describe_value(record)}"
                        )
                    if "frame" in record and "detections" in record:
                        yield _frame(record, place)
                    else:
                        self.others += bool(record)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror or error}") from error


def _frame(record: dict[str, Any], place: str) -> FrameRecord:
    found = record["detections"]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DataError(f"{place}: detections: expected a list of objects, got {describe_value(found)}")
    boxes = np.array([_box(one, place) for one in found], np.float32).reshape(-1, 4)
    scores = np.array([_number(one, "score", place, 1) for one in found], np.float32)
    classes = np.array([_whole(one, "class", place, _MOST_CLASSES) for one in found], np.int64)
    size = (_whole(record, "height", place, 1 << 31), _whole(record, "width", place, 1 << 31))
    return FrameRecord(
        str(record.get("source", "")),
        _whole(record, "frame", place, _MOST_FRAMES),
        _number(record, "time", place),
        size,
        boxes,
        scores,
        classes,
        tuple(str(one.get("label", "")) for one in found),
        _number(record, "milliseconds", place) if "milliseconds" in record else 0.0,
    )


def _box(detection: dict[str, Any], place: str) -> list[float]:
    box = detection.get("box")
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        raise DataError(f"{place}: box: expected four finite numbers, got {describe_value(box)}")
    if box[2] < box[0] or box[3] < box[1]:
        raise DataError(f"{place}: box: {box} ends before it begins; expected left, top, right, bottom")
    return box


def _number(record: dict[str, Any], field: str, place: str, most: float = math.inf) -> float:
    value: Any = record.get(field)
    if not _is_number(value) or not 0 <= value <= most:
        limit = "0 or more" if most == math.inf else f"from 0 to {most:g}"
        raise DataError(f"{place}: {field}: expected a number, {limit}, got {describe_value(value)}")
    return float(value)


def _whole(record: dict[str, Any], field: str, place: str, most: int) -> int:
    value = record.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise DataError(f"{place}: {field}: expected a whole number from 0 to {most}, got {describe_value(value)}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30
