"""Batches as tensors, prepared ahead by worker processes. :mod:`lucidbox.train.sampling_schedule` says of which pictures."""

import atexit
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lucidbox.augment.pipeline import Augmenter
from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import DataError, ImageError
from lucidbox.train.losses import Targets
from lucidbox.train.sampling_schedule import Prepared, SampleIndex, SamplingSchedule, prepare
from lucidbox.train.signals import SIGNALS

_NAME = f"{ImageError.__module__}.{ImageError.__qualname__}"


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures as the network shall see them, and their true boxes.

    Attributes:
        images: RGB.
        targets: boxes in pixels of ``images``.
        indices: number of each picture in the data set.
        failures: what could not be read, in sentences; other pictures took its place.
    """

    images: UInt8[Tensor, "b h w 3"]
    targets: Targets
    indices: tuple[int, ...]
    failures: tuple[str, ...] = ()

    def pin_memory(self) -> "Batch":
        """In memory that a graphics card can fetch by itself; torch's loader calls this by its name."""
        targets = Targets(*(part.pin_memory() for part in _parts(self.targets)))
        return Batch(self.images.pin_memory(), targets, self.indices, self.failures)


class Preparing(Dataset[Prepared]):
    """Pictures by place, prepared for the network."""

    def __init__(self, augmenter: Augmenter, pictures: int, seed: int) -> None:
        self.augmenter = augmenter
        self.pictures = pictures
        self.seed = seed

    def __getitem__(self, place: SampleIndex) -> Prepared:
        """See :func:`lucidbox.train.sampling_schedule.prepare`."""
        return prepare(self.augmenter, place, self.pictures, self.seed)


class _From(Sampler[list[SampleIndex]]):
    """Places from one batch of the training to its end, for torch's loader."""

    def __init__(self, plan: SamplingSchedule, first: int) -> None:
        self.plan, self.first = plan, first

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        return self.plan.places(self.first)


def load_batches(
    augmenter: Augmenter, plan: SamplingSchedule, *, first: int = 0, workers: int = 0, pin: bool = False
) -> Iterator[Batch]:
    """This process's part of every batch, to the end of the training.

    Args:
        augmenter: makes a sample of the network's input size of each picture.
        plan: which picture is seen when.
        first: batch of the training to begin with, for one that is resumed.
        workers: processes that prepare batches ahead; with 0 they are prepared when asked for.
        pin: put them into memory that a graphics card can fetch by itself.

    Raises:
        ImageError: so many pictures in a row cannot be read that the disk must be broken.
    """
    options: dict[str, Any] = {"worker_init_fn": _begin_worker, "prefetch_factor": 3} if workers else {}
    loader = DataLoader(
        Preparing(augmenter, plan.pictures, plan.seed),
        batch_sampler=_From(plan, first),
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        **options,
    )
    before = set(active_children())
    batches = iter(loader)
    if workers:
        atexit.register(_end, set(active_children()) - before)
    try:
        yield from batches
    except ImageError as error:
        # From a worker it comes with the worker's traceback before it.
        raise ImageError(str(error).strip().splitlines()[-1].removeprefix(f"{_NAME}: ")) from None


def _end(workers: set[BaseProcess]) -> None:
    """At Python's end, which would ask workers that are left to terminate, and wait: they do not hear."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would take their end for an accident
    for worker in workers:
        worker.kill()


@contextmanager
def deaths_in_words() -> Iterator[None]:
    """Turn torch's word of a worker's death, which may come at any moment while the block runs, into ours.

    Raises:
        DataError: a worker died.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise DataError(
            f"a process that prepares pictures died ({str(error).splitlines()[0]}); if memory ran out, use fewer"
            " workers or a smaller batch"
        ) from error


def collate(prepared: Sequence[Prepared]) -> Batch:
    """One batch of samples of equal size."""
    samples = [one.sample for one in prepared]
    counts = torch.tensor([len(sample.classes) for sample in samples])
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        targets=Targets(
            pictures=torch.arange(len(samples)).repeat_interleave(counts),
            classes=torch.from_numpy(np.concatenate([sample.classes for sample in samples])),
            boxes=torch.from_numpy(np.concatenate([sample.boxes for sample in samples])),
        ),
        indices=tuple(one.picture for one in prepared),
        failures=tuple(failure for one in prepared for failure in one.failures),
    )


def _begin_worker(worker: int) -> None:
    """A worker is one thread. Who stops a training signals all its processes: their parent alone decides."""
    cv2.setNumThreads(0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _parts(targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    return targets.pictures, targets.classes, targets.boxes
