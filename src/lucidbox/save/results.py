"""What is written of one image besides its annotated copy: crops and YOLO text."""

import math
from pathlib import Path, PurePosixPath

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.file_names import UniquePaths, safe_name
from lucidbox.detect.stream import Result
from lucidbox.save.encode import save_image, suffix_for


def save_crops(folder: Path, stem: PurePosixPath, result: Result, names: UniquePaths) -> list[Path]:
    """Write the pixels of each box as ``crops/LABEL/stem-INDEX.jpg``; a box without a whole pixel is left out.

    Args:
        folder: of all results; below ``crops`` it gets one folder for each class name, as far as file systems
            allow the name.
        stem: of the image's own results.
        result: the image, without drawings, and its boxes. INDEX counts all of them from 0, in the order of the
            JSON record; a crop has every pixel that its box touches.
        names: what results in this folder are called.

    Returns:
        The files, in the order of the boxes.

    Raises:
        OutputError: a crop cannot be written.
    """
    written, detections = [], result.detections
    for index, (box, label) in enumerate(zip(detections.boxes.tolist(), detections.labels, strict=True)):
        crop = _crop(result.picture.pixels, box)
        if crop is not None:
            name = names.claim(PurePosixPath("crops", safe_name(label), f"{stem}-{index}"))
            written.append(folder / f"{name}{suffix_for('.jpg', *crop.shape[:2])}")
            save_image(written[-1], crop)
    return written


def _crop(pixels: UInt8[np.ndarray, "h w 3"], box: list[float]) -> UInt8[np.ndarray, "rows columns 3"] | None:
    """The pixels that an xyxy box touches, or None where it has no area in the image."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)) or right <= left or bottom <= top:
        return None
    columns = slice(max(math.floor(left), 0), max(min(math.ceil(right), width), 0))
    rows = slice(max(math.floor(top), 0), max(min(math.ceil(bottom), height), 0))
    crop = pixels[rows, columns]
    return crop if crop.size else None


def txt_lines(detections: Detections, width: int, height: int) -> list[str]:
    """YOLO text: ``class cx cy w h score`` of each box, centre and size as shares of the image's sides."""
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
