import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError
from lucidbox.detect.nms import BLOCK, Limits, detect, select, suppress


def brute_force(boxes, scores, classes, iou, most):
    """Greedy suppression word for word: best first, one box at a time, in float64."""
    boxes = boxes.astype(np.float64)
    kept = []
    for index in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        if most is not None and len(kept) == most:
            break
        if all(classes[index] != classes[other] or overlap(boxes[index], boxes[other]) <= iou for other in kept):
            kept.append(index)
    return kept


def overlap(first, second):
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    union = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    union -= width * height
    return width * height / union if union > 0 else 0.0


def test_reference_cases_equal_in_order(golden_file):
    cases = np.load(golden_file("nms/cases.npz"))
    names = sorted({key.split("/")[0] for key in cases})
    assert len(names) == 20
    for name in names:
        for key in cases:
            if key.startswith(f"{name}/keep"):
                iou, most = key.removeprefix(f"{name}/keep_iou").split("_")
                kept = suppress(
                    *(cases[f"{name}/{part}"] for part in ("boxes", "scores", "classes")),
                    iou=float(iou),
                    max_det=None if most == "all" else 300,
                )
                assert kept.tolist() == cases[key].tolist(), key


def test_the_notebooks_suppression(golden_file):
    """The seed's nms and batched_nms, which add 1e-7 to the union: no IoU here is that near a threshold."""
    cases = np.load(golden_file("notebook/nms.npz"))
    for index in range(6):
        boxes, scores, classes = (cases[f"case{index}/{part}"] for part in ("boxes", "scores", "class_ids"))
        classes = classes.astype(np.int64)
        for iou in (0.3, 0.45, 0.7):
            one = suppress(boxes, scores, classes, iou, max_det=None, agnostic=True)
            assert one.tolist() == cases[f"case{index}/nms_{iou}"].tolist()
            each = suppress(boxes, scores, classes, iou, max_det=None)
            assert each.tolist() == cases[f"case{index}/batched_nms_{iou}"].tolist()


# Whole-number corners on a small grid: exact ties, identical and empty boxes, IoUs equal to a threshold.
corner = st.integers(0, 6)
one_box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
candidate = st.tuples(one_box, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 2))


@given(
    st.lists(candidate, max_size=3 * BLOCK // 2),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    st.sampled_from([None, 1, 5]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_equals_brute_force(candidates, iou, most, agnostic):
    boxes = np.array([c[0] for c in candidates], np.float32).reshape(-1, 4)
    scores = np.array([c[1] for c in candidates], np.float32)
    classes = np.array([c[2] for c in candidates], np.int64)
    expected = brute_force(boxes, scores, np.zeros_like(classes) if agnostic else classes, iou, most)
    assert suppress(boxes, scores, classes, iou, most, agnostic).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_equals_brute_force_over_many_blocks(seed):
    random = np.random.default_rng(seed)
    corners = random.random((5 * BLOCK + 7, 2)) * 200
    boxes = np.concatenate([corners, corners + random.random(corners.shape) * 80], axis=1).astype(np.float32)
    scores = random.random(len(boxes)).astype(np.float32).round(2)
    classes = random.integers(0, 3, len(boxes))
    for most in (None, 50):
        expected = brute_force(boxes, scores, classes, 0.5, most)
        assert suppress(boxes, scores, classes, 0.5, most).tolist() == expected


def test_far_from_the_origin_neighbours_of_another_class_do_not_matter():
    """Adding class * 7680 to float32 boxes would round these apart; comparing labels does not."""
    box = np.array([[0, 0, 10, 10], [0, 0, 10, 7.0001], [0, 0, 10, 7.0]], np.float32)
    kept = suppress(box, np.array([0.9, 0.8, 0.7], np.float32), np.array([79, 79, 79]), iou=0.70001)
    assert kept.tolist() == [0, 1] if overlap(box[0], box[1]) <= 0.70001 else [0, 2]


scores_of_few = st.integers(1, 12).flatmap(
    lambda anchors: st.integers(1, 5).flatmap(
        lambda classes: st.lists(
            st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.9, 0.9]),
            min_size=anchors * classes,
            max_size=anchors * classes,
        ).map(lambda values: np.array(values, np.float32).reshape(anchors, classes))
    )
)


@given(scores_of_few, st.sampled_from([0.0, 0.25, 0.6]), st.sampled_from([None, (0,), (1, 2)]))
def test_best_class_of_each_anchor_then_the_class_filter(scores, conf, wanted):
    expected = []
    for anchor, row in enumerate(scores):
        best = int(row.argmax())  # the first of equals
        if row[best] > conf and (wanted is None or best in wanted):
            expected.append((-float(row[best]), anchor, best))
    expected.sort()
    found = select(scores, Limits(conf=conf, classes=wanted))
    assert (
        list(zip((-found.scores).tolist(), found.anchors.tolist(), found.classes.tolist(), strict=True))
        == expected
    )


@given(scores_of_few, st.sampled_from([0.0, 0.25]), st.sampled_from([1, 4, 100]))
def test_several_labels_take_every_class_above_the_threshold(scores, conf, most):
    pairs = [(-float(s), a, c) for a, row in enumerate(scores) for c, s in enumerate(row) if s > conf]
    found = select(scores, Limits(conf=conf, several_labels=True, candidates=most))
    got = list(zip((-found.scores).tolist(), found.anchors.tolist(), found.classes.tolist(), strict=True))
    assert got == sorted(pairs)[:most]


def test_the_threshold_is_strict():
    scores = np.array([[0.25], [np.nextafter(np.float32(0.25), np.float32(1))]], np.float32)
    assert select(scores, Limits(conf=0.25)).anchors.tolist() == [1]


def test_not_a_number_is_never_a_detection():
    scores = np.array([[np.nan, 0.5], [np.nan, np.nan]], np.float32)
    found = select(scores, Limits())
    assert found.anchors.tolist() == [0]
    assert found.classes.tolist() == [1]


def test_detect_gives_boxes_beside_their_anchors():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4.1], [9, 9, 12, 12]], np.float32)
    scores = np.array([[0.5, 0.1], [0.8, 0.1], [0.1, 0.6]], np.float32)
    kept_boxes, kept = detect(boxes, scores, Limits())
    assert kept.anchors.tolist() == [1, 2]
    assert kept.classes.tolist() == [0, 1]
    assert np.array_equal(kept_boxes, boxes[[1, 2]])


@pytest.mark.parametrize(
    "bad",
    [{"conf": 7}, {"conf": -0.1}, {"iou": float("nan")}, {"iou": 1.5}, {"max_det": 0}, {"candidates": -1}],
)
def test_limits_out_of_range_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Limits(**bad)
