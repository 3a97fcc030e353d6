"""Which known class a new one looks like, judged by what a network answers where the new one's objects are."""

from collections.abc import Sequence

import numpy as np

from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.errors import ImageError
from lucidbox.datasets.training.data import TrainingData
from lucidbox.detect.predictor import Predictor
from lucidbox.engines.torch import TorchEngine
from lucidbox.formats.dataset import DataSet
from lucidbox.model import Network

LOOKED_AT = 16
"""Pictures of each new class that are looked at."""


def likenesses(network: Network, data: TrainingData, size: int, sought: Sequence[int]) -> dict[int, int]:
    """For each new class the known one that a network believes in most where the new one's objects are.

    Args:
        network: in evaluation mode, on the processor.
        data: whose train part shows the new classes.
        size: longer side of the pictures as the network shall see them, pixels.
        sought: the new classes, by their ids in ``data``.

    Returns:
        Ids of the network's classes by those of ``sought`` that have an object in a picture that can be read.
    """
    believed = {new: np.zeros(network.classes) for new in sought}
    names = tuple(map(str, range(network.classes)))
    predictor = Predictor(TorchEngine(network, "fp32", device="cpu"), names, size=(size, size))
    samples = data.samples(size)
    for index in _showing(data.train, sought):
        try:
            sample = samples[index]
        except ImageError:  # training will say so
            continue
        if len(sample.boxes):
            (raw,) = predictor.infer([sample.image])
            boxes = raw.letterbox.restore(raw.boxes)
            at = raw.scores[pairwise_iou(sample.boxes, boxes).argmax(axis=1)]
            for new in believed.keys() & set(sample.classes.tolist()):
                believed[new] += at[sample.classes == new].sum(axis=0)
    return {new: int(sums.argmax()) for new, sums in believed.items() if sums.any()}


def _showing(dataset: DataSet, sought: Sequence[int]) -> list[int]:
    """The first pictures of each class, ascending."""
    present = dataset.presence()
    return sorted({index for new in sought for index in np.flatnonzero(present[:, new])[:LOOKED_AT].tolist()})
