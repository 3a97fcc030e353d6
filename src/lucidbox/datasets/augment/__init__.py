"""Augmentation: training images changed at random, with boxes that follow exactly. NumPy and OpenCV only.

>>> from lucidbox.datasets.augment import Augmentation, Augmenter
>>> augmenter = Augmenter(samples, 640, Augmentation(mosaic=0.5))
>>> sample = augmenter(0, np.random.default_rng(0))

The one path of pixels: read → fitted to the canvas → drawn in the affine map's window → one resize or warp →
colours → flips. Nothing global is touched: who runs this in several processes limits OpenCV's threads there.
"""

from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.sample import Sample, Samples
from lucidbox.datasets.augment.settings import Augmentation, plain
from lucidbox.datasets.augment.sheet import contact_sheet

__all__ = [
    "Augmentation", "Augmenter", "Sample", "Samples", "contact_sheet", "plain", "pipeline", "sample", "settings",
]  # fmt: skip
