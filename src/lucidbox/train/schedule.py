"""Rates over the run: warm-up, then a falling learning rate. Pure functions of the batch's number.

So a resumed run needs to know only which batch comes next.
"""

import math
from dataclasses import dataclass

from torch.optim import Optimizer

from lucidbox.train.optimizer import Optimization
from lucidbox.train.recipe import Recipe

SHORTEST_WARMUP = 100
"""Batches that warm-up lasts at least, where there is one."""


@dataclass(frozen=True)
class Rates:
    """What holds for one batch.

    Attributes:
        learning_rate: of weights and norms.
        bias_rate: learning rate of biases.
        momentum: of SGD; AdamW's betas do not change.
        accumulate: batches whose gradients make one optimiser step.
    """

    learning_rate: float
    bias_rate: float
    momentum: float
    accumulate: int


def rates(recipe: Recipe, optimization: Optimization, number: int, batches: int) -> Rates:
    """What holds for one batch of the run.

    Over warm-up everything rises evenly from batch to batch: the learning rate from 0 (of biases from their own
    first rate) to what the batch's epoch has, momentum from its first value, accumulation from 1.

    Args:
        recipe: the run's.
        optimization: what the optimiser was made with; see :func:`lucidbox.train.optimizer.make_optimizer`.
        number: of the batch in the run, from 0.
        batches: of one epoch, at least 1.
    """
    peak = optimization.learning_rate * decay(recipe, number // batches)
    warmup = warmup_batches(recipe, batches)
    done = min(number / warmup, 1.0) if warmup else 1.0
    share = recipe.nominal_batch / recipe.batch
    return Rates(
        learning_rate=_between(0.0, peak, done),
        bias_rate=_between(optimization.bias_warmup_rate, peak, done),
        momentum=_between(recipe.warmup_momentum, optimization.momentum, done),
        accumulate=max(round(_between(1.0, share, done)), 1),
    )


def decay(recipe: Recipe, epoch: int) -> float:
    """An epoch's share of the highest rate: 1 at first; ``final_rate`` is for the epoch after the last."""
    gone = epoch / recipe.epochs
    if recipe.schedule == "cosine":
        gone = (1 - math.cos(math.pi * gone)) / 2
    return (1 - gone) * (1 - recipe.final_rate) + recipe.final_rate


def warmup_batches(recipe: Recipe, batches: int) -> int:
    """Batches of warm-up: ``warmup_epochs``, and 100 at least, however short the run; 0 if that is 0.

    Args:
        recipe: the run's.
        batches: of one epoch.
    """
    return max(round(recipe.warmup_epochs * batches), SHORTEST_WARMUP) if recipe.warmup_epochs else 0


def apply(optimizer: Optimizer, rates: Rates) -> None:
    """Set rates and momentum of an optimiser of :func:`lucidbox.train.optimizer.make_optimizer`."""
    for group in optimizer.param_groups:
        group["lr"] = rates.bias_rate if group["kind"] == "biases" else rates.learning_rate
        # AdamW corrects its running means for one constant beta: that one is left as it is.
        if "momentum" in group:
            group["momentum"] = rates.momentum


def _between(start: float, end: float, share: float) -> float:
    """From start to end, exact at both: rates after warm-up are the very numbers of the recipe."""
    return end if share >= 1 else start + (end - start) * share
