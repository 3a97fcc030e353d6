"""Annotated pictures made fit to be learnt from: opened, checked, scaled, kept in memory-mapped files. No torch.

>>> from lucidbox.samples import open_data
>>> data = open_data("data.yaml", classes=["person", "car"])
>>> samples = data.samples(640)
"""

from lucidbox.samples.cache import CachedSamples, build_cache
from lucidbox.samples.dataset import TrainingData, describe, identity, open_data
from lucidbox.samples.pictures import PictureSamples

__all__ = ["CachedSamples", "PictureSamples", "TrainingData", "build_cache", "describe", "identity", "open_data"]
