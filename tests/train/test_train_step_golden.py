"""One whole step of YOLO11n, batch norms in training mode, against the reference."""

import json

import numpy as np
import pytest
import torch

from lucidbox.train import detection_loss
from lucidbox.weights.keys import from_published


@pytest.fixture
def step(golden, golden_targets, record):
    network, images, _ = golden("yolo11n", "-cal")
    network.train()
    logits = network(images)
    targets, size = golden_targets("loss-1-nc80")
    loss = detection_loss(logits, targets, size)
    loss.total.backward()
    return network, logits, loss, record("trainstep-n")


def test_one_training_step_equals_the_reference(step, golden_file):
    network, logits, loss, reference = step
    assert torch.allclose(logits.boxes, reference["box_logits"], rtol=0, atol=2e-3)
    assert torch.allclose(logits.classes, reference["class_logits"], rtol=0, atol=2e-3)
    assert torch.allclose(loss.items, reference["loss_items"], rtol=1e-3, atol=0)
    assert loss.total.item() == pytest.approx(reference["total"].item(), rel=1e-3)

    state = network.state_dict()
    after = part(reference, "after/")
    assert len(after) == 15
    for name, value in after.items():
        assert torch.allclose(state[from_published(name)].to(value), value, rtol=1e-4, atol=1e-4), name

    parameters = dict(network.named_parameters())
    gradients = {
        name.removeprefix("grad/"): value for name, value in reference.items() if name.startswith("grad/")
    }
    assert len(gradients) == 6
    for name, value in gradients.items():
        ours = parameters[from_published(name)].grad
        assert (ours - value).norm() <= 1e-3 * value.norm(), name

    norms = json.loads(golden_file("train/trainstep-n-grad-norms.json").read_text())
    ours = np.array([parameters[from_published(name)].grad.norm() for name in norms])
    assert len(norms) > 200
    np.testing.assert_allclose(ours, list(norms.values()), rtol=1e-3)
    assert all(parameter.grad is not None for parameter in parameters.values())


def part(reference, prefix):
    """The arrays whose names start so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in reference.items() if name.startswith(prefix)}
