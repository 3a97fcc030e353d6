"""A small network of our own for tests, and its files: made once a session, so that tests need no ../shared."""

import contextlib

import jaxtyping
import numpy as np

NAMES = ("red", "green", "blue")


@contextlib.contextmanager
def unchecked_shapes():
    """Shapes are symbols while a network is traced; the checker would ask for their values."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def lively_network(name="yolo11n", classes=3, **options):
    """A network with random weights whose answers depend on the picture and pass the usual thresholds."""
    import torch

    from lucidbox.model import build

    torch.manual_seed(0)
    network = build(name, classes, **options).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.1, 0.3)
        for key, parameter in network.named_parameters():
            # The class logits' own biases start near "nothing anywhere": lift them into the visible range.
            if key.endswith("bias") and parameter.shape == (classes,):
                parameter.copy_(torch.from_numpy(np.linspace(-1.0, 0.0, classes, dtype=np.float32)))
    return network
