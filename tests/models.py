"""A small network of our own for tests, and its files: made once a session, so that tests need no ../shared."""

import contextlib

import jaxtyping

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
    network = build(name, classes, **options).train()
    noise = torch.rand(4, 3, 160, 256)
    with torch.no_grad():
        # Batch norms take the statistics of noise, so that signals stay alive through all layers.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(noise)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var *= 1.3  # gain below one: rounding differences fade instead of growing
        # Class logits of unit spread, most of them below the usual thresholds.
        final = [parameter for parameter in network.parameters() if parameter.shape[:1] == (classes,)]
        for parameter in final:
            if parameter.ndim == 1:
                parameter.fill_(-3.0)
        spread = network.eval()(torch.rand(1, 3, 384, 640)).classes.std()
        for parameter in final:
            if parameter.ndim == 4:
                parameter /= spread
    return network
