"""What torch cannot do: answer batches that a card has no memory for (no test machine has a card, so the network
itself is made to say so), and work in a forked process."""

import os
import subprocess
import sys

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


FORKED = """
import os, signal, sys
import numpy as np
from lucidbox import weights
from lucidbox.engines.torch import TorchEngine
from lucidbox.engines.torchscript import TorchScriptEngine
from lucidbox.explain.effort import Effort
from lucidbox.explain.hooks import record, shuffled
from lucidbox.explain.optimised import optimised
from lucidbox.export.tracing import export_onnx
from lucidbox.train.trainer import Trainer

read = weights.read(sys.argv[1])
network, pictures = weights.network(read), np.zeros((1, 320, 320, 3), np.uint8)
engine = None
if sys.argv[2] == "worked":
    engine = TorchEngine(network, device="cpu")
    engine(pictures)
uses = {
    "detecting": lambda: (engine or TorchEngine(network, device="cpu"))(pictures),
    "loading": lambda: TorchEngine(network, device="cpu"),
    "TorchScript": lambda: TorchScriptEngine("no file"),
    "running": lambda: TorchScriptEngine.__new__(TorchScriptEngine).run({}),
    "gradients": lambda: record(network, pictures[0], []),
    "shuffling": lambda: shuffled(network),
    "optimising": lambda: optimised(None, network, pictures[0], [], Effort()),
    "converting": lambda: export_onnx(read, "no.onnx/no folder"),
    "training": lambda: Trainer("no file", network, {}, "no folder"),
}
if os.fork() == 0:
    signal.alarm(60)
    for name, use in uses.items():
        try:
            use()
            print(name, "works", flush=True)
        except Exception as error:
            print(name, error, flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("parent", ["worked", "rested"])
def test_torch_is_refused_where_it_worked_before_the_fork(parent, small_weights, tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"")
    threads = os.environ | {"OMP_NUM_THREADS": "2"}  # where it is not refused, a child would wait for these
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(small_weights), parent]
    done = subprocess.run(command, env=threads, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    refused = {use for use, answer in said.items() if answer.startswith("torch has worked in the process")}
    assert len(said) == 9
    assert refused == (set(said) if parent == "worked" else set())
    assert (said["detecting"] == "works") == (parent == "rested")
