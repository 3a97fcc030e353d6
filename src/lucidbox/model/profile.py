"""Size and cost of a network: numbers of parameters and operations."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from lucidbox.model.network import Network

_COUNTED = (torch.ops.aten.convolution, torch.ops.aten.addmm)


@dataclass(frozen=True)
class ParameterCount:
    """Number of parameters of a network.

    Attributes:
        learned: weights and biases.
        fixed: the numbers 0 to 15 of the decoder, which published networks store and count.
    """

    learned: int
    fixed: int

    @property
    def published(self) -> int:
        """The sum, which is the number published for YOLO11."""
        return self.learned + self.fixed


def parameters(network: Network) -> ParameterCount:
    """Count a network's parameters."""
    return ParameterCount(sum(parameter.numel() for parameter in network.parameters()), network.bins)


def gflops(network: nn.Module, size: int = 640) -> float:
    """Billions of floating-point operations for one square image.

    Counted as for YOLO11's published figures: two for each multiply-add of a convolution or linear layer. Norms,
    activations, pooling, decoding and attention's own matrix products are not counted; the last are 0.06 (n) to
    0.37 (x) at 640, and grow with the fourth power of ``size``.

    Args:
        network: counted on the meta device: nothing is computed, and the network does not change.
        size: height and width of the image, a multiple of 32.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        functional_call(network, shapes, (torch.empty(1, 3, size, size, device="meta"),))
    operations = counter.get_flop_counts()["Global"]
    return float(sum(operations.get(kind, 0) for kind in _COUNTED)) / 1e9
