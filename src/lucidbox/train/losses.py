"""The detection loss: classes by cross-entropy, boxes by CIoU and by the distribution of their sides.

Functions of logits and true boxes; they depend on neither network nor data set.

Axis letters beside the usual ones: n true boxes of the whole batch, t of an image (padded), p foreground anchors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lucidbox.core.array_types import Float, Int
from lucidbox.model.decoding import Anchors, DecodedPredictions, Decoder, anchor_points
from lucidbox.model.network import BINS, STRIDES, Logits
from lucidbox.train.assigner import Assignment, TargetBoxes, assign
from lucidbox.train.complete_iou import ciou


@dataclass(frozen=True)
class Targets:
    """True boxes of all images of a batch, in any order.

    Attributes:
        pictures: index in the batch of each box's image.
        classes: class of each box, below the network's number of classes.
        boxes: xyxy, in pixels of the network's input.
    """

    pictures: Int[Tensor, " n"]
    classes: Int[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        """The same targets with each tensor changed by a function."""
        return Targets(change(self.pictures), change(self.classes), change(self.boxes))


@dataclass(frozen=True)
class Gains:
    """Weights of the loss's parts; the defaults are the published ones."""

    boxes: float = 7.5
    classes: float = 0.5
    distributions: float = 1.5


@dataclass(frozen=True)
class Loss:
    """A loss and its parts.

    Attributes:
        total: what to differentiate: the sum of ``items``, times the number of images in the batch.
        items: parts for boxes, classes and distributions, gains applied; detached.
        assignment: what each anchor should have predicted.
    """

    total: Float[Tensor, ""]
    items: Float[Tensor, " 3"]
    assignment: Assignment


def one_process(amounts: Float[Tensor, " 2"]) -> Float[Tensor, " 2"]:
    """The sum over all processes when there is only one."""
    return amounts


def detection_loss(
    logits: Logits,
    targets: Targets,
    size: tuple[int, int],
    gains: Gains = Gains(),
    *,
    strides: Sequence[int] = STRIDES,
    bins: int = BINS,
    sum_over_processes: Callable[[Tensor], Tensor] = one_process,
) -> Loss:
    """The loss of a batch; computed in float32 at least, whatever the logits' precision.

    The class term sums over all anchors and classes; the two box terms weigh each foreground anchor by
    its target score. All are divided by the sum of target scores, or by 1 if that is less. Logits that
    are not finite, wherever they are, make the loss so.

    Args:
        logits: a network's output.
        targets: true boxes; may be none.
        size: height and width of the network's input, in pixels.
        gains: weights of the three parts.
        strides: input pixels per cell of each level.
        bins: numbers in the distribution of each box side.
        sum_over_processes: given this process's sum of target scores and number of pictures, returns
            their sums over all processes (an all-reduce, without gradient). Then items, totals and
            gradients of the processes *add up* to those of one process with the whole batch. DDP averages
            gradients instead: multiply ``total`` by the number of processes there.
    """
    precision = torch.promote_types(logits.boxes.dtype, torch.float32)
    logits = Logits(logits.boxes.to(precision), logits.classes.to(precision))
    # Class probabilities serve the assignment only, which has no gradient.
    predictions: DecodedPredictions = Decoder(strides, bins)(Logits(logits.boxes, logits.classes.detach()), *size)
    grids = [(size[0] // stride, size[1] // stride) for stride in strides]
    anchors = anchor_points(grids, strides, logits.boxes.device)
    assignment = assign(predictions, anchors.points, padded(targets, len(logits.boxes)))
    picture, anchor = assignment.foreground.nonzero(as_tuple=True)
    # Targets are zero everywhere else.
    agreement = (logits.classes[picture, :, anchor] * assignment.scores[picture, anchor]).sum()
    return assigned_loss(logits, predictions.boxes, anchors, assignment, agreement, gains, sum_over_processes)


def assigned_loss(
    logits: Logits,
    predicted: Float[Tensor, "b a 4"],
    anchors: Anchors,
    assignment: Assignment,
    agreement: Float[Tensor, ""],
    gains: Gains,
    sum_over_processes: Callable[[Tensor], Tensor] = one_process,
) -> Loss:
    """The loss of a batch for a given assignment; see :func:`detection_loss`.

    Args:
        logits: a network's output, float32 at least.
        predicted: its boxes, xyxy, in pixels of the network's input.
        anchors: the anchors for its input's size.
        assignment: what each anchor should predict; its scores are the weights of the boxes.
        agreement: class logits times their targets, summed over everything.
        gains: weights of the three parts.
        sum_over_processes: as for :func:`detection_loss`.
    """
    # Binary cross-entropy of a logit x with target t is log(1 + eˣ) − x · t. Summed in two parts, because
    # targets are mostly zero.
    classes = softplus(logits.classes).sum() - agreement
    boxes, distributions = box_losses(logits.boxes, predicted, anchors, assignment)
    # A NaN in logits of the background enters no other term, but must be seen before its gradient spoils weights.
    boxes = boxes + 0 * (logits.boxes.detach().sum() + logits.classes.detach().sum())
    parts = torch.stack((gains.boxes * boxes, gains.classes * classes, gains.distributions * distributions))
    score_sum = assignment.scores.sum()
    score_sum, pictures = sum_over_processes(torch.stack((score_sum, score_sum.new_tensor(len(logits.boxes)))))
    items = parts / score_sum.clamp(min=1)
    return Loss(total=items.sum() * pictures, items=items.detach(), assignment=assignment)


def box_losses(
    logits: Float[Tensor, "b sides a"],
    predicted: Float[Tensor, "b a 4"],
    anchors: Anchors,
    assignment: Assignment,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """CIoU and distribution losses, summed over the foreground, each anchor weighted by its target score."""
    image, anchor = assignment.foreground.nonzero(as_tuple=True)
    true_boxes = assignment.boxes[image, anchor]
    weights = assignment.scores[image, anchor].sum(dim=1)
    apart = 1 - ciou(predicted[image, anchor], true_boxes)
    points, strides = anchors.points[anchor], anchors.strides[anchor, None]
    distances = torch.cat((points - true_boxes[:, :2], true_boxes[:, 2:] - points), dim=1) / strides
    sides = logits[image, :, anchor].reshape(len(anchor), 4, logits.shape[1] // 4)
    return (apart * weights).sum(), (distribution_losses(sides, distances) * weights).sum()


def distribution_losses(logits: Float[Tensor, "p 4 bins"], distances: Float[Tensor, "p 4"]) -> Float[Tensor, " p"]:
    """Distribution focal loss, mean over the four sides (equation 6 of arXiv 2006.04388).

    Cross-entropy to the two whole numbers around a distance, each weighted by how near it is.

    Args:
        logits: of the numbers 0, 1, ... for each side.
        distances: in cells; clamped to just below the last of the numbers.
    """
    distances = distances.clamp(0, logits.shape[2] - 1 - 0.01)
    lower = distances.floor()
    share = distances - lower
    log_probabilities = logits.log_softmax(dim=2)
    below = lower.long()[..., None]
    at_lower = log_probabilities.gather(2, below).squeeze(2)
    at_upper = log_probabilities.gather(2, below + 1).squeeze(2)
    return -(at_lower * (1 - share) + at_upper * share).mean(dim=1)


def padded(targets: Targets, pictures: int) -> TargetBoxes:
    """One row of boxes for each image, each row in the order of ``targets``, padded to the longest."""
    order = targets.pictures.argsort(stable=True)
    row = targets.pictures[order]
    counts = torch.bincount(row, minlength=pictures)
    column = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    shape = (pictures, int(counts.max()))
    classes, boxes = row.new_zeros(shape), targets.boxes.new_zeros(*shape, 4)
    classes[row, column] = targets.classes[order]
    boxes[row, column] = targets.boxes[order]
    present = torch.zeros(shape, dtype=torch.bool, device=row.device)
    present[row, column] = True
    return TargetBoxes(classes, boxes, present)
