"""Ways of suppressing that are in use, and what each leaves of a network's answer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lucidbox.core.array_types import Float32
from lucidbox.detect.nms import Limits, detect, select, suppress
from lucidbox.engines.base import Prediction

CLASS_OFFSETS = (7680, 4096, 2048, 1280, 1024, 640, 512, 416, 320, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Pixels by which boxes of neighbouring classes may be moved apart; small ones let them suppress one another."""

Rows = Sequence[Float32[np.ndarray, "_ 6"]]
"""Of each image: boxes, scores and classes."""


def ways_of_suppressing(limits: Limits) -> Iterator[tuple[str, Limits, int | None]]:
    """Ways of suppressing: as ours, then others that are in use."""
    yield "as ours", limits, None
    yield "it suppresses across classes", replace(limits, agnostic=True), None
    for offset in CLASS_OFFSETS:
        yield f"it moves classes apart by {offset} pixels before it suppresses", limits, offset
    for iou in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0):
        if iou != limits.iou:
            words = f"it drops boxes at an overlap of {iou:g}, not {limits.iou:g}"
            yield words, replace(limits, iou=iou), None
    for most in (10, 50, 100, 200):
        if most < limits.max_det:
            yield f"it keeps at most {most} boxes", replace(limits, max_det=most), None


def what_stays(prediction: Prediction, limits: Limits, offset: int | None = None) -> Float32[np.ndarray, "n 6"]:
    """Boxes, scores and classes that stay of an answer for one image."""
    boxes, scores = prediction.boxes[0], prediction.scores[0]
    if offset is None:
        kept_boxes, kept = detect(boxes, scores, limits)
    else:
        candidates = select(scores, limits)
        moved = boxes[candidates.anchors] + np.float32(offset) * candidates.classes[:, None].astype(np.float32)
        rows = suppress(moved, candidates.scores, candidates.classes, limits.iou, limits.max_det, agnostic=True)
        kept = candidates[rows]
        kept_boxes = boxes[kept.anchors]
    return np.column_stack((kept_boxes, kept.scores, kept.classes)).astype(np.float32)


def unlike(first: Float32[np.ndarray, "n k"], second: Float32[np.ndarray, "m k"]) -> int:
    """Rows of either that the other lacks."""
    if not len(first) or not len(second):
        return len(first) + len(second)
    # 1 pixel and a score of 0.02: both may be of another precision.
    near = np.array([1, 1, 1, 1, 0.02, 0.1], np.float32)[: first.shape[1]]
    alike = (np.abs(first[:, None] - second[None]) <= near).all(axis=2)
    return int((~alike.any(axis=1)).sum() + (~alike.any(axis=0)).sum())


def class_words(found: Rows, wanted: Rows, names: Sequence[str]) -> str:
    """The first class that differs between the same boxes."""
    for ours, theirs in zip(found, wanted, strict=True):
        for row in ours:
            other = theirs[np.abs(theirs[:, :5] - row[:5]).max(axis=1).argmin()]
            if other[5] != row[5]:
                one, two = int(row[5]), int(other[5])
                return f"the same boxes and scores, other class ids: {one} ({names[one]}) is {two} ({names[two]})"
    return "the same boxes and scores, other class ids"
