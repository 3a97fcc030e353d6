"""Networks of our own for tests, so that they need no ../shared: a small real one, and one that finds red."""

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


class RedFinder:
    """An engine: one anchor a picture, the box around pure red, class 1 of 2."""

    name, precision = "red", "fp32"

    def __init__(self):
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(images.shape)
        assert images.dtype == np.uint8
        red = (images[..., 0] > 250) & (images[..., 1:].max(axis=-1) < 5)
        boxes = np.zeros((len(images), 2, 4), np.float32)
        scores = np.zeros((len(images), 2, 2), np.float32)
        for row, mask in enumerate(red):
            if mask.any():
                y, x = np.nonzero(mask)
                boxes[row, 1] = x.min(), y.min(), x.max() + 1, y.max() + 1
                scores[row, 1] = 0.1, 0.75
        from lucidbox.engines import Prediction

        return Prediction(boxes, scores)


def picture(height, width, box):
    image = np.full((height, width, 3), 60, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255, 0, 0
    return image


def engine_of(path, **options):
    """The engine of a detector for a model file."""
    from lucidbox import Detector

    return Detector.load(path, **options).engine
