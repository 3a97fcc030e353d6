import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.train import ciou

ANY = st.one_of(st.floats(-1e5, 1e5, width=32), st.sampled_from([0.0, 1.0, -1e-7, 1e-7, 2.0, 1e-30, -1e-30]))
BOXES = st.lists(st.tuples(ANY, ANY, ANY, ANY), min_size=1, max_size=8)


def box(*sides):
    return torch.tensor(sides, dtype=torch.float64)


def with_gradients(first, second):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    values = ciou(first, second)
    return values, *torch.autograd.grad(values.sum(), (first, second))


def test_values_and_gradients_equal_the_reference(record):
    pairs = record("ciou")
    values, *gradients = with_gradients(pairs["box1"], pairs["box2"])
    assert torch.allclose(values, pairs["ciou"], rtol=0, atol=1e-6)
    for ours, reference in zip(gradients, (pairs["grad_box1"], pairs["grad_box2"]), strict=True):
        assert ours.isfinite().all()
        compared = torch.ones(200, dtype=torch.bool)
        compared[132:140] = compared[160:164] = False  # points and inverted boxes
        largest = reference.abs().amax(dim=1, keepdim=True)
        assert ((ours - reference).abs() <= 1e-5 * largest + 1e-9)[compared].all()


def test_equal_boxes():
    assert ciou(box(3, 4, 10, 6), box(3, 4, 10, 6)).item() == pytest.approx(1, abs=1e-6)


def test_a_square_in_the_corner_of_a_square():
    # IoU 4/16; centres √2 apart, diagonal √32; the same form.
    assert ciou(box(0, 0, 2, 2), box(0, 0, 4, 4)).item() == pytest.approx(1 / 4 - 2 / 32, abs=1e-6)


def test_another_aspect_ratio():
    # IoU 1/2; centres 1 apart, diagonal √20; aspect ratios 1 and 2.
    shape = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    expected = 1 / 2 - 1 / 20 - shape * shape / (1 - 1 / 2 + shape)
    assert ciou(box(0, 0, 2, 2), box(0, 0, 4, 2)).item() == pytest.approx(expected, abs=1e-6)


def test_the_weight_of_the_shape_has_no_gradient():
    # Concentric, so that the centres' distance has no part: only IoU and shape change with the width.
    first, second = box(-1, -1, 1, 1), box(-2, -1, 2, 1)
    _, gradient, _ = with_gradients(first, second)
    shape = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    weight = shape / (1 - 1 / 2 + shape)
    # To the right side: width 2 + d; IoU (2 + d)/4; the centre moves d/2, squared, so not at first order.
    shape_slope = -4 / math.pi**2 * 2 * (math.atan(2) - math.atan(1)) * 1 / (1 + 1) / 2
    assert gradient[2].item() == pytest.approx(1 / 4 - weight * shape_slope, abs=1e-6)


@given(BOXES, BOXES)
def test_finite_for_any_boxes(first, second):
    count = min(len(first), len(second))
    for result in with_gradients(torch.tensor(first[:count]), torch.tensor(second[:count])):
        assert result.isfinite().all()


def test_finite_where_a_height_and_the_little_added_to_it_cancel():
    inverted = torch.tensor([[0.0, 0.0, 0.0, -1e-7], [0.0, 0.0, 4.0, -1e-7]])
    for other in (inverted, torch.tensor([[0.0, 0.0, 2.0, 2.0]]).expand(2, 4)):
        for result in with_gradients(inverted, other):
            assert result.isfinite().all()


SIDE = st.floats(0, 500, width=32)


@given(st.tuples(SIDE, SIDE, SIDE, SIDE), st.tuples(SIDE, SIDE, SIDE, SIDE))
def test_symmetric_and_never_above_iou(first, second):
    # Left, top, width, height.
    one, other = (box(x, y, x + width, y + height) for x, y, width, height in (first, second))
    value = ciou(one, other).item()
    shared = (torch.minimum(one, other)[2:] - torch.maximum(one, other)[:2]).clamp(min=0).prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared
    assert value == pytest.approx(ciou(other, one).item(), abs=1e-9)
    assert value <= (shared / union if union > 0 else 0) + 1e-3 * (union < 1) + 1e-6


def test_any_number_of_axes():
    boxes = torch.rand(2, 3, 4)
    assert ciou(boxes, boxes.flip(0)).shape == (2, 3)
    assert ciou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)
