"""One process among those that train together. What two compute together: test_train_step, test_validation."""

import numpy as np
import pytest
import torch
from pair import pair

from lucidbox.core.errors import OptionError
from lucidbox.train.processes import Processes, ProcessLostError, join

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cards(monkeypatch):
    """Function that lets torch see so many graphics cards."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        chosen = []
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        return chosen

    return pretend


def test_alone_everything_stays_as_it_is():
    amounts = torch.tensor([1.5, -2.0])
    assert torch.equal(ALONE.sum(amounts), torch.tensor([1.5, -2.0]))
    tensors = [torch.ones(2, 3), torch.zeros(1)]
    ALONE.sum_in_place(iter(tensors))
    assert torch.equal(tensors[0], torch.ones(2, 3))
    assert torch.equal(tensors[1], torch.zeros(1))
    assert ALONE.any(True) is True
    assert ALONE.any(False) is False
    rows = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(ALONE.gather(rows), rows)
    assert ALONE.gather(np.zeros((0, 7))).shape == (0, 7)
    ALONE.leave()


def test_the_first_leads():
    assert ALONE.leads
    assert not Processes(1, 2, torch.device("cpu")).leads


def test_without_torchrun_there_is_one_process(cards):
    cards(0)
    assert join() == join("cpu") == ALONE
    assert not torch.distributed.is_initialized()


def test_a_card_is_taken_where_there_is_one(cards):
    chosen = cards(2)
    assert join().device == torch.device("cuda", 0)
    assert join("cuda:1").device == torch.device("cuda", 1)
    assert join("cpu").device == torch.device("cpu")
    assert chosen == [torch.device("cuda", 0), torch.device("cuda", 1)]


@pytest.mark.parametrize(
    ("device", "count", "message"),
    [
        ("gpu", 1, "--device 'gpu' is not one: give cpu, cuda or cuda:1"),
        ("", 1, "--device '' is not one: give cpu, cuda or cuda:1"),
        ("meta", 1, "--device meta: training runs on cpu and cuda"),
        ("cuda", 0, "--device cuda: torch sees no graphics card here; use --device cpu"),
        ("cuda:0", 0, "--device cuda:0: torch sees no graphics card here; use --device cpu"),
        ("cuda:2", 2, "--device cuda:2: there are 2 graphics cards, numbered from 0"),
    ],
)
def test_devices_that_are_not_there(cards, device, count, message):
    cards(count)
    with pytest.raises(OptionError) as refused:
        join(device)
    assert str(refused.value) == message


def test_torchrun_shares_out_the_cards(cards, monkeypatch):
    cards(1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(OptionError, match="torchrun gives each process a card of its own; use --device cuda"):
        join("cuda:0")
    with pytest.raises(OptionError, match="there are 1 graphics cards"):
        join("cuda")


def test_a_process_that_is_gone_is_one_line(monkeypatch):
    def broken(*_):
        raise RuntimeError(
            "[/build/gloo/tcp/pair.cc:537] Read error [10.0.0.2]:4625: Connection reset by peer. This is typically"
            " caused by a remote worker hanging.\nmore"
        )

    monkeypatch.setattr(torch.distributed, "all_reduce", broken)
    with pytest.raises(ProcessLostError) as lost:
        Processes(0, 2, torch.device("cpu")).any(True)
    assert str(lost.value) == (
        "another process of this training is gone (Read error [10.0.0.2]:4625: Connection reset by peer); its own"
        " output says why. Start all of them again with --resume"
    )


def test_what_the_first_makes_alone():
    assert ALONE.of_first(lambda: 5) == 5


def made_by_the_first(processes, folder):
    """The number that the first process makes, and its error, as every process sees them."""

    def refuse():
        raise OptionError(f"refused by {processes.rank}")

    made = processes.of_first(lambda: processes.rank + 7)
    try:
        processes.of_first(refuse)
    except OptionError as error:
        return made, str(error)


@pytest.mark.extended
def test_what_the_first_makes_all_have(tmp_path):
    assert pair(__file__, "made_by_the_first", tmp_path) == [(7, "refused by 0")] * 2
