"""The network a training starts with: random, or from weights of the same or of other classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lucidbox import weights as weights_files
from lucidbox.core.errors import OptionError
from lucidbox.model import Network, build
from lucidbox.weights import NOT_STATED, Weights

DEFAULT = "yolo11n"


@dataclass(frozen=True, eq=False)
class Start:
    """A network about to be trained.

    Attributes:
        network: a network with the data set's classes, on the processor.
        licence: the licence of its weights; for random ones it is not stated.
        provenance: where its weights come from, in words.
        notes: sentences for the user.
    """

    network: Network
    licence: str
    provenance: str
    notes: tuple[str, ...] = ()


def random_start(architecture: str, names: Sequence[str], seed: int) -> Start:
    """A network with random weights, the same for the same seed.

    Raises:
        OptionError: the architecture is unknown.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return Start(build(architecture, len(names)), NOT_STATED, f"random weights (seed {seed})")


def start_from(path: Path, names: Sequence[str], seed: int, architecture: str | None = None) -> Start:
    """A network with the weights of a file, for other classes too.

    Classes of the same name keep what was learnt about them; what belongs to other classes is new and random.

    Args:
        path: weights that ``lucidbox.weights.read`` reads.
        names: classes to learn.
        seed: of what is random.
        architecture: what the weights must be of, where that was asked for.

    Raises:
        WeightsError: the file is refused.
        OptionError: it is of another architecture.
    """
    weights = weights_files.read(path)
    if architecture not in (None, weights.architecture):
        raise OptionError(
            f"--model {architecture}: {path} is of {weights.architecture}; leave --model out, or name that"
        )
    trained = weights_files.network(weights)
    notes = _folded(trained, path)
    provenance = f"{path.name} ({weights.provenance})" if weights.provenance else path.name
    if tuple(names) == weights.names:
        return Start(trained, weights.licence, provenance, notes)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = build(weights.architecture, len(names), **weights.options)
    shared = [name for name in names if name in weights.names]
    fresh = _transfer(trained.state_dict(), network, weights, names)
    known = f"{path.name} knows {len(shared)} of the {len(names)} classes"
    note = f"{known}; {fresh} tensors begin anew in whole or in part"
    return Start(network, weights.licence, provenance, (*notes, note))


def _transfer(trained: dict[str, Tensor], network: Network, weights: Weights, names: Sequence[str]) -> int:
    """Copy what fits, class by class where rows are classes; returns how many tensors keep random numbers."""
    pairs = [(new, weights.names.index(name)) for new, name in enumerate(names) if name in weights.names]
    to, origin = ([pair[side] for pair in pairs] for side in (0, 1))
    state, fresh = network.state_dict(), 0
    for name, tensor in state.items():
        old, layer = trained[name], f"{name.rpartition('.')[0]}.weight"
        if _rows_are_classes(name):
            # A branch may be as wide as its classes are many: then its biases mean nothing without its weights.
            kept = trained[layer].shape[1:] == state[layer].shape[1:]
            if kept:
                tensor[to] = old[origin]
            fresh += not kept or len(to) < len(names)
        elif old.shape == tensor.shape:
            tensor.copy_(old)
        else:
            fresh += 1
    return fresh


def _rows_are_classes(name: str) -> bool:
    """Whether a tensor is of the last convolution of a class branch, of either family."""
    return ("class_branches" in name and ".predict." in name) or ".cls_branch.2." in name


def _folded(network: nn.Module, path: Path) -> tuple[str, ...]:
    """A note if batch norms were folded into convolutions: statistics of batches would destroy such a network."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if norms and all(_does_nothing(norm) for norm in norms):
        return (
            f"{path.name}: its batch norms are folded away; training with them in use would first destroy what it"
            " has learnt: set freeze_norms=true",
        )
    return ()


def _does_nothing(norm: nn.BatchNorm2d) -> bool:
    """Whether a norm only adds its bias, as those of our ONNX files do. An untrained one has a variance of 1."""
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and not mean.any() and bool((variance < 1).all())
