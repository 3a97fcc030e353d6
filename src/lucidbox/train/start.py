"""The network a training starts with: random, or from weights of the same or of other classes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from lucidbox import weights as weights_files
from lucidbox.core.errors import OptionError
from lucidbox.datasets.training.data import TrainingData
from lucidbox.model import Network, build
from lucidbox.train.likeness import likenesses
from lucidbox.train.optimizer import choose_optimization
from lucidbox.train.recipe import Recipe
from lucidbox.train.schedule import optimizer_steps
from lucidbox.weights import NOT_STATED
from lucidbox.weights.contents import DEFAULT_SIZE

DEFAULT = "yolo11n"

SHORT_RUN = 1000
"""Steps of the optimiser below which a run is short."""

GENTLE_RATE = 0.00015
"""Highest rate that "auto" takes in short runs where every class is known; else it is 0.0014 for three classes."""

MOST_LIKENED = 5
"""Classes of which a note says what they begin as; of more, the number is told."""


@dataclass(frozen=True, eq=False)
class Start:
    """A network about to be trained.

    Attributes:
        network: a network with the data set's classes, on the processor.
        licence: the licence of its weights; for random ones it is not stated.
        provenance: where its weights come from, in words.
        notes: sentences for the user.
        known: how many of its classes its weights know by name; None for random weights.
    """

    network: Network
    licence: str
    provenance: str
    notes: tuple[str, ...] = ()
    known: int | None = None

    def suited(self, recipe: Recipe, pictures: int, chosen: Collection[str] = ()) -> Recipe:
        """The recipe with what "auto" chooses in short runs from weights that know every class: to be gentle.

        Norms keep their statistics: those of batches are noise to layers that were trained long with better ones,
        and a few steps cannot replace them. The rate is low: AdamW moves every number by about its rate each step,
        and what a few pictures ask for by chance only many more take back.

        Args:
            recipe: one that names its optimiser stays as it is.
            pictures: of an epoch.
            chosen: keys that the user has set; ``freeze_norms`` then stays as it is.
        """
        steps = optimizer_steps(pictures, recipe)
        if recipe.optimizer != "auto" or self.known != self.network.classes or steps >= SHORT_RUN:
            return recipe
        auto = choose_optimization(recipe, steps=steps, classes=self.network.classes)
        rate = min(auto.learning_rate, GENTLE_RATE)
        norms = recipe.freeze_norms or "freeze_norms" not in chosen
        return replace(recipe, optimizer=auto.name, learning_rate=rate, momentum=auto.momentum, freeze_norms=norms)


def not_used(recipe: Recipe, chosen: Collection[str]) -> tuple[str, ...]:
    """A note where the user has set keys for which "auto" has values of its own."""
    lost = [key for key in ("learning_rate", "momentum") if key in chosen]
    if recipe.optimizer != "auto" or not lost:
        return ()
    return (f"{' and '.join(lost)} not used: optimizer=auto has its own; for yours, set optimizer=adamw or sgd",)


def random_start(architecture: str, names: Sequence[str], seed: int) -> Start:
    """A network with random weights, the same for the same seed.

    Raises:
        OptionError: the architecture is unknown.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return Start(build(architecture, len(names)), NOT_STATED, f"random weights (seed {seed})")


def start_from(
    path: str | Path,
    names: Sequence[str],
    seed: int,
    architecture: str | None = None,
    *,
    data: TrainingData | None = None,
    size: int = DEFAULT_SIZE,
) -> Start:
    """A network with the weights of a file, for other classes too.

    The layers keep their widths, so only the last layer's rows depend on the classes. Classes of the same name
    keep their rows, and are found as before the first step. Other classes begin with copies of the rows of the
    class that they look most like: random rows behind trained features would find objects everywhere, and what
    the features know would be lost before the rows have learnt not to.

    Args:
        path: weights that ``lucidbox.weights.read`` reads.
        names: classes to learn.
        seed: of what is random.
        architecture: what the weights must be of, where that was asked for.
        data: shows classes that the weights do not know by name; without it their rows are random.
        size: longer side of the pictures they are looked at in, pixels.

    Raises:
        WeightsError: the file is refused.
        OptionError: it is of another architecture.
    """
    path = Path(path)
    weights = weights_files.read(path)
    if architecture not in (None, weights.architecture):
        raise OptionError(
            f"--model {architecture}: {path} is of {weights.architecture}; leave --model out, or name that"
        )
    trained = weights_files.network(weights)
    notes = _folded(trained, path)
    provenance = f"{path.name} ({weights.provenance})" if weights.provenance else path.name
    if tuple(names) == weights.names:
        return Start(trained, weights.licence, provenance, notes, len(names))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = build(weights.architecture, len(names), **trained.form)
    known = {new: weights.names.index(name) for new, name in enumerate(names) if name in weights.names}
    unknown = [new for new in range(len(names)) if new not in known]
    alike = likenesses(trained, data, size, unknown) if data and unknown else {}
    fresh = _transfer(trained.state_dict(), network, known | alike)
    note = f"{path.name} knows {len(known)} of the {len(names)} classes; {fresh} tensors begin anew in whole or in"
    note += " part" + _by_looks([f"{names[new]} as {weights.names[old]}" for new, old in alike.items()])
    return Start(network, weights.licence, provenance, (*notes, note), len(known))


def _by_looks(likened: Sequence[str]) -> str:
    """What is said of classes that begin as others."""
    more = f" and {len(likened) - MOST_LIKENED} more" if len(likened) > MOST_LIKENED else ""
    told = f"; by their looks these begin as others: {', '.join(likened[:MOST_LIKENED])}{more}"
    return told if likened else ""


def _transfer(trained: dict[str, Tensor], network: Network, origins: dict[int, int]) -> int:
    """Copy all; rows of classes by ``origins``, from new to old. Returns how many tensors keep random numbers."""
    state, fresh = network.state_dict(), 0
    for name, tensor in state.items():
        if _rows_are_classes(name):
            tensor[list(origins)] = trained[name][list(origins.values())]
            fresh += len(origins) < network.classes
        else:
            tensor.copy_(trained[name])
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
