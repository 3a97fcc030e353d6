"""Why two models find different things: the first stage of the path at which they part, found by trying.

The stages are placement, pixels, scores, boxes, suppression. Where a difference may be harmless, the second model
is run again with the first's setting: only what makes the answers agree is named.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lucidbox.core.array_types import Float32, UInt8
from lucidbox.detect.letterbox import Letterbox
from lucidbox.detect.nms import Limits, detect, select, suppress
from lucidbox.detect.predictor import Image
from lucidbox.detector import Detector
from lucidbox.engines.base import Engine, Prediction
from lucidbox.model_files.layouts.layout import NO_DEVIATION, NO_MEAN, Pixels
from lucidbox.model_files.layouts.recognise import IMAGENET_DEVIATION, IMAGENET_MEAN

Stage = Literal["placement", "pixels", "precision", "weights", "boxes", "classes", "suppression", "none"]

PATH_STAGES = ("placement", "pixels", "scores", "boxes", "suppression")
"""In the order of the path."""

EQUAL_SCORES, EQUAL_BOXES = 1e-3, 0.05
"""Answers this close are the same: engines add in different orders."""

ROUNDED = 0.1
"""Scores that lie further apart than this are not those of one network in two precisions."""

GREY_LEVEL = 0.5
"""Mean difference of input pixels below which only resizing rounds differently."""


CLASS_OFFSETS = (7680, 4096, 2048, 1280, 1024, 640, 512, 416, 320, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Pixels by which boxes of neighbouring classes may be moved apart; small ones let them suppress one another."""


@dataclass(frozen=True)
class Difference:
    """The first stage at which two models part.

    Attributes:
        stage: its name; "none" where they agree throughout.
        words: what differs, and by how much.
        checked: the stages before it, which are the same.
    """

    stage: Stage
    words: str
    checked: tuple[str, ...] = ()


Rows = Sequence[Float32[np.ndarray, "_ 6"]]
"""Of each image: boxes, scores and classes."""

Reload = Callable[[Pixels], Engine]
"""Loads the second model again, with pixels prepared in another way."""


def first_difference(
    pair: tuple[Detector, Detector], images: Sequence[Image], limits: tuple[Limits, Limits], reload: Reload | None
) -> Difference:
    """Walks the stages of both models over the same images.

    Args:
        pair: the models; of equal classes.
        images: RGB.
        limits: what counts as a detection, of each.
        reload: the second model with other pixels; None where its pixels are fixed.
    """
    first, second = pair
    letterboxes = [
        (first.predictor.letterbox_for(_size(image)), second.predictor.letterbox_for(_size(image)))
        for image in images
    ]
    for one, other in letterboxes:
        if words := placement_words(one, other):
            return Difference("placement", words)
    batches = [one.apply(image)[None] for image, (one, _) in zip(images, letterboxes, strict=True)]
    walked: tuple[str, ...] = ("placement",)
    answers = [_copied(first.engine(batch)) for batch in batches]
    others = [_copied(second.engine(batch)) for batch in batches]
    if any(detector.info and detector.info.suppression for detector in pair):
        # One of them answers with few boxes, already suppressed: only what is left can be compared.
        return _after_suppression(pair, batches, answers, others, limits, reload)
    if answers[0].scores.shape != others[0].scores.shape:
        return Difference("weights", _shapes_differ(answers[0], others[0]), walked)
    apart = _apart(answers, others)
    if apart.scores > EQUAL_SCORES:
        return _scores_differ(pair, batches, answers, others, reload, walked)
    walked = (*walked, "pixels", "scores")
    if apart.boxes > EQUAL_BOXES:
        return Difference("boxes", box_words(answers, others), walked)
    walked = (*walked, "boxes")
    if limits[0] != limits[1]:
        changed = [
            f"{name} is {getattr(limits[0], name)} and {getattr(limits[1], name)}"
            for name in ("conf", "iou", "max_det", "agnostic")
            if getattr(limits[0], name) != getattr(limits[1], name)
        ]
        return Difference("suppression", f"the same boxes, limits differ: {', '.join(changed)}", walked)
    return Difference("none", "they agree at every stage", PATH_STAGES)


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
class _Apart:
    """Largest distance of scores, and of boxes that either model scores above the least threshold."""

    scores: float
    boxes: float


def _apart(first: Sequence[Prediction], second: Sequence[Prediction], least: float = 0.05) -> _Apart:
    scores = boxes = 0.0
    for one, other in zip(first, second, strict=True):
        scores = max(scores, float(np.abs(one.scores - other.scores).max(initial=0)))
        shown = np.maximum(one.scores, other.scores).max(axis=2, initial=0) > least
        boxes = max(boxes, float(np.abs(one.boxes - other.boxes)[shown].max(initial=0)))
    return _Apart(scores, boxes)


def _scores_differ(
    pair: tuple[Detector, Detector],
    batches: Sequence[UInt8[np.ndarray, "1 _ _ 3"]],
    answers: Sequence[Prediction],
    others: Sequence[Prediction],
    reload: Reload | None,
    walked: tuple[str, ...],
) -> Difference:
    """The same image, other scores: because of pixels, the order of classes, precision, or other weights."""
    order = class_order(answers, others)
    if order is not None:
        moved = next(index for index, column in enumerate(order) if column != index)
        name = pair[0].names[moved]
        return Difference(
            "classes",
            f"the same scores in other columns: class {moved} ({name}) of the first is class {order[moved]} of the"
            " second",
            (*walked, "pixels"),
        )
    before = _apart(answers, others).scores
    for words, again in _other_pixels(pair[1], batches, reload):
        after = _apart(answers, again).scores
        # Files that also differ in precision do not become equal; most of the distance is gone.
        if after <= max(EQUAL_SCORES, before / 10):
            return Difference(
                "pixels", f"{words}: then scores differ by {after:.2g} instead of {before:.2g}", walked
            )
    walked = (*walked, "pixels")
    precisions = tuple(detector.engine.precision for detector in pair)
    if before <= ROUNDED:
        why = (
            f"{precisions[0]} and {precisions[1]}" if precisions[0] != precisions[1] else "numbers stored shorter"
        )
        return Difference("precision", f"the same pixels, scores differ by up to {before:.2g}: {why}", walked)
    return Difference("weights", f"the same pixels, scores differ by up to {before:.2g}: other weights", walked)


def _other_pixels(
    second: Detector, batches: Sequence[UInt8[np.ndarray, "1 _ _ 3"]], reload: Reload | None
) -> Iterator[tuple[str, list[Prediction]]]:
    """The second model's answers with pixels prepared in other ways, and what was changed, in words."""
    swapped = [np.ascontiguousarray(batch[..., ::-1]) for batch in batches]
    yield (
        "the second takes channels in the other order (RGB, BGR)",
        [_copied(second.engine(batch)) for batch in swapped],
    )
    layout = second.info.layout if second.info else None
    if reload is None or layout is None:
        return
    now = layout.pixels
    imagenet = {"mean": IMAGENET_MEAN, "deviation": IMAGENET_DEVIATION, "scale": 1 / 255}
    plain = {"mean": NO_MEAN, "deviation": NO_DEVIATION}
    tried = [
        ("the second's pixels go from 0 to 1 if divided by 255", plain | {"scale": 1 / 255}),
        ("the second's pixels go from 0 to 255 if left as they are", plain | {"scale": 1.0}),
        ("the second's pixels are from -1 to 1", {"mean": (1.0,) * 3, "deviation": (1.0,) * 3, "scale": 2 / 255}),
        ("the second's pixels are normalised by ImageNet's mean", imagenet),
    ]
    for words, changes in tried:
        changed = replace(now, **changes)  # type: ignore[arg-type]
        if changed != now:
            engine = reload(changed)
            yield (
                f"{words} (as given: scale {now.scale:.4g}, mean {now.mean})",
                [_copied(engine(batch)) for batch in batches],
            )


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


def _shapes_differ(first: Prediction, second: Prediction) -> str:
    counts = [
        f"{answer.scores.shape[1]} anchors and {answer.scores.shape[2]} classes" for answer in (first, second)
    ]
    return f"other networks: {counts[0]}; {counts[1]}"


def _after_suppression(
    pair: tuple[Detector, Detector],
    batches: Sequence[UInt8[np.ndarray, "1 _ _ 3"]],
    answers: Sequence[Prediction],
    others: Sequence[Prediction],
    limits: tuple[Limits, Limits],
    reload: Reload | None,
) -> Difference:
    """One model suppresses inside: which way of suppressing the other's answer gives its boxes?"""
    flipped = answers[0].scores.shape[1] < others[0].scores.shape[1]
    whole, few = (others, answers) if flipped else (answers, others)
    inside, outside = limits if flipped else limits[::-1]
    which = "first" if flipped else "second"
    wanted = [_kept(prediction, replace(inside, iou=1.0)) for prediction in few]
    tried = []
    for words, changed, offset in _ways(outside):
        found = [_kept(prediction, changed, offset) for prediction in whole]
        tried.append((sum(map(_unlike, found, wanted)), words))
    least, words = min(tried, key=lambda entry: entry[0])
    as_ours, boxes = tried[0][0], sum(map(len, wanted))
    as_found = [_kept(prediction, outside) for prediction in whole]
    if as_ours == 0:
        return Difference("none", "they agree as far as a model with suppression inside shows", PATH_STAGES)
    if not sum(_unlike(ours[:, :5], theirs[:, :5]) for ours, theirs in zip(as_found, wanted, strict=True)):
        return Difference("classes", _class_words(as_found, wanted, pair[0].names), PATH_STAGES[:3])
    if least <= as_ours / 2 and least < 0.1 * boxes:
        words = f"the {which} suppresses inside: {words} ({least} of {boxes} boxes then differ, not {as_ours})"
        return Difference("suppression", words, PATH_STAGES[:-1])
    for words, again in _other_pixels(pair[1], batches, reload):
        kept = (
            [_kept(each, limit) for each in side] for side, limit in zip((answers, again), limits, strict=True)
        )
        after = sum(map(_unlike, *kept))
        if after <= as_ours / 2:
            return Difference(
                "pixels", f"{words}: then {after} boxes differ instead of {as_ours}", PATH_STAGES[:1]
            )
    words = f"{as_ours} of {boxes} boxes differ, and no other way of suppressing explains it"
    return Difference("weights", words, PATH_STAGES[:2])


def _class_words(found: Rows, wanted: Rows, names: Sequence[str]) -> str:
    """The first class that differs between the same boxes."""
    for ours, theirs in zip(found, wanted, strict=True):
        for row in ours:
            other = theirs[np.abs(theirs[:, :5] - row[:5]).max(axis=1).argmin()]
            if other[5] != row[5]:
                one, two = int(row[5]), int(other[5])
                return f"the same boxes and scores, other class ids: {one} ({names[one]}) is {two} ({names[two]})"
    return "the same boxes and scores, other class ids"


def _ways(limits: Limits) -> Iterator[tuple[str, Limits, int | None]]:
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


def _kept(prediction: Prediction, limits: Limits, offset: int | None = None) -> Float32[np.ndarray, "n 6"]:
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


def _unlike(first: Float32[np.ndarray, "n k"], second: Float32[np.ndarray, "m k"]) -> int:
    """Rows of either that the other lacks."""
    if not len(first) or not len(second):
        return len(first) + len(second)
    # 1 pixel and a score of 0.02: both may be of another precision.
    near = np.array([1, 1, 1, 1, 0.02, 0.1], np.float32)[: first.shape[1]]
    alike = (np.abs(first[:, None] - second[None]) <= near).all(axis=2)
    return int((~alike.any(axis=1)).sum() + (~alike.any(axis=0)).sum())


def _copied(prediction: Prediction) -> Prediction:
    """An engine's arrays live until its next call."""
    return Prediction(prediction.boxes.copy(), prediction.scores.copy())


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _sides(sides: tuple[int, int]) -> str:
    return f"{sides[0]}×{sides[1]}"
