"""Why two models find different things: the first stage of the path at which they part, found by trying.

The stages are placement, pixels, scores, boxes, suppression. Where a difference may be harmless, the second model
is run again with the first's setting: only what makes the answers agree is named.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Image
from lucidbox.detector import Detector
from lucidbox.engines.base import Engine, Prediction
from lucidbox.model_files.layouts.layout import NO_DEVIATION, NO_MEAN, Pixels
from lucidbox.model_files.layouts.recognise import IMAGENET_DEVIATION, IMAGENET_MEAN
from lucidbox.validate.answers_apart import (
    EQUAL_BOXES,
    EQUAL_SCORES,
    box_words,
    class_order,
    copied,
    distance,
    placement_words,
)
from lucidbox.validate.suppressing import class_words, unlike, ways_of_suppressing, what_stays

Stage = Literal["placement", "pixels", "precision", "weights", "boxes", "classes", "suppression", "none"]

PATH_STAGES = ("placement", "pixels", "scores", "boxes", "suppression")
"""In the order of the path."""

ROUNDED = 0.1
"""Scores that lie further apart than this are not those of one network in two precisions."""


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
    answers = [copied(first.engine(batch)) for batch in batches]
    others = [copied(second.engine(batch)) for batch in batches]
    if any(detector.info and detector.info.suppression for detector in pair):
        # One of them answers with few boxes, already suppressed: only what is left can be compared.
        return _after_suppression(pair, batches, answers, others, limits, reload)
    if answers[0].scores.shape != others[0].scores.shape:
        return Difference("weights", _shapes_differ(answers[0], others[0]), walked)
    apart = distance(answers, others)
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
    before = distance(answers, others).scores
    for words, again in _other_pixels(pair[1], batches, reload):
        after = distance(answers, again).scores
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
        [copied(second.engine(batch)) for batch in swapped],
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
                [copied(engine(batch)) for batch in batches],
            )


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
    wanted = [what_stays(prediction, replace(inside, iou=1.0)) for prediction in few]
    tried = []
    for words, changed, offset in ways_of_suppressing(outside):
        found = [what_stays(prediction, changed, offset) for prediction in whole]
        tried.append((sum(map(unlike, found, wanted)), words))
    least, words = min(tried, key=lambda entry: entry[0])
    as_ours, boxes = tried[0][0], sum(map(len, wanted))
    as_found = [what_stays(prediction, outside) for prediction in whole]
    if as_ours == 0:
        return Difference("none", "they agree as far as a model with suppression inside shows", PATH_STAGES)
    if not sum(unlike(ours[:, :5], theirs[:, :5]) for ours, theirs in zip(as_found, wanted, strict=True)):
        return Difference("classes", class_words(as_found, wanted, pair[0].names), PATH_STAGES[:3])
    if least <= as_ours / 2 and least < 0.1 * boxes:
        words = f"the {which} suppresses inside: {words} ({least} of {boxes} boxes then differ, not {as_ours})"
        return Difference("suppression", words, PATH_STAGES[:-1])
    for words, again in _other_pixels(pair[1], batches, reload):
        sides = zip((answers, again), limits, strict=True)
        kept = ([what_stays(each, limit) for each in side] for side, limit in sides)
        after = sum(map(unlike, *kept))
        if after <= as_ours / 2:
            return Difference(
                "pixels", f"{words}: then {after} boxes differ instead of {as_ours}", PATH_STAGES[:1]
            )
    words = f"{as_ours} of {boxes} boxes differ, and no other way of suppressing explains it"
    return Difference("weights", words, PATH_STAGES[:2])


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
