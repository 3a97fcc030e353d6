"""Batches as tensors, prepared ahead by worker processes."""

import atexit
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import Lock, active_children, current_process, get_start_method
from multiprocessing.process import BaseProcess
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import DataError, ImageError
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.train.losses import Targets
from lucidbox.train.sampling_schedule import Prepared, SampleIndex, SamplingSchedule, prepare
from lucidbox.train.signals import SIGNALS

GUARD = 'the program that trains must start it below `if __name__ == "__main__":`, since workers import it, too'
"""What to do where Python starts processes by importing the program once more: not on Linux before Python 3.14."""

_NAME = f"{ImageError.__module__}.{ImageError.__qualname__}"


@dataclass(frozen=True, eq=False)
class Batch:
    """Images as the network receives them, and their true boxes.

    Attributes:
        images: RGB.
        targets: boxes in pixels of ``images``.
        indices: number of each image in the data set.
        failures: messages about images that could not be read and were replaced by others.
    """

    images: UInt8[Tensor, "b h w 3"]
    targets: Targets
    indices: tuple[int, ...]
    failures: tuple[str, ...] = ()

    def pin_memory(self) -> "Batch":
        """A copy in page-locked memory, which is copied to a graphics card faster; called by torch's loader."""
        return Batch(self.images.pin_memory(), self.targets.map(Tensor.pin_memory), self.indices, self.failures)


class _Samples(Dataset[Prepared]):
    """Prepared images by their index in the training, for torch's loader."""

    def __init__(self, augmenter: Augmenter, plan: SamplingSchedule) -> None:
        self.augmenter, self.pictures, self.seed = augmenter, plan.pictures, plan.seed

    def __getitem__(self, index: SampleIndex) -> Prepared:
        return prepare(self.augmenter, index, self.pictures, self.seed)


class _Batches(Sampler[list[SampleIndex]]):
    """Indices of all batches from one to the end of the training, for torch's loader."""

    def __init__(self, plan: SamplingSchedule, first: int) -> None:
        self.schedule, self.first = plan, first

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        return self.schedule.places(self.first)


def load_batches(
    augmenter: Augmenter,
    plan: SamplingSchedule,
    *,
    first: int = 0,
    workers: int = 0,
    pin: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> Iterator[Batch]:
    """This process's part of every batch, to the end of the training.

    Args:
        augmenter: makes a sample of the network's input size from each image.
        plan: the order of the images.
        first: batch of the training to begin with, for a resumed one.
        workers: processes that prepare batches ahead; with 0 each batch is prepared when it is needed.
        pin: put batches into page-locked memory, for graphics cards.
        say: told where workers cannot be started, or cannot hand over batches in shared memory.

    Raises:
        ImageError: so many images in a row cannot be read that the disk must be broken.
        DataError: a worker cannot import the program that trains.
    """
    begin = partial(DataLoader, _Samples(augmenter, plan), batch_sampler=_Batches(plan, first), pin_memory=pin)
    if not workers:
        return _arriving(iter(begin(collate_fn=collate)), say)
    # Begun here, not at the first batch: an exception at that time could leave workers behind.
    before = set(active_children())
    options: dict[str, Any] = {"num_workers": workers, "prefetch_factor": 3, "worker_init_fn": _begin_worker}
    try:
        [Lock() for _ in range(8 + 3 * workers)]  # as many as the loader makes, which reports a failure less well
        with _deaths_found_when_waiting():
            batches = iter(begin(collate_fn=_collate_shared, **options))
    except (EOFError, ConnectionError):  # the server that forks workers has ended while it imported the program
        raise DataError(f"no process to prepare pictures can be started: {GUARD}") from None
    except OSError as error:  # no room for its locks in /dev/shm, no more processes allowed
        _end(set(active_children()) - before)
        reason = error.strerror or error
        say(f"no process to prepare pictures can be started ({reason}): they are prepared between steps, slower")
        return load_batches(augmenter, plan, first=first, pin=pin)
    atexit.register(_end, set(active_children()) - before)
    return _arriving(batches, say)


def _arriving(batches: Iterator[Any], say: Callable[[str], None]) -> Iterator[Batch]:
    """Batches as a loader gives them, those that came through a pipe unpacked."""
    piped = False
    try:
        for batch in batches:
            if not isinstance(batch, Batch):
                images, *targets, indices, failures = batch
                batch = Batch(
                    torch.from_numpy(images), Targets(*map(torch.from_numpy, targets)), indices, failures
                )
                if not piped:
                    say(
                        f"shared memory (/dev/shm) has no room for batches of {images.nbytes / 1e6:.1f} MB: they"
                        " come through pipes, slower; docker run --shm-size=1g gives more"
                    )
                piped = True
            yield batch
    except ImageError as error:
        # An error from a worker has the worker's traceback before it.
        raise ImageError(str(error).strip().splitlines()[-1].removeprefix(f"{_NAME}: ")) from None


def _end(workers: set[BaseProcess]) -> None:
    """Kill workers that are left when Python exits: it would wait for them, but they ignore its signal."""
    for worker in workers:
        worker.kill()


@contextmanager
def _deaths_found_when_waiting() -> Iterator[None]:
    """Undo the signal handler that torch sets for the deaths of workers in the block.

    It raises wherever the program is, also between taking and using the lock of a queue, for which torch would
    then wait for ever. Without it a death is found within five seconds of waiting for a batch.
    """
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)


def refuse_second_import() -> None:
    """End this process if it only imports the program that trains, in order to become a worker of that training.

    Raises:
        SystemExit: with the remedy. No caller in such a program has use for another error.
    """
    if getattr(current_process(), "_inheriting", False):  # as multiprocessing itself finds it out
        raise SystemExit(f"lucidbox: error: {GUARD}")


@contextmanager
def deaths_in_words() -> Iterator[None]:
    """Turn torch's error about the death of a worker, which comes while a batch is awaited, into ours.

    Raises:
        DataError: a worker died.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        reason, remedy = str(error).splitlines()[0], "if memory ran out, use fewer workers or a smaller batch"
        if get_start_method() != "fork":
            remedy += f"; if it never began: {GUARD}"
        raise DataError(f"a process that prepares pictures died ({reason}); {remedy}") from None


def collate(prepared: Sequence[Prepared]) -> Batch:
    """A batch of samples of equal size."""
    samples = [entry.sample for entry in prepared]
    counts = torch.tensor([len(sample.classes) for sample in samples])
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        targets=Targets(
            pictures=torch.arange(len(samples)).repeat_interleave(counts),
            classes=torch.from_numpy(np.concatenate([sample.classes for sample in samples])),
            boxes=torch.from_numpy(np.concatenate([sample.boxes for sample in samples])),
        ),
        indices=tuple(entry.picture for entry in prepared),
        failures=tuple(failure for entry in prepared for failure in entry.failures),
    )


def _collate_shared(prepared: Sequence[Prepared]) -> Any:
    """In a worker: a batch in shared memory, or where that has no room its arrays, which go through a pipe.

    torch would move it there later, in a thread whose error nobody hears: the batch would be waited for for ever.
    """
    batch = collate(prepared)
    tensors = (batch.images, *vars(batch.targets).values())
    try:
        for tensor in tensors:
            if tensor.numel():
                tensor.share_memory_()
    except (RuntimeError, OSError):
        return (*(tensor.numpy() for tensor in tensors), batch.indices, batch.failures)
    return batch


def _begin_worker(worker: int) -> None:
    """Set up a worker: one thread, and signals ignored, because the training's process decides when to stop."""
    cv2.setNumThreads(0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
