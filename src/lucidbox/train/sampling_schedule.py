"""The order of the images in a training, and their augmentation, both determined by a seed. No torch.

Every image of every batch has its own index in the whole training, and the random numbers of its augmentation
depend on (seed, index) alone. So any worker of any process can prepare it, at any time, with the same result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.errors import ImageError, OptionError
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.sample import Sample

ORDER, AUGMENTATION = 0, 1
"""Streams of random numbers: one for the order of an epoch's images, one for their augmentation."""


class SampleIndex(NamedTuple):
    """The index of one image in a training.

    Attributes:
        epoch: the epoch, from 0.
        position: its position in the epoch.
        picture: its number in the data set.
        mixing: whether it may be mixed with others (mosaic, mixup, copy-paste).
    """

    epoch: int
    position: int
    picture: int
    mixing: bool


@dataclass(frozen=True)
class SamplingSchedule:
    """The order of the images in a training.

    An epoch is a new random order of all images; its last batch is filled up from its beginning.

    Attributes:
        pictures: number of images in the data set.
        batch: images in a batch, over all processes.
        epochs: epochs of the whole training.
        mixed_epochs: number of epochs, from the first, in which images may be mixed.
        seed: seed of the order and of the augmentation.
        rank: number of this process.
        processes: number of processes; each has an equal part of every batch.

    Raises:
        OptionError: the batch cannot be divided equally.

    Example:
        >>> plan = SamplingSchedule(pictures=100, batch=16, epochs=3, mixed_epochs=2, seed=0)
        >>> next(plan.places(0))[0]     # the first image of the first batch
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
        """Number of batches in an epoch."""
        return -(-self.pictures // self.batch)

    def order(self, epoch: int) -> Int[np.ndarray, "batches b"]:
        """The images of each batch of an epoch, over all processes."""
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
    """A sample, the number of its image, and messages about images that could not be read."""

    sample: Sample
    picture: int
    failures: tuple[str, ...]


def prepare(augmenter: Augmenter, place: SampleIndex, pictures: int, seed: int) -> Prepared:
    """The sample at one index; if the image or one that is mixed in cannot be read, that of the next image.

    A file that becomes unreadable must not end a long training, but is always reported.

    Raises:
        ImageError: ten in a row cannot be read, so the disk and not a file must be broken.
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
