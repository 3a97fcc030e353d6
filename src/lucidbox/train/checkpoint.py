"""The saved state of a training, with which it continues exactly, in one safetensors file.

Tensors are named ``network.…``, ``average.…``, ``optimizer.NUMBER.…`` and ``gradient.NUMBER``; everything else is
JSON in the file's header. Nothing is pickled.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.filesystem import atomic_write
from lucidbox.train.recipe import Recipe

_FORMAT = "lucidbox checkpoint 1"


@dataclass
class TrainingProgress:
    """How far a training is.

    Attributes:
        batches: finished batches, over all epochs.
        epochs: finished epochs: validated and logged.
        pending: batches whose gradients wait for the next optimiser step.
        updates: optimiser steps, which the average of weights counts.
        best_ap: best AP so far, from 0 to 1; -1 before the first validation.
        best_epoch: the epoch of that AP, from 0.
        seconds: time spent so far, over all runs.
        epoch_losses: sums of the losses in the current epoch: boxes, classes, distributions, teacher.
    """

    batches: int = 0
    epochs: int = 0
    pending: int = 0
    updates: int = 0
    best_ap: float = -1.0
    best_epoch: int = -1
    seconds: float = 0.0
    epoch_losses: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Identity:
    """The network and the data of a training; a checkpoint can be resumed only with the same.

    Attributes:
        architecture: the network's architecture.
        options: the network's options.
        names: class names.
        data: hash of the training images' names, sizes and objects.
        data_summary: the data set in words, for messages.
        validation: hash of the validation images, which decide the best epoch.
        teacher: hash of the teacher's file; empty without one.
        processes: number of processes that train together.
    """

    architecture: str
    options: dict[str, int]
    names: tuple[str, ...]
    data: str
    data_summary: str
    validation: str
    teacher: str
    processes: int = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A saved training state.

    Attributes:
        recipe: its recipe.
        identity: its network and data.
        progress: how far it is.
        tensors: weights, averages, optimiser state and gradients; names as in the module's docstring.
        notes: further values, such as the path of the data set.

    Example:
        >>> load_checkpoint(Path("runs/first/checkpoint.safetensors")).progress.epochs
    """

    recipe: Recipe
    identity: Identity
    progress: TrainingProgress
    tensors: dict[str, Tensor]
    notes: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint and flush it to disk; if that fails, the file before stays.

    Raises:
        OutputError: it cannot be written, as on a full disk.
    """
    from safetensors.torch import save

    document = {
        "recipe": checkpoint.recipe.to_dict(),
        "identity": asdict(checkpoint.identity),
        "progress": asdict(checkpoint.progress),
        "notes": checkpoint.notes,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    # Not save_file: it writes beside the file, under a name that stays where the process is killed.
    atomic_write(path, save(tensors, metadata={"format": _FORMAT, "state": json.dumps(document)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DataError: there is none, or it is damaged or of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise DataError(f"{path}: not a checkpoint of this lucidbox's training")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = json.loads(metadata["state"])
        identity = state["identity"] | {"names": tuple(state["identity"]["names"])}
        progress = state["progress"] | {"epoch_losses": tuple(state["progress"]["epoch_losses"])}
        recipe = Recipe().changed(state["recipe"])
        return Checkpoint(recipe, Identity(**identity), TrainingProgress(**progress), tensors, state["notes"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: a damaged checkpoint ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'no such checkpoint'}") from error


def refuse_other(kept: Checkpoint, found: Identity, lost: Sequence[str] = ()) -> None:
    """Check that a training is resumed with the network and the data it began with.

    Args:
        kept: what it began with.
        found: what is there now.
        lost: images that cannot be used now, of which the error tells.

    Raises:
        OptionError: it is not; names the difference.
    """
    for part, what in (
        ("architecture", "network"), ("options", "network's options"), ("names", "classes"),
        ("processes", "number of processes"), ("data_summary", "data set"), ("data", "content of the data set"),
        ("validation", "data to validate on"), ("teacher", "teacher"),
    ):  # fmt: skip
        before, now = getattr(kept.identity, part), getattr(found, part)
        if before != now:
            if part == "data":
                before, now = "other pictures or objects", "as many, but not the same"
            elif part in ("validation", "teacher"):
                before, now = "other content", "not the same"
            remedy = "; have it as it was, or train anew with its last.safetensors as --weights"
            if lost and what.endswith(("data set", "validate on")):
                more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
                remedy = f"; {lost[0]}{more} cannot be used now: put back what is gone,{remedy.partition(',')[2]}"
            raise OptionError(f"--resume: the {what} is another: it began with {before}, now {now}{remedy}")


def collect(network: nn.Module, average: nn.Module, optimizer: Optimizer, *, pending: bool) -> dict[str, Tensor]:
    """The tensors of a checkpoint; gradients only if ``pending``, that is, if some wait for a step."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for number, parameter in enumerate(_trained(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
    if pending:
        for number, parameter in enumerate(network.parameters()):
            if parameter.grad is not None:
                tensors[f"gradient.{number}"] = parameter.grad
    return tensors


def restore(tensors: dict[str, Tensor], network: nn.Module, average: nn.Module, optimizer: Optimizer) -> None:
    """Put the tensors of :func:`collect` back; the memory layout of the given modules stays."""
    network.load_state_dict(_below("network.", tensors))
    average.load_state_dict(_below("average.", tensors))
    trained = _trained(optimizer)
    for name, tensor in _below("optimizer.", tensors).items():
        number, _, key = name.partition(".")
        parameter = trained[int(number)]
        optimizer.state[parameter][key] = _laid_out_as(parameter, tensor)
    parameters = list(network.parameters())
    for number, gradient in _below("gradient.", tensors).items():
        parameters[int(number)].grad = _laid_out_as(parameters[int(number)], gradient)


def _trained(optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters that the optimiser changes, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _laid_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A tensor with the parameter's memory layout, if of its shape: fused optimisers rely on that."""
    if tensor.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(tensor)
    return tensor.to(parameter.device, copy=True)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
