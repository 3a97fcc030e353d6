"""From weights to a torch network, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lucidbox.core.errors import WeightsError
from lucidbox.weights.class_names import checked_names
from lucidbox.weights.contents import DEFAULT_SIZE, Weights
from lucidbox.weights.licence_text import NOT_STATED
from lucidbox.weights.recognise import checked, empty_network, kind_of

if TYPE_CHECKING:
    from torch import Tensor

    from lucidbox.model import Network


def network(weights: Weights) -> "Network":
    """A network with these weights: float32, in evaluation mode, on the processor.

    Raises:
        WeightsError: the tensors are not those of the network that the weights state.
    """
    import torch

    weights = checked(weights, kind_of(weights))
    made = empty_network(kind_of(weights))
    state = {
        # astype makes a copy, so training the network does not change the weights.
        name: torch.from_numpy(array.astype(np.float32 if array.dtype.kind == "f" else np.int64))
        for name, array in weights.tensors.items()
    }
    made.load_state_dict(state, strict=True, assign=True)
    return made.eval()


def from_network(
    network: "Network",
    names: Sequence[str],
    *,
    licence: str = NOT_STATED,
    provenance: str = "",
    size: int = DEFAULT_SIZE,
) -> Weights:
    """A copy of a network's tensors, bfloat16 as the equal float32.

    Args:
        network: not fused.
        names: a name for each of its classes.
        licence: the licence of the weights.
        provenance: where they come from, in words.
        size: longer side of the images it is meant for, a multiple of 32.

    Raises:
        WeightsError: wrong number of names, a fused network, or numbers that are not finite.
    """
    weights = Weights(
        architecture=network.architecture,
        names=checked_names(list(names)),
        tensors={name: _array(tensor) for name, tensor in network.state_dict().items()},
        licence=licence,
        provenance=provenance,
        size=size,
        options=dict(network.options),
    )
    return checked(weights, replace(kind_of(weights), classes=network.classes))


def renamed(weights: Weights, names: Sequence[str]) -> Weights:
    """The same weights with other class names.

    Raises:
        WeightsError: there are more or fewer names than classes.
    """
    if len(names) != len(weights.names):
        raise WeightsError(f"{len(names)} class names for {len(weights.names)} classes; the numbers must be equal")
    return replace(weights, names=checked_names(list(names)))


def halved(weights: Weights) -> Weights:
    """The same weights with kernels in float16; norms and biases, which are few, keep their type.

    Raises:
        WeightsError: a number is too large for float16.
    """
    with np.errstate(over="ignore"):  # checked below
        tensors = {
            name: array.astype(np.float16) if array.dtype.kind == "f" and array.ndim > 1 else array
            for name, array in weights.tensors.items()
        }
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"tensor {name} has numbers too large for float16; keep the weights in float32")
    return replace(weights, tensors=tensors)


def _array(tensor: "Tensor") -> np.ndarray:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.numpy().copy()
