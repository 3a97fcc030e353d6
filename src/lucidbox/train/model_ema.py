"""The exponential moving average of a network's weights, which is what is validated and saved."""

import copy
import math

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lucidbox.model.network import Network


class ModelEMA:
    """A float32 copy of a network that follows it slowly.

    After update number u its numbers are d · own + (1 − d) · network's, with d = decay · (1 − e^(−u / ramp)):
    young averages follow fast. Parameters and batch norm statistics are averaged, counters are copied.

    Attributes:
        network: the average, in evaluation mode, on the device of the network; takes no gradients.
        updates: how often :meth:`update` was called.

    Args:
        network: the network in training; the average begins with its weights.
        decay: see above; 0 to 1.
        ramp: see above, in updates; 0 for the full decay at once.
    """

    def __init__(self, network: Network, decay: float, ramp: float) -> None:
        self.network = copy.deepcopy(network).float().eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay
        self._ramp = ramp
        self._own = _tensors(self.network)  # loading writes into them: they stay the same ones

    def update(self, network: Network) -> None:
        """Follow the network after one optimiser step.

        Args:
            network: the network that this was made of, not wrapped for several processes.
        """
        self.updates += 1
        floats: list[tuple[Tensor, Tensor]] = []
        for own, theirs in zip(self._own, _tensors(network), strict=True):
            if own.is_floating_point():
                floats.append((own, theirs.float()))
            else:
                own.copy_(theirs)
        # torch's own takes all tensors in one call, which on graphics cards is a few kernels instead of hundreds.
        follow = get_ema_multi_avg_fn(self._decay_now())  # type: ignore[no-untyped-call]
        follow([own for own, _ in floats], [theirs for _, theirs in floats], None)

    def _decay_now(self) -> float:
        return self._decay * (1 - math.exp(-self.updates / self._ramp)) if self._ramp else self._decay


def _tensors(network: torch.nn.Module) -> list[Tensor]:
    """Parameters and buffers, without gradients; half the time that ``state_dict`` takes."""
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
