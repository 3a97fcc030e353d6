"""From a data set's image to the network's input in training."""

import numpy as np

from lucidbox.datasets.augment.canvas import compose, fitted, letterboxed
from lucidbox.datasets.augment.colour import change_colours, random_gains
from lucidbox.datasets.augment.geometry import flip_horizontal, flip_vertical, random_affine
from lucidbox.datasets.augment.mixing import copy_paste, mixup
from lucidbox.datasets.augment.mosaic import mosaic_tiles, random_centre
from lucidbox.datasets.augment.sample import Sample, Samples
from lucidbox.datasets.augment.settings import Augmentation


class Augmenter:
    """Augmented samples of a data set: mosaic and affine map, copy-paste, mixup, colours, flips, in this order.

    Holds no state: a sample follows from the index and the generator's state alone, bit for bit, so that any
    worker process may make it.

    Example:
        >>> augmenter = Augmenter(samples, 640, Augmentation())
        >>> sample = augmenter(12, np.random.default_rng([seed, epoch, 12]))
    """

    def __init__(self, samples: Samples, size: int, settings: Augmentation) -> None:
        """Take the images to draw from.

        Args:
            samples: one at least. Their longer side is best ``size`` already; others are resized.
            size: side of the square network input, pixels, an even number.
            settings: how strongly images are changed.
        """
        self.samples = samples
        self.size = size
        self.settings = settings

    def __call__(self, index: int, rng: np.random.Generator, *, mixing: bool = True) -> Sample:
        """One image, changed at random.

        Args:
            index: of the image; where there are several in one, of one of them.
            rng: the only source of randomness.
            mixing: allow mosaic, mixup and copy-paste; the last epochs of a training go without.

        Returns:
            A new array of ``size × size`` pixels, contiguous, and the boxes in it that are more than 2 pixels
            wide and high and of which more than a tenth is visible.

        Raises:
            ImageError: an image cannot be read.
        """
        settings = self.settings
        sample = self._mixed(index, rng) if mixing else self._single(index, rng)
        gains = random_gains(rng, settings.hue, settings.saturation, settings.value)
        sample = Sample(change_colours(sample.image, gains), sample.boxes, sample.classes)
        if rng.random() < settings.flip_horizontal:
            sample = flip_horizontal(sample)
        if rng.random() < settings.flip_vertical:
            sample = flip_vertical(sample)
        return sample

    def _mixed(self, index: int, rng: np.random.Generator) -> Sample:
        """One sample, or two blended."""
        sample = self._pasted(index, rng)
        if rng.random() < self.settings.mixup:
            sample = mixup(sample, self._pasted(self._any(rng), rng), rng)
        return sample

    def _pasted(self, index: int, rng: np.random.Generator) -> Sample:
        """A mosaic or a single image, with or without boxes of another image on it."""
        mosaic = rng.random() < self.settings.mosaic
        sample = self._mosaic(index, rng) if mosaic else self._single(index, rng)
        if rng.random() < self.settings.copy_paste:
            sample = copy_paste(sample, self._single(self._any(rng), rng))
        return sample

    def _mosaic(self, index: int, rng: np.random.Generator) -> Sample:
        """Four images: this one and any three, in any order."""
        indices = [index, self._any(rng), self._any(rng), self._any(rng)]
        order = rng.permutation(4).tolist()
        centre = random_centre(rng, self.size)
        affine = random_affine(rng, self.settings, 2 * self.size, self.size)
        shuffled = [indices[place] for place in order]
        tiles = mosaic_tiles(self.samples, shuffled, centre, self.size, affine.window)
        return compose(tiles, affine, self.size)

    def _single(self, index: int, rng: np.random.Generator) -> Sample:
        """One image, letterboxed."""
        affine = random_affine(rng, self.settings, self.size, self.size)
        tile = letterboxed(fitted(self.samples[index], self.size), self.size)
        return compose([tile], affine, self.size)

    def _any(self, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self.samples)))
