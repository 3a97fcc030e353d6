"""What counts as a suppression of an answer, and that engines' own count at every limit."""

import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.detect.nms import Limits, detect
from lucidbox.engines import Prediction
from lucidbox.export.checking import check_suppression_alone
from lucidbox.export.greedy import may_be_kept
from lucidbox.model_files.metadata import Suppression

TIES = 1e-4


def crowded(steps):
    """Boxes of two classes in little room, with scores so close to one another that many tie."""
    random = np.random.default_rng(5)
    corners = random.uniform(0, 60, (120, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (120, 2))], axis=1).astype(np.float32)
    return Prediction(boxes[None], (0.3 + random.uniform(0, steps * TIES, (1, 120, 2))).astype(np.float32))


def kept_of(answer, limits, scores=None):
    """What our suppression keeps of it, with other scores if they are given."""
    boxes, kept = detect(answer.boxes[0], answer.scores[0] if scores is None else scores, limits)
    return Detections(boxes, kept.scores, kept.classes, ())


@pytest.mark.parametrize(("iou", "most"), [(0.0, 300), (0.0, 5), (0.5, 300), (0.5, 9), (1.0, 300)])
def test_any_order_of_ties_is_a_suppression_and_nothing_else_is(iou, most):
    limits, answer = Limits(0.001, iou, most), crowded(4)
    moved = answer.scores[0] + np.random.default_rng(1).uniform(-TIES / 3, TIES / 3, (120, 2)).astype(np.float32)
    ours, other = kept_of(answer, limits), kept_of(answer, limits, moved)
    assert iou == 1 or not np.array_equal(ours.boxes, other.boxes)
    for kept in (ours, other):
        assert may_be_kept(kept, answer, limits, 0.01, TIES)
    middle = len(ours) // 2
    without = np.delete(np.arange(len(ours)), middle)
    assert not may_be_kept(ours[without], answer, limits, 0.01, TIES), "one is lacking"
    strange = Detections(ours.boxes + 3, ours.scores, ours.classes, ())
    assert not may_be_kept(strange, answer, limits, 0.01, TIES), "boxes of no anchor"
    relabelled = Detections(ours.boxes, ours.scores + 0.1, ours.classes, ())
    assert not may_be_kept(relabelled, answer, limits, 0.01, TIES), "scores of no anchor"
    if most == 300 and iou < 1:
        looser = kept_of(answer, Limits(0.001, iou + 0.2, most))
        assert not may_be_kept(looser, answer, limits, 0.01, TIES), "more are kept than may be"


@pytest.mark.parametrize(("conf", "iou", "most"), [(0.25, 0.0, 300), (0.0, 0.0, 25), (0.001, 0.7, 9)])
def test_graphs_suppress_as_we_do_at_every_limit(conf, iou, most):
    """At 0 OpenVINO would drop all boxes of a class but one, also those that touch nothing."""
    check_suppression_alone(Suppression(conf, iou, most), 3)
