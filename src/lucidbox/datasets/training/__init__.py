"""Annotated images for training: opened, checked, scaled, kept in memory-mapped files. No torch.

>>> from lucidbox.datasets.training import open_data
>>> data = open_data("data.yaml", classes=["person", "car"])
>>> samples = data.samples(640)
"""

from lucidbox.datasets.training.cache import CachedSamples, build_cache
from lucidbox.datasets.training.data import TrainingData, describe_data, identity, open_data
from lucidbox.datasets.training.images import PictureSamples

__all__ = [
    "CachedSamples", "PictureSamples", "TrainingData", "build_cache", "describe_data", "identity", "open_data",
    "cache", "data",
]  # fmt: skip
