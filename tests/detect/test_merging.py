import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.detections import Detections
from lucidbox.detect.merging import BORDER, PORTION, SHARED_IOU, merge
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import View
from lucidbox.detect.tiles import Tiling

NAMES = ("a", "b")
WHOLE, LEFT, RIGHT = View(0, 0, 180, 100), View(0, 0, 100, 100), View(80, 0, 180, 100)


def found(*rows):
    """Detections of left, top, right, bottom, score, class; best first."""
    table = np.array(sorted(rows, key=lambda row: -row[4]), np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), NAMES)


def everything(**limits):
    return Limits(**{"max_det": 10**6, **limits})


def area(box):
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def common(first, second):
    return [max(first[0], second[0]), max(first[1], second[1]), min(first[2], second[2]), min(first[3], second[3])]


def brute_force(parts, limits):
    """The rule word for word: every pair of boxes, one box at a time."""
    parts = sorted(parts, key=lambda part: (part[0].size[0] * part[0].size[1], part[0]))
    extent = [max(view[side] for view, _ in parts) for side in (2, 3)]
    rows = []
    for view, detections in parts:
        width, height = view.right - view.left, view.bottom - view.top
        for index in range(len(detections)):
            left, top, right, bottom = detections.boxes[index].tolist()
            cut = (
                (view.left > 0 and left <= np.float32(BORDER) * width)
                or (view.top > 0 and top <= np.float32(BORDER) * height)
                or (view.right < extent[0] and right >= width - np.float32(BORDER) * width)
                or (view.bottom < extent[1] and bottom >= height - np.float32(BORDER) * height)
            )
            box = [left + view.left, top + view.top, right + view.left, bottom + view.top]
            rows.append((box, float(detections.scores[index]), int(detections.classes[index]), view, cut))
    kept = []
    for one in sorted(range(len(rows)), key=lambda row: (rows[row][4], -rows[row][1], row)):
        box, _, label, view, _ = rows[one]
        for other in kept:
            rival, _, rival_label, rival_view, _ = rows[other]
            if view == rival_view or (label != rival_label and not limits.agnostic):
                continue
            shared = area(common(box, rival))
            union = area(common(box, rival_view)) + area(common(rival, view)) - shared
            if shared > min(limits.iou, SHARED_IOU) * union:
                break
        else:
            kept.append(one)
    kept.sort(key=lambda row: (-rows[row][1], row))
    return [(*rows[row][0], rows[row][1], rows[row][2]) for row in kept[: limits.max_det]]


def as_rows(detections):
    return [
        (*box, score, label)
        for box, score, label in zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.classes.tolist(), strict=True
        )
    ]


def test_half_an_object_loses_to_the_whole_one_also_with_a_better_score_and_a_small_iou():
    # An object from 90 to 160: the left tile sees its first 10 pixels, an IoU of 1/7.
    half, whole = (90, 20, 100, 60, 0.9, 0), (10, 20, 80, 60, 0.3, 0)
    merged = merge([(LEFT, found(half)), (RIGHT, found(whole)), (WHOLE, found())], everything())
    assert as_rows(merged) == [(90, 20, 160, 60, np.float32(0.3), 0)]


def test_half_an_object_stays_where_nobody_saw_the_whole_one():
    half = (90, 20, 100, 60, 0.9, 0)
    merged = merge([(LEFT, found(half)), (RIGHT, found()), (WHOLE, found())], everything())
    assert len(merged) == 1


def test_two_halves_of_one_object_leave_the_better():
    # It reaches over the overlap of both tiles, from 80 to 100.
    first, second = (40, 20, 100, 60, 0.6, 0), (0, 20, 70, 60, 0.5, 0)
    merged = merge([(LEFT, found(first)), (RIGHT, found(second)), (WHOLE, found())], everything())
    assert as_rows(merged) == [(40, 20, 100, 60, np.float32(0.6), 0)]


def test_a_neighbour_beyond_the_border_is_another_object():
    # Both are whole, and lie side by side in what both tiles see.
    merged = merge(
        [
            (LEFT, found((60, 20, 88, 60, 0.6, 0))),
            (RIGHT, found((10, 20, 50, 60, 0.5, 0))),
            (WHOLE, found()),
        ],
        everything(),
    )
    assert len(merged) == 2


def test_classes_are_kept_apart_unless_asked_otherwise():
    parts = [(LEFT, found((85, 20, 95, 60, 0.6, 0))), (RIGHT, found((5, 20, 15, 60, 0.5, 1))), (WHOLE, found())]
    assert len(merge(parts, everything())) == 2
    assert len(merge(parts, everything(agnostic=True))) == 1


def test_boxes_of_one_view_are_not_compared_again():
    twice = found((10, 10, 50, 50, 0.6, 0), (10, 10, 50, 50, 0.5, 0))
    assert len(merge([(LEFT, twice), (RIGHT, found()), (WHOLE, found())], everything())) == 2


def test_one_view_is_returned_as_it_is():
    only = found((10, 10, 50, 50, 0.6, 0), (10, 10, 50, 50, 0.5, 0))
    assert merge([(WHOLE, only)], everything()) is only


def test_nothing_found_anywhere():
    assert len(merge([(LEFT, found()), (RIGHT, found()), (WHOLE, found())], everything())) == 0


def random_parts(random, image=(200, 260), boxes=12, step=20):
    """Views of an image, and boxes on a coarse grid in them: ties, equal boxes, empty ones."""
    parts = []
    for view in Tiling((100, 120), 0.25).views(image, (640, 640)):
        height, width = view.size
        ends = random.integers(0, [width // step + 1, height // step + 1], (2, boxes, 2)) * step
        scores, labels = random.integers(1, 9, boxes) / 8, random.integers(0, 2, boxes)
        ends[:, 2:] = np.sort(ends[:, 2:], axis=0)  # the first two boxes may be inside out
        rows = np.column_stack([*ends, scores, labels])
        parts.append((view, found(*rows)))
    return parts


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    agnostic=st.booleans(),
    iou=st.sampled_from([0.0, 0.3, 0.7]),
    most=st.sampled_from([3, 10**6]),
)
def test_as_the_rule_says_and_whatever_the_order_of_the_views(seed, agnostic, iou, most):
    random = np.random.default_rng(seed)
    parts, limits = random_parts(random), Limits(iou=iou, agnostic=agnostic, max_det=most)
    merged = merge(parts, limits)
    assert as_rows(merged) == brute_force(parts, limits)
    assert merge([parts[row] for row in random.permutation(len(parts))], limits) == merged


def test_many_pairs_are_looked_at_in_portions(monkeypatch):
    parts = random_parts(np.random.default_rng(0), boxes=40)
    merged = merge(parts, everything())
    monkeypatch.setattr("lucidbox.detect.merging.PORTION", 7)
    assert merge(parts, everything()) == merged
    assert PORTION > 7


@pytest.mark.parametrize("classes", [1, 80])
def test_few_pairs_are_looked_at(classes, monkeypatch):
    """Thirty thousand boxes: the pairs that are measured grow with those that meet, not with all there are."""
    from lucidbox.detect import merging

    random, counts, names = np.random.default_rng(0), [], tuple(map(str, range(80)))
    parts = []
    for view in Tiling((640, 640)).views((5000, 5300), (640, 640)):
        centres = random.random((270, 2)) * view.size[::-1]
        sides = 20 + random.random((270, 2)) ** 2 * 200
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        boxes = boxes.clip(0, np.tile(view.size[::-1], 2)).astype(np.float32)
        scores = np.sort(random.random(270, np.float32))[::-1]
        parts.append((view, Detections(boxes, scores, random.integers(0, classes, 270), names)))
    near = merging.near_pairs

    def counted(*arguments):
        for first, second in near(*arguments):
            counts.append(len(first))
            yield first, second

    monkeypatch.setattr(merging, "near_pairs", counted)
    total = sum(len(one) for _, one in parts)
    merge(parts, everything())
    assert total == 29_970
    assert sum(counts) < 15 * total / classes
