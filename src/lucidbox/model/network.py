"""What every network of this package has and returns."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lucidbox.core.array_types import Float

STRIDES = (8, 16, 32)
"""Input pixels per grid cell of the three output levels, P3, P4 and P5."""

BINS = 16
"""The distance of a box side is a distribution over the numbers 0 to 15, in cells (DFL, arXiv 2006.04388)."""


class Logits(NamedTuple):
    """Raw output of a network: one column for each anchor, levels P3, P4, P5, each row by row.

    Attributes:
        boxes: distribution logits. Sides left, top, right, bottom vary slowest, the bins of a side fastest.
        classes: one logit for each class (independent sigmoids, not a softmax).
    """

    boxes: Float[Tensor, "b 4*bins a"]
    classes: Float[Tensor, "b c a"]


class Network(nn.Module, ABC):
    """A detection network. ``build(architecture, classes, **options)`` makes another of the same structure.

    Attributes:
        architecture: its name for :func:`lucidbox.model.build`.
        classes: number of classes.
        strides: input pixels per cell of each output level.
        bins: numbers in the distribution of each box side.
        options: further options of :func:`lucidbox.model.build`.
    """

    architecture: str
    classes: int
    strides: tuple[int, ...] = STRIDES
    bins: int = BINS
    options: dict[str, int]

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Logits:
        """Logits of RGB images with values 0 to 1, height and width in multiples of 32."""


def join_levels(
    boxes: Sequence[Float[Tensor, "b sides _ _"]], classes: Sequence[Float[Tensor, "b c _ _"]]
) -> Logits:
    """The maps of all levels as one list of anchors: level by level, each row by row."""
    return Logits(
        torch.cat([level.flatten(2) for level in boxes], dim=2),
        torch.cat([level.flatten(2) for level in classes], dim=2),
    )
