"""Which picture is seen when, and what is done to it: fixed by a seed. No torch.

Every picture of every batch has a number of its own, its place in the whole training; what happens to it is drawn
from (seed, place). So any worker of any process can prepare it, at any time, with the same result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lucidbox.augment.pipeline import Augmenter
from lucidbox.augment.sample import Sample
from lucidbox.core.array_types import Int
from lucidbox.core.errors import ImageError, OptionError

ORDER, AUGMENTATION = 0, 1
"""Streams of random numbers: the order of an epoch's pictures, and what is done to each."""


class SampleIndex(NamedTuple):
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
class SamplingSchedule:
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

    def places(self, first: int) -> Iterator[list[SampleIndex]]:
        """This process's part of every batch, from the ``first`` batch of the training on."""
        share = self.batch // self.processes
        mine = slice(self.rank * share, (self.rank + 1) * share)
        for epoch in range(first // self.batches, self.epochs):
            order = self.order(epoch)
            positions = np.arange(order.size).reshape(order.shape)
            start = first % self.batches if epoch == first // self.batches else 0
            for row in range(start, self.batches):
                pairs = zip(positions[row, mine].tolist(), order[row, mine].tolist(), strict=True)
                yield [SampleIndex(epoch, *pair, mixing=epoch < self.mixed_epochs) for pair in pairs]


class Prepared(NamedTuple):
    """A sample, the picture it is of, and what could not be read on the way."""

    sample: Sample
    picture: int
    failures: tuple[str, ...]


def prepare(augmenter: Augmenter, place: SampleIndex, pictures: int, seed: int) -> Prepared:
    """One picture; where it or one that is mixed in cannot be read, the next takes its place.

    A file that breaks in the middle of a week's training must not end it, but never goes unsaid.

    Raises:
        ImageError: ten in a row cannot be read: the disk, not a file, is broken.
    """
    failures: list[str] = []
    for attempt in range(10):
        index = (place.picture + attempt) % pictures
        random = np.random.default_rng((seed, AUGMENTATION, place.epoch, place.position, attempt))
        try:
            return Prepared(augmenter(index, random, mixing=place.mixing), index, tuple(failures))
        except ImageError as error:
            failures.append(str(error))
    raise ImageError(f"ten pictures in a row cannot be read; the last: {failures[-1]}")
