"""For tests of explanations: an engine that always answers the same, and all that a network could lose."""

import sys

import numpy as np

from lucidbox.engines import Prediction


def know_few_shares(monkeypatch):
    """Curves are known at four shares instead of thirteen: for tests that need figures, whichever they are."""
    shares = (np.arange(4) / 3) ** 2
    monkeypatch.setattr("lucidbox.explain.curves.SHARES", shares)
    if "torch" in sys.modules:
        monkeypatch.setattr("lucidbox.explain.optimised._INNER", shares[1:-1])
        monkeypatch.setattr("lucidbox.explain.optimised._ALL", sum(range(len(shares) - 1)))


class Unmoved:
    """One box of two classes at one score, whatever the picture."""

    name, precision = "unmoved", "fp32"

    def __init__(self, box, score=0.3):
        self.box, self.score = box, score

    def __call__(self, images):
        boxes = np.tile(np.array(self.box, np.float32), (len(images), 1, 1))
        return Prediction(boxes, np.full((len(images), 1, 2), self.score, np.float32))


def state(network):
    """All that could be changed: numbers, gradients, modes, hooks."""
    return (
        [(name, tensor.clone()) for name, tensor in network.state_dict().items()],
        [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        [p.requires_grad for p in network.parameters()],
        [part.training for part in network.modules()],
        [len(getattr(part, name)) for part in network.modules() for name in vars(part) if name.endswith("_hooks")],
    )


def assert_same(before, after):
    import torch

    for (name, old), (_, new) in zip(before[0], after[0], strict=True):
        assert torch.equal(old, new), name
    for old, new in zip(before[1], after[1], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)
    assert before[2:] == after[2:]
