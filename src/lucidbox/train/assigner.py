"""Task-aligned assignment: which anchor learns which box, and how strongly (arXiv 2108.07755).

Functions of tensors, without gradients and without loops over images or boxes.

Axis letters beside the usual ones: t true boxes of an image (padded).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.model.decoding import DecodedPredictions
from lucidbox.train.complete_iou import ciou

FAINT = 1e-9
"""Added to a box's best alignment before dividing by it; where that is much smaller, targets are near 0."""


@dataclass(frozen=True)
class TargetBoxes:
    """True boxes of a batch of images; each image is padded to as many as the largest number.

    Attributes:
        classes: class of each box; any valid class in padding.
        boxes: xyxy, in pixels of the network's input; anything in padding.
        present: false in padding.
    """

    classes: Int[Tensor, "b t"]
    boxes: Float[Tensor, "b t 4"]
    present: Bool[Tensor, "b t"]


@dataclass(frozen=True)
class Rule:
    """Numbers of the assignment; the defaults are the published ones.

    Attributes:
        choices: largest number of anchors that a box chooses.
        reach: shorter sides are widened to this many pixels when deciding which centres a box contains: a tiny
            object can lie between the centres of cells and would contain none.
    """

    choices: int = 10
    reach: float = 16.0


@dataclass(frozen=True)
class Assignment:
    """What each anchor should predict.

    Attributes:
        labels: class; the number of classes where the anchor is background.
        boxes: xyxy, in pixels of the network's input; zeros where background.
        scores: soft target of each class; all zeros where background.
        foreground: whether the anchor has a box.
        owners: index of that box in its picture; -1 where background.
    """

    labels: Int[Tensor, "b a"]
    boxes: Float[Tensor, "b a 4"]
    scores: Float[Tensor, "b a c"]
    foreground: Bool[Tensor, "b a"]
    owners: Int[Tensor, "b a"]


@torch.no_grad()
def assign(
    predictions: DecodedPredictions,
    points: Float[Tensor, "a 2"],
    truth: TargetBoxes,
    rule: Rule = Rule(),
) -> Assignment:
    """Assign anchors to true boxes by how well they already predict them.

    A box chooses, among the anchors whose centre it contains, those of highest alignment: square root of the
    score of its class · sixth power of CIoU. An anchor chosen by several boxes goes to the one it overlaps
    most, of all that contain it. An anchor of alignment 0 is never chosen: its weight would be 0.
    Equal alignments are taken in the order of anchors, equal overlaps in the order of boxes.

    Args:
        predictions: decoded, in pixels of the network's input; float32 or float64.
        points: centres of the anchors' cells, in the same pixels.
        truth: may hold no box. Boxes that are points, lines or inverted are allowed.
        rule: numbers of the assignment.

    Example:
        >>> predictions = Decoder(STRIDES, BINS)(network(images), 640, 640)
        >>> assign(predictions, anchor_points(grids, STRIDES).points, truth).foreground.sum()
    """
    if truth.boxes.shape[1] == 0:  # one row of padding, so that a maximum over boxes exists
        truth = TargetBoxes(pad(truth.classes, (0, 1)), pad(truth.boxes, (0, 0, 0, 1)), pad(truth.present, (0, 1)))
    overlaps, alignments = affinities(predictions, inside(points, truth, rule.reach), truth)
    owners = resolve(top_aligned(alignments, rule.choices), overlaps)
    foreground = owners >= 0
    index = owners.clamp(min=0)
    labels = truth.classes.gather(1, index)
    strength = strengths(alignments, overlaps, index, foreground)
    # Scattered, not one-hot: this is the largest array here.
    scores = torch.zeros_like(predictions.scores).scatter_(2, labels[..., None], strength[..., None])
    boxes = truth.boxes.gather(1, index[..., None].expand(-1, -1, 4))
    return Assignment(
        labels=labels.masked_fill(~foreground, predictions.scores.shape[2]),
        boxes=boxes.masked_fill(~foreground[..., None], 0),
        scores=scores,
        foreground=foreground,
        owners=owners,
    )


def inside(points: Float[Tensor, "a 2"], truth: TargetBoxes, reach: float) -> Bool[Tensor, "b t a"]:
    """Whether a box, its sides widened to ``reach`` if shorter, contains an anchor's centre; its edge does not."""
    left_top, right_bottom = truth.boxes.chunk(2, dim=2)
    narrow = right_bottom - left_top < reach
    centre = (left_top + right_bottom) / 2
    left, top = torch.where(narrow, centre - reach / 2, left_top)[..., None].unbind(2)
    right, bottom = torch.where(narrow, centre + reach / 2, right_bottom)[..., None].unbind(2)
    x, y = points.T.contiguous()
    contained: Tensor = (x > left) & (x < right) & (y > top) & (y < bottom)
    return contained & truth.present[..., None]


def affinities(
    predictions: DecodedPredictions, candidates: Bool[Tensor, "b t a"], truth: TargetBoxes
) -> tuple[Float[Tensor, "b t a"], Float[Tensor, "b t a"]]:
    """Overlap (CIoU, at least 0) and alignment of each box with each candidate; 0 elsewhere."""
    # Few pairs are candidates, and CIoU is expensive: it is computed for those alone.
    image, box, anchor = candidates.nonzero(as_tuple=True)
    overlap = ciou(predictions.boxes[image, anchor], truth.boxes[image, box]).clamp(min=0)
    score = predictions.scores[image, anchor, truth.classes[image, box]]
    overlaps = predictions.boxes.new_zeros(candidates.shape)
    overlaps[image, box, anchor] = overlap
    alignments = torch.zeros_like(overlaps)
    # Not ``overlap**6``: torch's powers round differently by an element's place in memory, which would break ties.
    alignments[image, box, anchor] = score.sqrt() * (overlap * overlap * overlap).square()
    return overlaps, alignments


def top_aligned(alignments: Float[Tensor, "b t a"], choices: int) -> Bool[Tensor, "b t a"]:
    """The best anchors of each box, if their alignment is above 0; of equal ones the first.

    ``topk``'s own indices are not used: which of equal values it returns differs between devices and versions.
    """
    choices = min(choices, alignments.shape[2])
    least = alignments.topk(choices, dim=2).values[..., -1:]
    chosen = (alignments >= least) & (alignments > 0)
    if not (chosen.sum(dim=2) > choices).any():
        return chosen
    # Rarely several anchors equal the least chosen one: only the first of them are taken.
    better = alignments > least
    room = choices - better.sum(dim=2, keepdim=True)
    equal = alignments == least
    return (better | (equal & (equal.cumsum(dim=2) <= room))) & (alignments > 0)


def resolve(chosen: Bool[Tensor, "b t a"], overlaps: Float[Tensor, "b t a"]) -> Int[Tensor, "b a"]:
    """The one box of each anchor, -1 for none."""
    claims = chosen.sum(dim=1)
    boxes = torch.arange(chosen.shape[1], device=chosen.device)[:, None]
    # Where a single box chose an anchor, the sum of the numbers of all that did is its number.
    owners = (chosen * boxes).sum(dim=1).masked_fill(claims == 0, -1)
    image, anchor = (claims > 1).nonzero(as_tuple=True)
    # argmax gives the first of equal values.
    owners[image, anchor] = overlaps[image, :, anchor].argmax(dim=1)
    return owners


def strengths(
    alignments: Float[Tensor, "b t a"],
    overlaps: Float[Tensor, "b t a"],
    owners: Int[Tensor, "b a"],
    foreground: Bool[Tensor, "b a"],
) -> Float[Tensor, "b a"]:
    """Soft target of each anchor: its alignment, scaled so that its box's best anchor gets the box's best overlap.

    Section 3.2 of arXiv 2108.07755, "normalized t". "Best" is among the anchors that the box owns.
    """
    alignment = alignments.gather(1, owners[:, None])[:, 0] * foreground
    overlap = overlaps.gather(1, owners[:, None])[:, 0] * foreground
    # Background anchors add zeros to box 0, which do not change its maximum.
    zeros = alignments.new_zeros(alignments.shape[:2])
    best_alignment = zeros.scatter_reduce(1, owners, alignment, "amax").gather(1, owners)
    best_overlap = zeros.scatter_reduce(1, owners, overlap, "amax").gather(1, owners)
    return alignment / (best_alignment + FAINT) * best_overlap
