import math
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucidbox.model.decoding import DecodedPredictions, anchor_points
from lucidbox.train import Rule, TargetBoxes, assign

CASES = [
    "assigner-1-basic-nc80",
    "assigner-2-image-without-gt-nc3",
    "assigner-3-tiny-gt-nc3",
    "assigner-4-overlapping-gt-nc80",
    "assigner-5-60-gt-nc3",
    "assigner-6-thin-gt-nc3",
    "assigner-7-no-gt-at-all-nc3",
]


@pytest.mark.parametrize("name", CASES)
def test_assignments_equal_the_reference(name, record):
    case = record(name)
    truth = TargetBoxes(case["gt_labels"][..., 0].long(), case["gt_bboxes"], case["mask_gt"][..., 0] > 0)
    given = assign(DecodedPredictions(case["pd_bboxes"], case["pd_scores"]), case["anc_points"], truth)
    foreground = case["fg_mask"]
    assert torch.equal(given.foreground, foreground)
    assert torch.equal(given.labels[foreground], case["target_labels"][foreground])
    assert torch.equal(given.boxes[foreground], case["target_bboxes"][foreground])
    assert torch.equal(given.owners[foreground], case["target_gt_idx"][foreground])
    assert torch.allclose(given.scores, case["target_scores"], rtol=0, atol=1e-6)


# --- A brute force, from the published rules, in plain Python. -------------------------------------------


def plain_ciou(first, second, little=1e-7):
    width, height = first[2] - first[0], first[3] - first[1] + little
    other_width, other_height = second[2] - second[0], second[3] - second[1] + little
    shared = max(0, min(first[2], second[2]) - max(first[0], second[0])) * max(
        0, min(first[3], second[3]) - max(first[1], second[1])
    )
    iou = shared / (width * height + other_width * other_height - shared + little)
    diagonal = (max(first[2], second[2]) - min(first[0], second[0])) ** 2
    diagonal += (max(first[3], second[3]) - min(first[1], second[1])) ** 2 + little
    distance = ((first[0] + first[2]) / 2 - (second[0] + second[2]) / 2) ** 2
    distance += ((first[1] + first[3]) / 2 - (second[1] + second[3]) / 2) ** 2
    shape = 4 / math.pi**2 * (math.atan(other_width / other_height) - math.atan(width / height)) ** 2
    return iou - distance / diagonal - shape * shape / (shape - iou + 1 + little)


def contains(box, point):
    for side in (0, 1):
        low, high = box[side], box[side + 2]
        if high - low < 16:
            low, high = (low + high) / 2 - 8, (low + high) / 2 + 8
        if not low < point[side] < high:
            return False
    return True


def plainly(boxes, scores, points, classes, true_boxes):
    """For one picture: {anchor: (index of its box, soft target)}."""
    overlaps, alignments, chosen = {}, {}, {}
    for index, (label, true_box) in enumerate(zip(classes, true_boxes, strict=True)):
        for anchor, point in enumerate(points):
            if contains(true_box, point):
                overlap = max(0.0, plain_ciou(boxes[anchor], true_box))
                overlaps[index, anchor] = overlap
                alignments[index, anchor] = scores[anchor][label] ** 0.5 * overlap**6
        mine = [anchor for box, anchor in alignments if box == index and alignments[box, anchor] > 0]
        mine.sort(key=lambda anchor: (-alignments[index, anchor], anchor))
        for anchor in mine[:10]:
            chosen.setdefault(anchor, []).append(index)
    owners = {}
    for anchor, claims in chosen.items():
        if len(claims) > 1:
            rivals = [box for box, other in overlaps if other == anchor]
            claims = [max(rivals, key=lambda box: (overlaps[box, anchor], -box))]
        owners[anchor] = claims[0]
    targets = {}
    for anchor, owner in owners.items():
        mine = [other for other in owners if owners[other] == owner]
        best_alignment = max(alignments[owner, other] for other in mine)
        best_overlap = max(overlaps[owner, other] for other in mine)
        targets[anchor] = owner, alignments[owner, anchor] / (best_alignment + 1e-9) * best_overlap
    return targets


def compare_with_brute_force(predictions, points, truth):
    given = assign(predictions, points, truth)
    classes = predictions.scores.shape[2]
    for picture in range(len(truth.boxes)):
        count = int(truth.present[picture].sum())
        targets = plainly(
            predictions.boxes[picture].tolist(),
            predictions.scores[picture].tolist(),
            points.tolist(),
            truth.classes[picture, :count].tolist(),
            truth.boxes[picture, :count].tolist(),
        )
        assert given.foreground[picture].nonzero()[:, 0].tolist() == sorted(targets)
        scores = torch.zeros_like(predictions.scores[picture])
        for anchor in range(len(points)):
            owner, score = targets.get(anchor, (-1, 0.0))
            label = int(truth.classes[picture, owner]) if owner >= 0 else classes
            assert given.owners[picture, anchor] == owner
            assert given.labels[picture, anchor] == label
            expected = truth.boxes[picture, owner] if owner >= 0 else torch.zeros(4)
            assert torch.equal(given.boxes[picture, anchor], expected.to(truth.boxes))
            if owner >= 0:
                scores[anchor, label] = score
        assert torch.allclose(given.scores[picture], scores, rtol=1e-9, atol=1e-12)


POINTS = anchor_points([(8, 8), (4, 4), (2, 2)], (8, 16, 32)).points.double()


def random_case(seed, batch=2, boxes=6, classes=3, points=POINTS, noise=6.0):
    """Predictions around true boxes in 64×64 pictures, so that there is much to choose and to dispute."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    left_top = uniform(batch, boxes, 2) * 30
    # Some thin, some tiny, some nearly the whole picture.
    true_boxes = torch.cat((left_top, left_top + 60 * uniform(batch, boxes, 2)), dim=2)
    counts = (uniform(batch) * (boxes + 1)).long()
    present = torch.arange(boxes) < counts[:, None]
    anchors = len(points)
    near = true_boxes.gather(1, (uniform(batch, anchors) * boxes).long()[..., None].expand(-1, -1, 4))
    predicted = near + noise * (uniform(batch, anchors, 4) - 0.5)
    low, high = torch.minimum(predicted[..., :2], predicted[..., 2:]), predicted[..., 2:]
    predicted = torch.cat((low, torch.maximum(low, high)), dim=2)
    labels = (uniform(batch, boxes) * classes).long()
    # Few scores are high: boxes choose by them, disputes are decided without.
    scores = uniform(batch, anchors, classes) ** 8
    return DecodedPredictions(predicted, scores), points, TargetBoxes(labels, true_boxes, present)


@given(st.integers(0, 2**32), st.integers(1, 12), st.floats(0, 30))
@settings(max_examples=40, deadline=None)
def test_a_brute_force_agrees_on_random_cases(seed, boxes, noise):
    compare_with_brute_force(*random_case(seed, boxes=boxes, noise=noise))


@given(st.integers(0, 2**32))
@example(10342757)  # where torch's sixth power of equal numbers differs
@settings(max_examples=15, deadline=None)
def test_a_brute_force_agrees_where_everything_is_tied(seed):
    predictions, points, truth = random_case(seed)
    # Every anchor predicts the same, and every box is there twice.
    same = DecodedPredictions(
        truth.boxes[:, :1].expand(-1, len(points), 4).contiguous(), torch.full_like(predictions.scores, 0.25)
    )
    twice = TargetBoxes(
        truth.classes.repeat(1, 2), truth.boxes.repeat(1, 2, 1), torch.ones(2, 12, dtype=torch.bool)
    )
    compare_with_brute_force(same, points, twice)


def test_the_brute_force_meets_disputes_and_boxes_that_did_not_choose():
    """The random cases are no use if the rules that are easily got wrong never decide anything."""
    disputed = stolen = 0
    for seed in range(20):
        predictions, points, truth = random_case(seed, boxes=12)
        whole = assign(predictions, points, truth)
        for box in range(12):
            # A box alone with its choices: what it would own, were there no others.
            alone = replace(truth, present=truth.present & (torch.arange(12) == box))
            chosen = assign(predictions, points, alone).foreground
            owned = whole.owners == box
            disputed += int((chosen & whole.foreground & ~owned).sum())
            stolen += int((owned & ~chosen).sum())
    assert disputed > 20
    assert stolen > 5


# --- Facts of their own. ----------------------------------------------------------------------------------


def one_box(sides, anchors=1, score=1.0):
    box = torch.tensor(sides, dtype=torch.float64)
    predictions = DecodedPredictions(
        box.expand(1, anchors, 4).clone(), torch.full((1, anchors, 1), score).double()
    )
    truth = TargetBoxes(
        torch.zeros(1, 1, dtype=torch.long), box.expand(1, 1, 4), torch.ones(1, 1, dtype=torch.bool)
    )
    return predictions, truth


def centres(*points):
    return torch.tensor(points, dtype=torch.float64)


def test_a_perfect_prediction_gets_the_whole_score():
    predictions, truth = one_box((0, 0, 32, 32), score=0.01)
    given = assign(predictions, centres((16, 16)), truth)
    assert given.scores.item() == pytest.approx(1, abs=1e-6)


def test_a_box_chooses_ten_anchors_and_of_equal_ones_the_first():
    predictions, truth = one_box((0, 0, 32, 32), anchors=14)
    given = assign(predictions, centres(*[(16, 16)] * 14), truth)
    assert given.foreground[0].tolist() == [True] * 10 + [False] * 4
    fewer = assign(predictions, centres(*[(16, 16)] * 14), truth, Rule(choices=3))
    assert fewer.foreground[0].tolist() == [True] * 3 + [False] * 11


def test_of_equal_boxes_the_first_gets_the_anchor():
    predictions, truth = one_box((0, 0, 32, 32))
    twice = TargetBoxes(truth.classes.repeat(1, 2), truth.boxes.repeat(1, 2, 1), truth.present.repeat(1, 2))
    assert assign(predictions, centres((16, 16)), twice).owners.tolist() == [[0]]


def test_tiny_boxes_reach_eight_pixels_around_their_centre():
    points = centres((10, 10), (17.9, 10), (18, 10), (10, 2.1), (10, 2))
    predictions, truth = one_box((9, 9, 11, 11), anchors=5)
    assert assign(predictions, points, truth).foreground[0].tolist() == [True, True, False, True, False]


def test_a_box_does_not_contain_its_edge():
    predictions, truth = one_box((0, 0, 32, 32), anchors=3)
    given = assign(predictions, centres((0, 16), (0.1, 16), (16, 32)), truth)
    assert given.foreground[0].tolist() == [False, True, False]


def test_what_stands_in_padding_does_not_matter():
    predictions, points, truth = random_case(5, boxes=8)
    assert not truth.present.all()
    boxes = truth.boxes.masked_fill(~truth.present[..., None], math.nan)
    classes = truth.classes.masked_fill(~truth.present, 2)
    same_assignment(
        assign(predictions, points, truth), assign(predictions, points, TargetBoxes(classes, boxes, truth.present))
    )


def test_pictures_do_not_know_of_each_other():
    predictions, points, truth = random_case(6, batch=4)
    together = assign(predictions, points, truth)
    for picture in range(4):
        one = slice(picture, picture + 1)
        # Without the padding that the others made necessary.
        count = int(truth.present[picture].sum())
        cut = TargetBoxes(truth.classes[one, :count], truth.boxes[one, :count], truth.present[one, :count])
        alone = assign(DecodedPredictions(*(part[one] for part in predictions)), points, cut)
        same_assignment(alone, type(together)(**{key: part[one] for key, part in vars(together).items()}))


def same_assignment(first, second):
    for name, part in vars(first).items():
        assert torch.equal(part, vars(second)[name]), name


@pytest.mark.parametrize("rows", [0, 3])
def test_no_boxes_at_all(rows):
    truth = TargetBoxes(
        torch.zeros(2, rows, dtype=torch.long), torch.zeros(2, rows, 4), torch.zeros(2, rows, dtype=torch.bool)
    )
    given = assign(DecodedPredictions(torch.rand(2, 84, 4), torch.rand(2, 84, 5)), POINTS.float(), truth)
    assert not given.foreground.any()
    assert (given.labels == 5).all()
    assert (given.owners == -1).all()
    assert not given.boxes.any()
    assert not given.scores.any()


NUMBER = st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, 8.0, 32.0, 64.0]))
BOX = st.tuples(NUMBER, NUMBER, NUMBER, NUMBER)


@given(
    st.lists(BOX, min_size=1, max_size=5), st.lists(BOX, min_size=84, max_size=84), st.sampled_from([0, 1e-30, 1])
)
@settings(max_examples=40, deadline=None)
def test_finite_and_in_order_for_any_boxes(true_boxes, predicted, score):
    """Points, lines, inverted boxes, far outside; scores of nothing."""
    count = len(true_boxes)
    truth = TargetBoxes(
        torch.zeros(1, count, dtype=torch.long), torch.tensor([true_boxes]), torch.ones(1, count, dtype=torch.bool)
    )
    # The first anchors predict the boxes themselves, degenerate ones too.
    boxes = torch.tensor([true_boxes + predicted[count:]])
    given = assign(DecodedPredictions(boxes, torch.full((1, 84, 1), float(score))), POINTS.float(), truth)
    assert given.scores.isfinite().all()
    assert (given.scores >= 0).all()
    assert (given.scores <= 1 + 1e-6).all()
    assert not given.scores[~given.foreground].any()
    owned = torch.tensor(true_boxes)[given.owners[given.foreground]]
    # A box without area overlaps nothing, so nothing is assigned to it.
    assert (owned[:, 2:] > owned[:, :2]).all()


def test_gradients_stop_here():
    predictions, points, truth = random_case(1)
    tracked = DecodedPredictions(*(part.requires_grad_() for part in predictions))
    assert not assign(tracked, points, truth).scores.requires_grad
