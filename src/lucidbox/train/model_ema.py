"""The exponential moving average of a network's weights, which is what is validated and saved."""

import copy
import math

from torch.optim.swa_utils import get_ema_multi_avg_fn

from lucidbox.model.network import Network


class ModelEMA:
    """A float32 copy of a network that follows it slowly.

    After update number u its numbers are d · own + (1 − d) · network's, with d = decay · (1 − e^(−u / ramp)):
    young averages follow fast. Parameters are averaged; batch norms' statistics and counters are copied, and
    belong to the network's weights until :func:`lucidbox.train.norms.measure_statistics` finds the average's own.

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
        # Loading writes into these tensors: they stay the same ones.
        self._weights = [parameter.detach() for parameter in self.network.parameters()]
        self._buffers = list(self.network.buffers())

    def update(self, network: Network) -> None:
        """Follow the network after one optimiser step.

        Args:
            network: the network that this was made of, not wrapped for several processes.
        """
        self.updates += 1
        theirs = [parameter.detach().float() for parameter in network.parameters()]
        # torch's own takes all tensors in one call, which on graphics cards is a few kernels instead of hundreds.
        follow = get_ema_multi_avg_fn(self._decay_now())  # type: ignore[no-untyped-call]
        follow(self._weights, theirs, None)
        for own, buffer in zip(self._buffers, network.buffers(), strict=True):
            own.copy_(buffer)

    def _decay_now(self) -> float:
        return self._decay * (1 - math.exp(-self.updates / self._ramp)) if self._ramp else self._decay
