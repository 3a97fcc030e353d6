"""How the answers of two networks to the same images differ: places, scores, boxes, order of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.detect.letterbox import Letterbox
from lucidbox.engines.base import Prediction

EQUAL_SCORES, EQUAL_BOXES = 1e-3, 0.05
"""Answers this close are the same: engines add in different orders."""


def placement_words(first: Letterbox, second: Letterbox) -> str:
    """How the places of one image in two networks' inputs differ; empty where they do not."""
    if first == second:
        return ""
    kinds = [_placement_kind(letterbox) for letterbox in (first, second)]
    if kinds[0] != kinds[1]:
        return f"the first {kinds[0]}; the second {kinds[1]}"
    if first.shape != second.shape:
        return f"the first's input is {_sides(first.shape)}, the second's {_sides(second.shape)} (height×width)"
    if first.resized != second.resized:
        return (
            f"resized sides are rounded differently: {_sides(first.resized)} and {_sides(second.resized)} pixels"
        )
    if (first.left, first.top) != (second.left, second.top):
        return f"the image begins at {first.left},{first.top} and at {second.left},{second.top} (x,y in the input)"
    if first.padding != second.padding:
        return f"padding is grey {first.padding} and {second.padding}"
    return "boxes are mapped back with gains that are rounded differently"


def _placement_kind(letterbox: Letterbox) -> str:
    vertical, horizontal = (
        resized / original for resized, original in zip(letterbox.resized, letterbox.original, strict=True)
    )
    if letterbox.shape == letterbox.resized and abs(vertical / horizontal - 1) > 0.02:
        return "stretches"
    if letterbox.left == letterbox.top == 0 and letterbox.right + letterbox.bottom > 1:
        return "letterboxes, the image left and top"
    return "letterboxes, the image in the centre"


@dataclass(frozen=True)
class Distance:
    """Largest distance of scores, and of boxes that either model scores above the least threshold."""

    scores: float
    boxes: float


def distance(first: Sequence[Prediction], second: Sequence[Prediction], least: float = 0.05) -> Distance:
    """How far apart two models' answers to the same images are."""
    scores = boxes = 0.0
    for one, other in zip(first, second, strict=True):
        scores = max(scores, float(np.abs(one.scores - other.scores).max(initial=0)))
        shown = np.maximum(one.scores, other.scores).max(axis=2, initial=0) > least
        boxes = max(boxes, float(np.abs(one.boxes - other.boxes)[shown].max(initial=0)))
    return Distance(scores, boxes)


def class_order(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[int] | None:
    """The second's column of each of the first's classes, where they hold the same scores in another order."""
    one = np.concatenate([answer.scores.reshape(-1, answer.scores.shape[2]) for answer in first])
    other = np.concatenate([answer.scores.reshape(-1, answer.scores.shape[2]) for answer in second])
    order = []
    free = np.ones(one.shape[1], bool)
    for column in range(one.shape[1]):
        distances = np.abs(other - one[:, column : column + 1]).max(axis=0)
        distances[~free] = np.inf
        # Its own place first: classes that nothing scores for look alike.
        best = column if distances[column] <= EQUAL_SCORES else int(distances.argmin())
        if not distances[best] <= EQUAL_SCORES:
            return None
        order.append(best)
        free[best] = False
    return None if order == list(range(len(order))) else order


def box_words(first: Sequence[Prediction], second: Sequence[Prediction], least: float = 0.05) -> str:
    """How the boxes of equal scores differ."""
    pairs = [
        (one.boxes[shown], other.boxes[shown])
        for one, other in zip(first, second, strict=True)
        for shown in [one.scores.max(axis=2) > least]
    ]
    one, other = (np.concatenate(boxes) for boxes in zip(*pairs, strict=True))
    moved = other - one
    largest = float(np.abs(moved).max())
    begin = f"the same scores, boxes differ by up to {largest:.3g} px"
    for boxes, which in ((other, "second"), (one, "first")):
        if np.all(boxes == np.round(boxes)):
            return f"{begin}: the {which}'s are rounded to whole pixels"
    offset = np.median(moved, axis=0)
    if np.abs(moved - offset).max() < EQUAL_BOXES + 0.01 * largest:
        return f"{begin}: all sides are moved by {', '.join(f'{side:.3g}' for side in offset)}"
    ratios = np.median(other / np.where(one == 0, np.nan, one), axis=0)
    if np.abs(other - one * ratios).max() < EQUAL_BOXES + 0.01 * largest:
        return f"{begin}: they are scaled by {', '.join(f'{side:.4g}' for side in ratios)}"
    centres = (one[:, :2] + one[:, 2:]) / 2
    if np.abs(other[:, :2] - centres).max() < EQUAL_BOXES:
        return f"{begin}: the second gives centres and sides where the first gives corners"
    return f"{begin}: they are decoded differently"


def copied(prediction: Prediction) -> Prediction:
    """An engine's arrays live until its next call."""
    return Prediction(prediction.boxes.copy(), prediction.scores.copy())


def _sides(sides: tuple[int, int]) -> str:
    return f"{sides[0]}×{sides[1]}"
