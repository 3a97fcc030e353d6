"""Mosaic: four images around one point (Bochkovskiy et al., YOLOv4, 2020, section 3.3)."""

from collections.abc import Sequence

import numpy as np

from lucidbox.datasets.augment.canvas import Tile, fitted, intersection
from lucidbox.datasets.augment.geometry import Rectangle
from lucidbox.datasets.augment.sample import Samples


def random_centre(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Where the four images meet: x, y uniform in half to one and a half times ``size``, whole pixels."""
    x, y = rng.integers(size // 2, size + size // 2, 2, endpoint=True).tolist()
    return x, y


def mosaic_tiles(
    samples: Samples, indices: Sequence[int], centre: tuple[int, int], size: int, window: Rectangle
) -> list[Tile]:
    """Four images on a canvas of twice ``size``, each with a corner at the centre.

    Images whose quarter of the canvas lies outside the window are not even read: about one in ten with the
    published settings.

    Args:
        samples: the images.
        indices: of the images left above, right above, left below and right below.
        centre: x, y of where they meet.
        size: length of each image's longer side, pixels.
        window: the part of the canvas that will be seen.
    """
    x, y = centre
    side = 2 * size
    quarters = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
    tiles = []
    for index, quarter in zip(indices, quarters, strict=True):
        left, top, right, bottom = intersection(quarter, window)
        if left >= right or top >= bottom:
            continue
        sample = fitted(samples[index], size)
        height, width = sample.image.shape[:2]
        left = x if quarter[0] == x else x - width
        top = y if quarter[1] == y else y - height
        tiles.append(Tile(sample, left, top, quarter))
    return tiles
