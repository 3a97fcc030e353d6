"""The order of pictures, and batches that do not depend on who prepares them."""

import subprocess
import sys
from multiprocessing import current_process

import numpy as np
import pytest
import torch

from lucidbox.core.errors import DataError, ImageError, OptionError
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.sample import Sample
from lucidbox.datasets.augment.settings import Augmentation, plain
from lucidbox.train import loader
from lucidbox.train.loader import deaths_in_words, load_batches, refuse_second_import
from lucidbox.train.sampling_schedule import SamplingSchedule


class Painted:
    """Pictures of one colour each, the colour saying which; some cannot be read."""

    def __init__(self, count, broken=()):
        self.count, self.broken = count, broken

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.broken:
            raise ImageError(f"picture {index} is broken")
        boxes = np.array([[4, 4, 20, 20]] * (index % 3), np.float32).reshape(-1, 4)
        return Sample(np.full((32, 32, 3), index, np.uint8), boxes, np.zeros(len(boxes), np.int64))


def plan(**changes):
    fields = {"pictures": 10, "batch": 4, "epochs": 3, "mixed_epochs": 2, "seed": 5}
    return SamplingSchedule(**(fields | changes))


def equal(first, second):
    parts = [(batch.images, *vars(batch.targets).values()) for batch in (first, second)]
    return first.indices == second.indices and all(torch.equal(a, b) for a, b in zip(*parts, strict=True))


def test_an_epoch_shows_every_picture_and_fills_its_last_batch_from_its_beginning():
    order = plan().order(1)
    assert order.shape == (3, 4)
    flat = order.ravel().tolist()
    assert sorted(flat[:10]) == list(range(10))
    assert flat[10:] == flat[:2]


def test_epochs_and_seeds_differ_and_repeat():
    orders = [plan(seed=seed).order(epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4
    assert plan(seed=1).order(0).tolist() == orders[0]


def test_processes_share_each_batch():
    whole = list(plan().places(0))
    shares = [list(plan(rank=rank, processes=2).places(0)) for rank in (0, 1)]
    assert [first + second for first, second in zip(*shares, strict=True)] == whole


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    with pytest.raises(OptionError, match="batch 4 cannot be shared equally by 3"):
        plan(processes=3)


@pytest.mark.parametrize("first", [0, 1, 2, 3, 5, 8, 9])
def test_places_from_any_batch_on_are_the_rest(first):
    assert list(plan().places(first)) == list(plan().places(0))[first:]


def test_the_last_epochs_do_not_mix():
    mixing = [[place.mixing for place in places] for places in plan().places(0)]
    assert mixing == [[True] * 4] * 6 + [[False] * 4] * 3


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers_nor_on_where_they_begin(workers):
    augmenter = Augmenter(Painted(10), 64, Augmentation())
    here = list(load_batches(augmenter, plan(), workers=0))
    there = list(load_batches(augmenter, plan(), first=4, workers=workers))
    assert len(here) == 9
    assert len(there) == 5
    assert all(equal(*pair) for pair in zip(here[4:], there, strict=True))


def test_batches_of_processes_are_parts_of_the_whole_batch():
    augmenter = Augmenter(Painted(10), 64, Augmentation())
    whole = next(iter(load_batches(augmenter, plan())))
    parts = [next(iter(load_batches(augmenter, plan(rank=rank, processes=2)))) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.targets.boxes for part in parts]), whole.targets.boxes)
    assert torch.equal(parts[1].targets.pictures + 2, whole.targets.pictures[whole.targets.pictures >= 2])


def test_an_unreadable_picture_is_replaced_by_the_next_and_told():
    batches = list(load_batches(Augmenter(Painted(10, broken={3, 4}), 32, plain()), plan(epochs=1)))
    shown = [
        (index, batch.images[row, 0, 0, 0].item()) for batch in batches for row, index in enumerate(batch.indices)
    ]
    assert all(index == colour for index, colour in shown)
    assert not {3, 4} & {index for index, _ in shown}
    failures = [failure for batch in batches for failure in batch.failures]
    assert set(failures) == {"picture 3 is broken", "picture 4 is broken"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_disk_ends_it(workers):
    augmenter = Augmenter(Painted(30, broken=range(30)), 32, plain())
    with pytest.raises(ImageError) as caught:
        next(iter(load_batches(augmenter, plan(pictures=30), workers=workers)))
    message = str(caught.value)
    assert message.startswith("ten pictures in a row cannot be read; the last: picture ")
    assert "\n" not in message


def told_batches(augmenter, monkeypatch, **failing):
    said = []
    for name, value in failing.items():
        monkeypatch.setattr(*(torch.Tensor, name) if name == "share_memory_" else (loader, name), value)
    return list(load_batches(augmenter, plan(), workers=2, say=said.append)), said


def full(*_):
    raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")


def forbidden(*_):
    raise OSError(28, "No space left on device")


def test_batches_without_room_in_shared_memory_come_through_pipes_and_that_is_told(monkeypatch):
    augmenter = Augmenter(Painted(10), 64, Augmentation())
    here = list(load_batches(augmenter, plan()))
    there, said = told_batches(augmenter, monkeypatch, share_memory_=full)
    assert all(equal(*pair) for pair in zip(here, there, strict=True))
    assert len(said) == 1
    assert "no room for batches of 0.0 MB: they come through pipes" in said[0]


def test_where_no_worker_can_be_started_batches_are_prepared_here(monkeypatch):
    augmenter = Augmenter(Painted(10), 64, Augmentation())
    here = list(load_batches(augmenter, plan()))
    there, said = told_batches(augmenter, monkeypatch, Lock=forbidden)
    assert all(equal(*pair) for pair in zip(here, there, strict=True))
    assert len(said) == 1
    assert "(No space left on device): they are prepared between steps" in said[0]


def test_a_program_that_a_worker_imports_does_not_train_again(monkeypatch):
    refuse_second_import()
    monkeypatch.setattr(current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit, match='below `if __name__ == "__main__":`'):
        refuse_second_import()


def test_a_worker_that_never_began_is_told_the_guard(monkeypatch):
    monkeypatch.setattr(loader, "get_start_method", lambda: "spawn")
    with (
        pytest.raises(DataError, match=r"if it never began: .* below `if __name__ =="),
        deaths_in_words(),
    ):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    with pytest.raises(DataError, match="if memory ran out"), deaths_in_words():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


DEADLY = """
import os, signal
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.settings import plain
from lucidbox.core.errors import DataError
from lucidbox.train.loader import deaths_in_words, load_batches
from lucidbox.train.sampling_schedule import SamplingSchedule

class Deadly:
    def __len__(self):
        return 30

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)

try:
    with deaths_in_words():
        next(load_batches(Augmenter(Deadly(), 32, plain()), SamplingSchedule(30, 4, 1, 0, 0), workers=1))
except DataError as error:
    print(error)
"""


def test_a_worker_that_dies_is_told_in_words():
    # In a process of its own, in which no loader was before.
    done = subprocess.run([sys.executable, "-c", DEADLY], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.startswith("a process that prepares pictures died ")
    assert "use fewer workers" in done.stdout


def test_collate_numbers_boxes_by_their_picture():
    batches = list(load_batches(Augmenter(Painted(10), 32, plain()), plan(epochs=1)))
    for batch in batches:
        counts = torch.bincount(batch.targets.pictures, minlength=4).tolist()
        assert counts == [index % 3 for index in batch.indices]
        assert batch.images.shape == (4, 32, 32, 3)
        assert batch.targets.boxes.shape == (sum(counts), 4)


def test_a_batch_without_any_box():
    batch = next(iter(load_batches(Augmenter(Painted(1), 32, plain()), plan(pictures=1))))
    assert batch.targets.boxes.shape == (0, 4)
    assert batch.indices == (0, 0, 0, 0)
