"""Training in torch: so far, which anchor learns which box, and the loss. Needs the extra ``train``.

Example:
    >>> loss = detection_loss(network(images), targets, size=(640, 640))
    >>> loss.total.backward()
"""

from lucidbox.train.assigner import Assignment, Rule, Truth, assign
from lucidbox.train.ciou import ciou
from lucidbox.train.losses import Gains, Loss, Targets, detection_loss

__all__ = ["Assignment", "Gains", "Loss", "Rule", "Targets", "Truth", "assign", "ciou", "detection_loss"]
