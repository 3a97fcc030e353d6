"""A card without memory for a batch; no test machine has one, so the network itself is made to say so."""

import numpy as np
import pytest
import torch

from lucidbox.core.errors import EngineError
from lucidbox.engines.torch import TorchEngine
from models import lively_network


@pytest.fixture
def engine(monkeypatch):
    """Function that gives an engine with memory for so many pictures at once, and the list of its batches."""
    engine = TorchEngine(lively_network(), device="cpu")
    whole, batches = engine._network, []

    def limited(most):
        def network(pixels):
            if len(pixels) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            batches.append(len(pixels))
            return whole(pixels)

        monkeypatch.setattr(engine, "_network", network)
        return engine, batches

    return limited


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 96, 3), dtype=np.uint8)


def test_a_batch_that_is_too_large_is_answered_in_halves_and_said_once(engine):
    expected = engine(8)[0](pictures(7))
    limited, batches = engine(2)
    batches.clear()
    with pytest.warns(RuntimeWarning) as said:
        found = limited(pictures(7))
    assert [str(one.message) for one in said] == [
        "cpu is out of memory for 7 pictures of 64×96; going on with batches of 3",
        "cpu is out of memory for 3 pictures of 64×96; going on with batches of 1",
    ]
    assert batches == [1] * 7
    assert np.allclose(found.boxes, expected.boxes, atol=1e-3)
    assert np.allclose(found.scores, expected.scores, atol=1e-5)
    again = limited(pictures(7))  # a warning would be an error here
    assert np.array_equal(again.boxes, found.boxes)


def test_no_memory_for_one_picture_is_an_error_with_a_remedy(engine):
    limited, _ = engine(0)
    with pytest.raises(EngineError, match="cpu is out of memory for one picture of 64×96; use a smaller --size"):
        limited(pictures(1))


def test_a_card_in_a_forked_process_is_refused_by_name(monkeypatch):
    engine = TorchEngine(lively_network(), device="cpu")
    monkeypatch.setattr(engine, "device", torch.device("cuda"))
    monkeypatch.setattr(engine, "_process", -1)
    with pytest.raises(EngineError, match="cuda cannot be used in a forked process: load the detector in it"):
        engine(pictures(1))
