"""Learning rates over a training: warm-up, then a falling rate. All are functions of the batch's number."""

import math
from dataclasses import dataclass

from torch.optim import Optimizer

from lucidbox.train.optimizer import Optimization
from lucidbox.train.recipe import Recipe

SHORTEST_WARMUP = 100
"""Least number of batches of a warm-up."""


@dataclass(frozen=True)
class Rates:
    """The rates for one batch.

    Attributes:
        learning_rate: learning rate of weights and norms.
        bias_rate: learning rate of biases.
        momentum: momentum of SGD; AdamW's betas do not change.
        accumulate: number of batches whose gradients make one optimiser step.
    """

    learning_rate: float
    bias_rate: float
    momentum: float
    accumulate: int


def rates(recipe: Recipe, optimization: Optimization, number: int, batches: int) -> Rates:
    """The rates for one batch of a training.

    In the warm-up everything rises linearly from batch to batch: the learning rate from 0 (for biases from their
    own first rate) to that of the batch's epoch, momentum from its first value, accumulation from 1.

    Args:
        recipe: the training's recipe.
        optimization: from :func:`lucidbox.train.optimizer.make_optimizer`.
        number: number of the batch in the training, from 0.
        batches: batches in an epoch, at least 1.
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
    """An epoch's share of the highest rate: 1 at first; ``final_rate`` belongs to the epoch after the last."""
    gone = epoch / recipe.epochs
    if recipe.schedule == "cosine":
        gone = (1 - math.cos(math.pi * gone)) / 2
    return (1 - gone) * (1 - recipe.final_rate) + recipe.final_rate


def warmup_batches(recipe: Recipe, batches: int) -> int:
    """Batches of the warm-up: those of ``warmup_epochs``, at least 100; 0 without warm-up."""
    return max(round(recipe.warmup_epochs * batches), SHORTEST_WARMUP) if recipe.warmup_epochs else 0


def apply(optimizer: Optimizer, rates: Rates) -> None:
    """Set rates and momentum of an optimiser of :func:`lucidbox.train.optimizer.make_optimizer`."""
    for group in optimizer.param_groups:
        group["lr"] = rates.bias_rate if group["kind"] == "biases" else rates.learning_rate
        # AdamW corrects its running means for one constant beta, which must not change.
        if "momentum" in group:
            group["momentum"] = rates.momentum


def _between(start: float, end: float, share: float) -> float:
    """Linear from start to end; exactly ``end`` at the end, so that the recipe's rates are not rounded."""
    return end if share >= 1 else start + (end - start) * share


def optimizer_steps(images: int, recipe: Recipe) -> int:
    """Optimiser steps of a whole training on this number of images."""
    return -(-images // max(recipe.batch, recipe.nominal_batch)) * recipe.epochs
