"""Batches in an order that a seed fixes, whatever the number of workers, the process, or where a run was resumed.

Every picture of every batch has a number of its own, its place in the whole training; what happens to it is drawn
from (seed, place). So any worker of any process can prepare it, at any time, with the same result.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lucidbox.augment.pipeline import Augmenter
from lucidbox.augment.sample import Sample
from lucidbox.errors import DataError, ImageError, OptionError
from lucidbox.shapes import Int, UInt8
from lucidbox.train.losses import Targets

_NAME = f"{ImageError.__module__}.{ImageError.__qualname__}"

ORDER, AUGMENTATION = 0, 1
"""Streams of random numbers: the order of an epoch's pictures, and what is done to each."""


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


class Place(NamedTuple):
    """One picture's place in a training.

    Attributes:
        epoch: from 0.
        position: in the epoch.
        picture: its number in the data set.
        mixing: whether it may be mixed with others (mosaic, mixup, copy-paste).
    """

    epoch: int
    position: int
    picture: int
    mixing: bool


@dataclass(frozen=True)
class Plan:
    """Which picture is seen when.

    An epoch is a new random order of all pictures; its last batch is filled up from its beginning.

    Attributes:
        pictures: of the data set.
        batch: pictures of a batch, over all processes.
        epochs: of the whole training.
        mixed_epochs: the first so many may mix pictures.
        seed: of the order and of augmentation.
        rank: which process this is.
        processes: how many there are; each takes an equal part of every batch.

    Raises:
        OptionError: the batch cannot be shared equally.
    """

    pictures: int
    batch: int
    epochs: int
    mixed_epochs: int
    seed: int
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.processes:
            raise OptionError(f"batch {self.batch} cannot be shared equally by {self.processes} processes")

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.pictures // self.batch)

    def order(self, epoch: int) -> Int[np.ndarray, "batches b"]:
        """Pictures of each batch of an epoch, over all processes."""
        shuffled = np.random.default_rng((self.seed, ORDER, epoch)).permutation(self.pictures)
        return np.resize(shuffled, (self.batches, self.batch))

    def places(self, first: int) -> Iterator[list[Place]]:
        """This process's part of every batch, from the ``first`` batch of the training on."""
        share = self.batch // self.processes
        mine = slice(self.rank * share, (self.rank + 1) * share)
        for epoch in range(first // self.batches, self.epochs):
            order = self.order(epoch)
            positions = np.arange(order.size).reshape(order.shape)
            start = first % self.batches if epoch == first // self.batches else 0
            for row in range(start, self.batches):
                pairs = zip(positions[row, mine].tolist(), order[row, mine].tolist(), strict=True)
                yield [Place(epoch, *pair, mixing=epoch < self.mixed_epochs) for pair in pairs]


class Prepared(NamedTuple):
    """A sample, the picture it is of, and what could not be read on the way."""

    sample: Sample
    picture: int
    failures: tuple[str, ...]


class Preparing(Dataset[Prepared]):
    """Pictures by place, prepared for the network."""

    def __init__(self, augmenter: Augmenter, pictures: int, seed: int) -> None:
        self.augmenter = augmenter
        self.pictures = pictures
        self.seed = seed

    def __getitem__(self, place: Place) -> Prepared:
        """One picture; where it or one that is mixed in cannot be read, the next takes its place.

        A file that breaks in the middle of a week's training must not end it, but never goes unsaid.

        Raises:
            ImageError: ten in a row cannot be read: the disk, not a file, is broken.
        """
        failures: list[str] = []
        for attempt in range(10):
            index = (place.picture + attempt) % self.pictures
            random = np.random.default_rng((self.seed, AUGMENTATION, place.epoch, place.position, attempt))
            try:
                return Prepared(self.augmenter(index, random, mixing=place.mixing), index, tuple(failures))
            except ImageError as error:
                failures.append(str(error))
        raise ImageError(f"ten pictures in a row cannot be read; the last: {failures[-1]}")


class _From(Sampler[list[Place]]):
    """Places from one batch of the training to its end, for torch's loader."""

    def __init__(self, plan: Plan, first: int) -> None:
        self.plan, self.first = plan, first

    def __iter__(self) -> Iterator[list[Place]]:
        return self.plan.places(self.first)


def load(
    augmenter: Augmenter, plan: Plan, *, first: int = 0, workers: int = 0, pin: bool = False
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
        DataError: a worker died.
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
    try:
        yield from loader
    except ImageError as error:
        # From a worker it comes with the worker's traceback before it.
        raise ImageError(str(error).strip().splitlines()[-1].removeprefix(f"{_NAME}: ")) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
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
    """A worker is one thread, and leaves Ctrl-C to its parent, which ends it when all is saved."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _parts(targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    return targets.pictures, targets.classes, targets.boxes
