"""Statistics of batch norms, measured for the weights that a network has now.

Those that gather along a training are of weights that have moved on since: of some 30 batches ago in the published
networks, whose norms give a new batch 3 % of the say. Where weights move fast, as in the first hundred steps, a
network with such statistics finds nothing, although in training mode the same weights find everything. Averaged
weights have no statistics of their own at all, before they are measured.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm as Norm

from lucidbox.core.array_types import Float
from lucidbox.model import Network


def learning_norms(network: Network, twin: Network) -> list[Norm]:
    """Batch norms of a twin of a network whose like in the network gather statistics: all that are not frozen."""
    pairs = zip(network.modules(), twin.modules(), strict=True)
    return [own for theirs, own in pairs if isinstance(own, Norm) and theirs.training]


@torch.no_grad()
def measure_statistics(
    network: Network, norms: Iterable[Norm], inputs: Iterable[Float[Tensor, "b 3 h w"]]
) -> None:
    """Replace batch norms' statistics by the mean of those of some batches, and their counters by how many.

    Args:
        network: in evaluation mode, in which it is left.
        norms: those of its batch norms that are measured; the others work with the statistics they have.
        inputs: batches as in training, at least one. All count alike.
    """
    kept = [(norm, norm.momentum) for norm in norms]
    for norm, _ in kept:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean of all batches
        norm.train()
    try:
        for images in inputs:
            network(images)
    finally:
        for norm, momentum in kept:
            norm.momentum = momentum
            norm.eval()
