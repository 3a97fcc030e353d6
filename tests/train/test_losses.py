import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.model import Logits
from lucidbox.model.decoding import Decoder
from lucidbox.train import Gains, Targets, ciou, detection_loss
from lucidbox.train.losses import distribution_losses, padded

CASES = ["loss-1-nc80", "loss-2-image-without-gt-nc3", "loss-3-no-gt-at-all-nc3", "loss-4-many-gt-nc80"]


def differentiated(logits, targets, size, **options):
    """The loss, and the gradients of its total to box and class logits."""
    leaves = Logits(*(part.clone().requires_grad_() for part in logits))
    loss = detection_loss(leaves, targets, size, **options)
    return loss, *torch.autograd.grad(loss.total, tuple(leaves))


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_equal_the_reference(name, record, golden_targets):
    case = record(name)
    loss, to_boxes, to_classes = differentiated(
        Logits(case["box_logits"], case["class_logits"]),
        *golden_targets(name),
        gains=Gains(*case["gains"].tolist()),
    )
    assert torch.allclose(loss.items, case["loss_items"], rtol=1e-5, atol=0)
    assert loss.total.item() == pytest.approx(case["total"].item(), rel=1e-5)
    assert torch.allclose(to_boxes, case["grad_box_logits"], rtol=0, atol=1e-6)
    assert torch.allclose(to_classes, case["grad_class_logits"], rtol=0, atol=1e-6)
    decided = ~case["tie_dependent_fg"]
    assert torch.equal(loss.assignment.foreground[decided], case["fg_mask"][decided])


def random_logits(batch=3, classes=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    # A 64×96 picture: 96 + 24 + 6 anchors.
    boxes = torch.randn(batch, 64, 126, generator=generator, dtype=torch.float64)
    return Logits(
        boxes.to(dtype), torch.randn(batch, classes, 126, generator=generator, dtype=torch.float64).to(dtype)
    )


SIZE = (64, 96)


def some_targets(dtype=torch.float64):
    # Not in the order of pictures; the second picture has none.
    return Targets(
        torch.tensor([2, 0, 2, 0, 2]),
        torch.tensor([3, 1, 0, 1, 2]),
        torch.tensor(
            [[4, 5, 60, 50], [10, 8, 40, 60], [50, 20, 90, 64], [30, 10, 96, 40], [70, 4, 75, 9]], dtype=dtype
        ),
    )


def cross_entropy(logits, number):
    return math.log(sum(math.exp(logit) for logit in logits)) - logits[number]


def test_a_brute_force_agrees():
    """Every term by hand, from the assignment, anchor for anchor."""
    logits, targets = random_logits(), some_targets()
    loss = detection_loss(logits, targets, SIZE)
    given = loss.assignment
    predicted = Decoder((8, 16, 32), 16)(logits, *SIZE).boxes
    cells = [
        ((column + 0.5) * stride, (row + 0.5) * stride, stride)
        for stride in (8, 16, 32)
        for row in range(SIZE[0] // stride)
        for column in range(SIZE[1] // stride)
    ]
    boxes = classes = distributions = score_sum = 0.0
    for picture in range(3):
        for anchor, (x, y, stride) in enumerate(cells):
            for label in range(4):
                target = given.scores[picture, anchor, label].item()
                probability = 1 / (1 + math.exp(-logits.classes[picture, label, anchor].item()))
                classes -= target * math.log(probability) + (1 - target) * math.log(1 - probability)
            if not given.foreground[picture, anchor]:
                continue
            weight = given.scores[picture, anchor].sum().item()
            left, top, right, bottom = given.boxes[picture, anchor].tolist()
            boxes += weight * (1 - ciou(predicted[picture, anchor], given.boxes[picture, anchor]).item())
            for side, pixels in enumerate((x - left, y - top, right - x, bottom - y)):
                distance = min(max(pixels / stride, 0), 14.99)
                lower = int(distance)
                bins = logits.boxes[picture, 16 * side : 16 * side + 16, anchor].tolist()
                surprise = (lower + 1 - distance) * cross_entropy(bins, lower)
                surprise += (distance - lower) * cross_entropy(bins, lower + 1)
                distributions += weight * surprise / 4
            score_sum += weight
    assert given.foreground.sum() > 20
    expected = torch.tensor([7.5 * boxes, 0.5 * classes, 1.5 * distributions]).double() / max(score_sum, 1)
    assert torch.allclose(loss.items, expected, rtol=1e-6)
    assert loss.total.item() == pytest.approx(3 * expected.sum().item(), rel=1e-6)


def test_distributions_by_hand():
    logits = torch.zeros(1, 4, 16)
    logits[0, 0, 2] = math.log(15)  # 2 has probability 1/2, the other numbers 1/30 each
    surprise = distribution_losses(logits, torch.tensor([[2.25, 7.0, 0.0, 14.5]])).item()
    first = 0.75 * math.log(2) + 0.25 * math.log(30)
    assert surprise == pytest.approx((first + 3 * math.log(16)) / 4)


@pytest.mark.parametrize(("distance", "counts_as"), [(-3.0, 0.0), (15.0, 14.99), (400.0, 14.99)])
def test_distances_that_no_distribution_can_say(distance, counts_as):
    logits = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(0))
    beyond, limit = (distribution_losses(logits, torch.full((1, 4), value)) for value in (distance, counts_as))
    assert torch.equal(beyond, limit)


def test_padding_keeps_the_order_within_a_picture():
    truth = padded(some_targets(), 4)
    assert truth.present.tolist() == [[True, True, False], [False] * 3, [True] * 3, [False] * 3]
    assert truth.classes.tolist() == [[1, 1, 0], [0, 0, 0], [3, 0, 2], [0, 0, 0]]
    assert truth.boxes[0, 1].tolist() == [30, 10, 96, 40]
    assert truth.boxes[2, :, 0].tolist() == [4, 50, 70]


def test_the_order_of_targets_does_not_matter():
    targets = some_targets()
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = Targets(targets.pictures[order], targets.classes[order], targets.boxes[order])
    first, second = (differentiated(random_logits(), each, SIZE) for each in (targets, shuffled))
    assert torch.allclose(first[0].items, second[0].items)
    assert torch.allclose(first[1], second[1])


def test_two_processes_add_up_to_one():
    logits, targets = random_logits(batch=4), some_targets()
    whole, *gradients = differentiated(logits, targets, SIZE)
    halves = []
    for start in (0, 2):
        mine = (targets.pictures >= start) & (targets.pictures < start + 2)
        part = Targets(targets.pictures[mine] - start, targets.classes[mine], targets.boxes[mine])
        halves.append((Logits(*(numbers[start : start + 2] for numbers in logits)), part))

    amounts = []

    def write_down(mine):
        amounts.append(mine)
        return mine

    for half in halves:
        detection_loss(*half, SIZE, sum_over_processes=write_down)
    assert all(each[0] > 1 for each in amounts)
    results = [differentiated(*half, SIZE, sum_over_processes=lambda _mine: sum(amounts)) for half in halves]
    assert torch.allclose(results[0][0].items + results[1][0].items, whole.items)
    assert torch.allclose(results[0][0].total + results[1][0].total, whole.total)
    for position, gradient in enumerate(gradients, start=1):
        assert torch.allclose(torch.cat([result[position] for result in results]), gradient, atol=1e-12)


def test_gains_multiply_their_items():
    logits, targets = random_logits(), some_targets()
    plain = detection_loss(logits, targets, SIZE, Gains(1, 1, 1)).items
    assert torch.allclose(
        detection_loss(logits, targets, SIZE, Gains(2, 3, 5)).items, plain * torch.tensor([2, 3, 5])
    )


def test_half_precision_logits_are_reckoned_in_float32():
    logits = random_logits(dtype=torch.bfloat16)
    loss = detection_loss(logits, some_targets(torch.float32), SIZE)
    same = detection_loss(Logits(logits.boxes.float(), logits.classes.float()), some_targets(torch.float32), SIZE)
    assert loss.total.dtype == torch.float32
    assert torch.equal(loss.total, same.total)


def test_items_carry_no_graph():
    logits = Logits(*(part.requires_grad_() for part in random_logits()))
    loss = detection_loss(logits, some_targets(), SIZE)
    assert loss.total.requires_grad
    assert not loss.items.requires_grad


@pytest.mark.parametrize("part", ["boxes", "classes"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_shows_wherever_it_is(part, value):
    logits = random_logits()
    background = (~detection_loss(logits, some_targets(), SIZE).assignment.foreground[1]).nonzero()[0, 0]
    getattr(logits, part)[1, 2, background] = value
    assert not detection_loss(logits, some_targets(), SIZE).total.isfinite()


NUMBER = st.one_of(st.floats(-200, 200, width=32), st.sampled_from([0.0, 32.0, 64.0, 1e4, 1e-7, -1e-7]))


@given(
    st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), max_size=6), st.integers(0, 1000), st.sampled_from([1, 30])
)
@settings(max_examples=40, deadline=None)
def test_finite_for_any_boxes_with_gradients(boxes, seed, spread):
    """Points, lines, inverted boxes and boxes outside the picture; logits sure of themselves, too."""
    logits = Logits(*(spread * part for part in random_logits(batch=2, seed=seed, dtype=torch.float32)))
    count = len(boxes)
    targets = Targets(torch.arange(count) % 2, torch.arange(count) % 4, torch.tensor(boxes).reshape(count, 4))
    loss, *gradients = differentiated(logits, targets, SIZE)
    assert loss.total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_it_learns_boxes_and_classes():
    """Descending this loss alone leads logits to the targets."""
    targets = Targets(
        torch.tensor([0, 0]), torch.tensor([1, 0]), torch.tensor([[10.0, 8, 40, 60], [50, 4, 92, 40]])
    )
    logits = Logits(*(part.requires_grad_() for part in random_logits(1, 2, dtype=torch.float32)))
    optimizer = torch.optim.Adam(tuple(logits), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        detection_loss(logits, targets, SIZE).total.backward()
        optimizer.step()
    predictions = Decoder((8, 16, 32), 16)(Logits(*(part.detach() for part in logits)), *SIZE)
    for box, label in zip(targets.boxes, targets.classes, strict=True):
        best = predictions.scores[0, :, label].argmax()
        assert ciou(predictions.boxes[0, best], box) > 0.9
        assert predictions.scores[0, best, label] > 0.7
