"""Complete intersection over union (CIoU) of box pairs, with gradients that train as published."""

import math

import torch
from torch import Tensor

from lucidbox.core.array_types import Float

EPSILON = 1e-7
"""Added to heights, union and diagonal so that they are never zero; not to widths, as in the published values."""


def ciou(first: Float[Tensor, "*pairs 4"], second: Float[Tensor, "*pairs 4"]) -> Float[Tensor, "*pairs"]:
    """CIoU of pairs of xyxy boxes: 1 for equal boxes, less the further apart or differently shaped they are.

    IoU, minus the squared distance of the centres over the squared diagonal around both boxes, minus a
    penalty for different aspect ratios: equations 7 to 12 of "Distance-IoU Loss" (arXiv 1911.08287).

    Args:
        first: in any unit, float32 or float64.
        second: likewise. Values and gradients are finite for points, lines and inverted boxes too.
    """
    left, top, right, bottom = first.unbind(-1)
    other_left, other_top, other_right, other_bottom = second.unbind(-1)
    width, height = right - left, raised(bottom - top)
    other_width, other_height = other_right - other_left, raised(other_bottom - other_top)

    shared_width = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp(min=0)
    shared_height = (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp(min=0)
    shared = shared_width * shared_height
    # The lower limit is for inverted boxes, whose areas may cancel; it changes nothing for others.
    union = (width * height + other_width * other_height - shared + EPSILON).clamp(min=EPSILON)
    iou = shared / union

    around_width = torch.maximum(right, other_right) - torch.minimum(left, other_left)
    around_height = torch.maximum(bottom, other_bottom) - torch.minimum(top, other_top)
    diagonal = around_width**2 + around_height**2 + EPSILON
    across, down = other_left + other_right - left - right, other_top + other_bottom - top - bottom
    distance = (across**2 + down**2) / 4  # across and down are twice the distance between the centres

    shape = 4 / math.pi**2 * (torch.atan(other_width / other_height) - torch.atan(width / height)) ** 2
    # The published gradients treat the weight as a constant.
    weight = (shape / (shape - iou + 1 + EPSILON)).detach()
    return iou - (distance / diagonal + weight * shape)


def raised(height: Float[Tensor, "*pairs"]) -> Float[Tensor, "*pairs"]:
    """A height plus :data:`EPSILON`, never zero, so that one can divide by it."""
    more = height + EPSILON
    # Only a box inverted by less than twice that is changed here.
    return torch.where(more.abs() < EPSILON, EPSILON, more)
