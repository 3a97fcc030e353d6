"""What learns, and by which optimiser: freezing, and three groups of parameters."""

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
"""What the groups hold, in their order; each group has its own under "kind". Only weights decay."""

LONG_RUN = 10_000
"""Steps beyond which "auto" takes SGD."""

_BatchNorm = nn.modules.batchnorm._BatchNorm
_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
_SECOND_BETA = 0.999


@dataclass(frozen=True)
class Optimization:
    """What "auto" came to, or what the recipe says.

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
    """Stop layers from learning, and put the network into training mode by :func:`set_training_mode`.

    Args:
        network: its parameters' ``requires_grad`` is set.
        prefixes: beginnings of names, in whole parts: "neck.down_p4" is also "neck.down_p4.conv", and not
            "neck.down_p41". A whole name such as "backbone.stem.bn.bias" will do, too.
        norms: keep the statistics of every batch norm. Their weights and biases learn all the same.

    Returns:
        Names of the parameters that do not learn.

    Raises:
        OptionError: a prefix begins the name of no parameter; names of layers like it are given.
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
    """Put a network into training mode, all but the batch norms whose statistics shall stay.

    To be called again wherever ``network.train()`` would be, which wakes them all.

    Args:
        network: as given to :func:`freeze`; likewise ``prefixes`` and ``norms``.
        prefixes: see ``network``.
        norms: see ``network``.
    """
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and (norms or any(_begins(name, prefix) for prefix in prefixes)):
            module.eval()


def choose_optimization(recipe: Recipe, *, steps: int, classes: int) -> Optimization:
    """The recipe's optimiser, or for "auto" the published choice.

    Args:
        recipe: its ``learning_rate`` and ``momentum`` are set aside by "auto".
        steps: of the optimiser in the whole run.
        classes: number of classes; "auto" gives AdamW a lower rate where there are many.
    """
    if recipe.optimizer == "sgd":
        return Optimization("sgd", recipe.learning_rate, recipe.momentum, recipe.warmup_bias_rate)
    # AdamW moves every number by about its rate, however small the gradient: biases would jump at first.
    if recipe.optimizer == "adamw":
        return Optimization("adamw", recipe.learning_rate, recipe.momentum, 0.0)
    if steps > LONG_RUN:
        return Optimization("sgd", 0.01, 0.9, recipe.warmup_bias_rate)
    return Optimization("adamw", round(0.002 * 5 / (4 + classes), 6), 0.9, 0.0)


def make_optimizer(network: Network, recipe: Recipe, *, steps: int) -> tuple[Optimizer, Optimization]:
    """A new optimiser of the parameters that learn, in the groups of :data:`KINDS`.

    The groups' rates are those after warm-up; :func:`lucidbox.train.schedule.apply` sets them before each step.

    Args:
        network: where it will be trained: frozen, on its device. The parameters' order in memory is free, also
            of gradients and of restored state.
        recipe: "auto" is resolved here. Weight decay is scaled by the pictures of a step over ``nominal_batch``,
            which is 1 where batches add up to that evenly.
        steps: of the optimiser in the whole run.

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
    # Fused kernels pass over memory once: three times as fast as the others on two cores.
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
    """The learning parameters of each kind; a norm's bias is a bias."""
    members: dict[str, list[nn.Parameter]] = {kind: [] for kind in KINDS}
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                kind = "biases" if name == "bias" else "norms" if isinstance(module, _NORMS) else "weights"
                members[kind].append(parameter)
    return members


def _align(optimizer: Optimizer, *_: object) -> None:
    """Bring gradients and state into the parameters' order in memory.

    On processors fused kernels go through memory without asking for strides: a gradient in another order (made
    by hand, or read from a file for a network in channels_last) would silently move the wrong numbers.
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
    """Whether two tensors of one shape have their numbers in the same order in memory."""
    if first.stride() == second.stride():
        return True
    # The step along a dimension of one is never taken.
    steps = zip(first.shape, first.stride(), second.stride(), strict=True)
    return all(one == other for length, one, other in steps if length > 1)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _nearest(prefix: str, names: list[str]) -> str:
    parts = [name.split(".") for name in names]
    known = list(dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)))
    near = get_close_matches(prefix, known, n=3)
    if near:
        return f"do you mean {' or '.join(near)}?"
    return f"it begins with one of {', '.join(dict.fromkeys(part[0] for part in parts))}"
