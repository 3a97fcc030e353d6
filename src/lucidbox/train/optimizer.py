"""The optimiser, its three groups of parameters, and the freezing of layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lucidbox.core.errors import OptionError
from lucidbox.model.network import Network
from lucidbox.train.recipe import Recipe

KINDS = ("weights", "norms", "biases")
"""The groups of parameters, in their order; each group has its kind under "kind". Only weights decay."""

LONG_RUN = 10_000
"""With more steps than this "auto" means SGD."""

_BatchNorm = nn.modules.batchnorm._BatchNorm
_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
_SECOND_BETA = 0.999


@dataclass(frozen=True)
class Optimization:
    """The optimiser's settings: the recipe's, or the published choice for "auto".

    Attributes:
        name: "sgd", with Nesterov's momentum, or "adamw".
        learning_rate: highest rate, after warm-up.
        momentum: of SGD; the first beta of AdamW.
        bias_warmup_rate: rate of biases at the start of warm-up.
    """

    name: Literal["sgd", "adamw"]
    learning_rate: float
    momentum: float
    bias_warmup_rate: float


def freeze(network: Network, prefixes: Sequence[str], *, norms: bool = False) -> tuple[str, ...]:
    """Exclude layers from training, and put the network into training mode by :func:`set_training_mode`.

    Args:
        network: its parameters' ``requires_grad`` is set.
        prefixes: beginnings of names, in whole parts: "neck.down_p4" also means "neck.down_p4.conv", but not
            "neck.down_p41". A whole name such as "backbone.stem.bn.bias" is allowed, too.
        norms: keep the statistics of every batch norm. Their weights and biases are trained nevertheless.

    Returns:
        Names of the parameters that are not trained.

    Raises:
        OptionError: no parameter's name begins with a prefix; the message has similar names.
    """
    named = dict(network.named_parameters())
    for prefix in prefixes:
        if not any(_begins(name, prefix) for name in named):
            raise OptionError(f"freeze: no layer {prefix!r} with weights; {_nearest(prefix, list(named))}")
    frozen = tuple(name for name in named if any(_begins(name, prefix) for prefix in prefixes))
    for name in frozen:
        named[name].requires_grad_(False)
    set_training_mode(network, prefixes, norms=norms)
    return frozen


def set_training_mode(network: Network, prefixes: Sequence[str], *, norms: bool = False) -> None:
    """Put a network into training mode, except the batch norms whose statistics must not change.

    Call it instead of ``network.train()``, which would include them. Arguments are those of :func:`freeze`.
    """
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and (norms or any(_begins(name, prefix) for prefix in prefixes)):
            module.eval()


def choose_optimization(recipe: Recipe, *, steps: int, classes: int) -> Optimization:
    """The recipe's optimiser, or for "auto" the published choice.

    Args:
        recipe: with "auto", its ``learning_rate`` and ``momentum`` are not used.
        steps: number of optimiser steps in the whole training.
        classes: number of classes; "auto" gives AdamW a lower rate where there are many.
    """
    if recipe.optimizer == "sgd":
        return Optimization("sgd", recipe.learning_rate, recipe.momentum, recipe.warmup_bias_rate)
    # AdamW changes every number by about its rate, however small the gradient: biases would change too fast.
    if recipe.optimizer == "adamw":
        return Optimization("adamw", recipe.learning_rate, recipe.momentum, 0.0)
    if steps > LONG_RUN:
        return Optimization("sgd", 0.01, 0.9, recipe.warmup_bias_rate)
    return Optimization("adamw", round(0.002 * 5 / (4 + classes), 6), 0.9, 0.0)


def make_optimizer(network: Network, recipe: Recipe, *, steps: int) -> tuple[Optimizer, Optimization]:
    """A new optimiser of the trained parameters, in the groups of :data:`KINDS`.

    The groups' rates are those after warm-up; :func:`lucidbox.train.schedule.apply` sets them before each step.

    Args:
        network: on its device, with layers frozen. Parameters, gradients and restored state may have any memory
            layout.
        recipe: "auto" is resolved here. Weight decay is scaled by the images of a step over ``nominal_batch``,
            which is 1 if ``batch`` divides that.
        steps: number of optimiser steps in the whole training.

    Raises:
        OptionError: every parameter is frozen.
    """
    chosen = choose_optimization(recipe, steps=steps, classes=network.classes)
    accumulate = max(round(recipe.nominal_batch / recipe.batch), 1)
    decay = recipe.weight_decay * recipe.batch * accumulate / recipe.nominal_batch
    members = _members(network)
    if not any(members.values()):
        raise OptionError("freeze: nothing is left to learn; freeze fewer layers")
    groups: list[dict[str, Any]] = [
        {"params": members[kind], "kind": kind, "weight_decay": decay if kind == "weights" else 0.0}
        for kind in KINDS
    ]
    # Fused kernels are three times as fast as the others on two cores.
    optimizer: Optimizer
    if chosen.name == "sgd":
        nesterov = chosen.momentum > 0  # torch allows Nesterov's form with a momentum only
        optimizer = torch.optim.SGD(
            groups, lr=chosen.learning_rate, momentum=chosen.momentum, nesterov=nesterov, fused=True
        )
    else:
        betas = (chosen.momentum, _SECOND_BETA)
        optimizer = torch.optim.AdamW(groups, lr=chosen.learning_rate, betas=betas, fused=True)
    optimizer.register_step_pre_hook(_align)
    return optimizer, chosen


def _members(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trained parameters of each kind; a norm's bias is a bias."""
    members: dict[str, list[nn.Parameter]] = {kind: [] for kind in KINDS}
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                kind = "biases" if name == "bias" else "norms" if isinstance(module, _NORMS) else "weights"
                members[kind].append(parameter)
    return members


def _align(optimizer: Optimizer, *_: object) -> None:
    """Give gradients and state the parameters' memory layout.

    On processors fused kernels ignore strides: a gradient of another layout (made by hand, or read from a file
    for a network in channels_last) would silently change the wrong numbers.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and not _same_order(parameter.grad, parameter):
                parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)
            state = optimizer.state.get(parameter, {})
            for key, value in state.items():
                if isinstance(value, Tensor) and value.dim() and not _same_order(value, parameter):
                    state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _same_order(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape have the same memory layout."""
    # The stride along a dimension of length one does not matter.
    strides = zip(first.shape, first.stride(), second.stride(), strict=True)
    return first.stride() == second.stride() or all(a == b for length, a, b in strides if length > 1)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _nearest(prefix: str, names: list[str]) -> str:
    parts = [name.split(".") for name in names]
    known = list(dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)))
    near = get_close_matches(prefix, known, n=3)
    if near:
        return f"do you mean {' or '.join(near)}?"
    return f"it begins with one of {', '.join(dict.fromkeys(part[0] for part in parts))}"
