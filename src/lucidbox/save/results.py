"""What ``predict`` writes of one picture: the annotated picture, crops, YOLO text, a JSON record, a phrase."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OutputError
from lucidbox.core.file_names import UniqueNames, safe_name
from lucidbox.core.filesystem import atomic_write
from lucidbox.core.text import printable
from lucidbox.save.encode import JsonLines, VideoSaver, json_line

__all__ = [
    "Crops",
    "JsonLines",
    "UniqueNames",
    "VideoSaver",
    "describe_detections",
    "encode_image",
    "json_line",
    "json_record",
    "safe_name",
    "save_crops",
    "save_image",
    "suffix_for",
    "txt_lines",
]

_QUALITY = 95
_OPTIONS: dict[str, list[int]] = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, _QUALITY],
    ".png": [],
    ".bmp": [],
    ".tif": [],
    ".tiff": [],
}
# Longest side that a format can hold, where it is short enough to be met.
_LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}


def suffix_for(source_suffix: str, height: int, width: int) -> str:
    """The suffix, in lower case, under which a picture of this size can be written, like its source's.

    Formats that are only read become ".png" where they are lossless (GIF), else ".jpg"; pictures too long
    for JPEG or WebP become ".png".
    """
    suffix = source_suffix.lower()
    if suffix not in _OPTIONS:
        suffix = ".png" if suffix == ".gif" else ".jpg"
    return ".png" if max(height, width) > _LONGEST_SIDE.get(suffix, math.inf) else suffix


def encode_image(pixels: UInt8[np.ndarray, "h w 3"], suffix: str) -> bytes:
    """RGB pixels as the content of a file; JPEG and WebP at quality 95, the others without loss.

    Raises:
        OutputError: this format cannot be written, or not at this size; see :func:`suffix_for`.
    """
    known = suffix.lower() in _OPTIONS
    if not known or suffix_for(suffix, *pixels.shape[:2]) != suffix.lower():
        reason = f"with sides of {pixels.shape[1]}×{pixels.shape[0]} pixels" if known else "by lucidbox"
        raise OutputError(f"{suffix or 'no suffix'}: not a format that can be written {reason}; use .png")
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(suffix.lower(), bgr, _OPTIONS[suffix.lower()])
    if not done:
        raise OutputError(f"{suffix}: OpenCV could not encode the picture; use .png")
    return content.tobytes()


def save_image(path: str | Path, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write RGB pixels in the format of the path's suffix, at once; an older file there is replaced.

    Raises:
        OutputError: the format or the file cannot be written.
    """
    atomic_write(path, encode_image(pixels, Path(path).suffix))


@dataclass(frozen=True)
class Crops:
    """How many crops were ``saved``, and how many ``skipped`` because their box holds no whole pixel."""

    saved: int
    skipped: int


def save_crops(folder: str | Path, stem: str, pixels: UInt8[np.ndarray, "h w 3"], detections: Detections) -> Crops:
    """Write what each box holds as ``folder/LABEL/stem-INDEX.jpg``.

    Args:
        folder: made if need be; in it one folder for each class name, made fit for file systems.
        stem: unique among the pictures that share the folder; see :class:`~lucidbox.core.file_names.UniqueNames`.
        pixels: RGB, without drawings.
        detections: boxes in pixels of the picture. INDEX counts them all from 0, in the order of the JSON
            record; a crop takes every pixel that its box touches.

    Raises:
        OutputError: a crop cannot be written.
    """
    saved = 0
    for index, (box, label) in enumerate(zip(detections.boxes.tolist(), detections.labels, strict=True)):
        crop = _crop(pixels, box)
        if crop is not None:
            suffix = suffix_for(".jpg", *crop.shape[:2])
            save_image(Path(folder, safe_name(label), f"{stem}-{index}{suffix}"), crop)
            saved += 1
    return Crops(saved, len(detections) - saved)


def _crop(pixels: UInt8[np.ndarray, "h w 3"], box: list[float]) -> UInt8[np.ndarray, "rows columns 3"] | None:
    """The pixels that an xyxy box touches, or None where it has no area in the picture."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)) or right <= left or bottom <= top:
        return None
    columns = slice(max(math.floor(left), 0), max(min(math.ceil(right), width), 0))
    rows = slice(max(math.floor(top), 0), max(min(math.ceil(bottom), height), 0))
    crop = pixels[rows, columns]
    return crop if crop.size else None


def txt_lines(detections: Detections, width: int, height: int) -> list[str]:
    """YOLO text: ``class cx cy w h score`` of each box, centre and size as shares of the picture's sides."""
    left, top, right, bottom = detections.boxes.astype(np.float64).T
    columns = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
        detections.scores.astype(np.float64),
    )
    rows = np.stack(columns, axis=1).tolist()
    return [
        " ".join([str(class_id), *(f"{value:.6f}" for value in row)])
        for class_id, row in zip(detections.classes.tolist(), rows, strict=True)
    ]


def json_record(
    source: str,
    width: int,
    height: int,
    detections: Detections,
    milliseconds: float,
    *,
    frame: int | None = None,
    time: float | None = None,
) -> dict[str, Any]:
    """One picture's line of JSON: source, width, height, detections, milliseconds, in this order.

    Args:
        source: where the picture came from, as the user named it.
        width: of the picture as a viewer shows it, in pixels; likewise ``height``.
        height: see ``width``.
        detections: boxes in those pixels; see :meth:`Detections.to_dicts` for their form.
        milliseconds: what the picture took.
        frame: of a video, the frame's number from 0; it follows ``height``.
        time: of a video, seconds from its start; it follows ``frame``.
    """
    place = {key: value for key, value in (("frame", frame), ("time", time)) if value is not None}
    return {
        "source": source,
        "width": width,
        "height": height,
        **({key: round(value, 3) for key, value in place.items()}),
        "detections": detections.to_dicts(),
        "milliseconds": round(milliseconds, 2),
    }


def describe_detections(detections: Detections) -> str:
    """What was found, for a person to read: "person 2, bus 1", best score first, or "no objects".

    The number follows the name so that no language's plural is needed. Names are cleaned of what would
    confuse a terminal.
    """
    best_first = np.argsort(-detections.scores, kind="stable")
    counts = Counter(detections.classes[best_first].tolist())
    found = (f"{printable(detections.names[class_id]) or f'#{class_id}'} {n}" for class_id, n in counts.items())
    return ", ".join(found) or "no objects"
