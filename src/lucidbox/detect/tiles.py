"""Where the tiles of an image lie: overlapping rectangles of one size, and the whole image once more.

Sizes alone decide (:meth:`Tiling.views`), before any pixel is touched; each view then goes the one path, and
:mod:`lucidbox.detect.merging` puts together what was found.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import Size, parse_sides
from lucidbox.detect.predictor import View

MOST_VIEWS = 4096
"""Views of one image; more are refused."""

SMALLEST = 32
"""Pixels of a tile's side; fewer show no object."""

AUTO_FROM = 1.5
"""An image whose sides are at most so many times the network's is not divided by "auto"."""


@dataclass(frozen=True)
class Tiling:
    """How images are divided.

    Attributes:
        size: height, width of a tile in pixels of the image; None, "auto", is the network's size, of images that
            are larger than :data:`AUTO_FROM` times that.
        overlap: the least share of its side that a tile has in common with the next.

    Example:
        >>> Tiling((640, 640)).views((1080, 1920), (640, 640))
    """

    size: Size | None = None
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if isinstance(self.overlap, bool) or not isinstance(self.overlap, (int, float, np.number)):
            raise OptionError(f"tile overlap {self.overlap!r} is not a number")
        if not 0 <= self.overlap < 1:
            raise OptionError(f"tile overlap {self.overlap:g} is not a share from 0 to below 1, such as 0.2")
        for side in self.size or ():
            if side < SMALLEST:
                raise OptionError(f"tiles of {side} pixels are too small: give at least {SMALLEST}")

    def views(self, image: Size, network: Size) -> tuple[View, ...]:
        """The whole image, then its tiles from top left; the whole alone where one tile would cover it.

        Tiles are all of one size and spread evenly; a tile that is larger than the image is cut to it.

        Args:
            image: height, width of the image.
            network: height, width of the largest network input.

        Raises:
            OptionError: there would be more than :data:`MOST_VIEWS`.
        """
        whole = View(0, 0, image[1], image[0])
        if self.size is None and all(side <= AUTO_FROM * net for side, net in zip(image, network, strict=True)):
            return (whole,)
        size = self.size or network
        rows, columns = (_count(side, tile, self.overlap) for side, tile in zip(image, size, strict=True))
        if rows * columns == 1:
            return (whole,)
        if rows * columns >= MOST_VIEWS:
            raise OptionError(
                f"{rows * columns} tiles of {size[0]},{size[1]} pixels in an image of {image[1]}x{image[0]}; at"
                f" most {MOST_VIEWS - 1} are taken: give larger tiles or less overlap"
            )
        height, width = min(size[0], image[0]), min(size[1], image[1])
        return whole, *(
            View(left, top, left + width, top + height)
            for top in _starts(image[0], height, rows)
            for left in _starts(image[1], width, columns)
        )


Tiles = int | str | Sequence[int] | Tiling | None
"""What callers may say of tiles; :func:`tiling_of` reads it."""


def tiling_of(tiles: Tiles, tile_overlap: float | None = None) -> Tiling | None:
    """The tiling of ``640``, ``"640"``, ``"384,640"`` (height, width), a pair or ``"auto"``; None without tiles.

    A tiling is given back as it is.

    Raises:
        OptionError: it is none of these, or out of range; or there is an overlap and there are no tiles.
    """
    if tiles is None or isinstance(tiles, Tiling):
        if tile_overlap is not None:
            raise OptionError("a tile overlap without tiles has no meaning: say tiles, too")
        return tiles
    share = Tiling.overlap if tile_overlap is None else tile_overlap
    if tiles == "auto":
        return Tiling(overlap=share)
    sides = parse_sides(tiles)
    if sides is None:
        raise OptionError(f"tiles {tiles!r}: give auto, one number of pixels, or HEIGHT,WIDTH, such as 640")
    return Tiling(sides, share)


def views_together(views: Sequence[View], most: int) -> Iterator[Sequence[View]]:
    """Views that may share an inference, at most so many: the whole image alone, then tiles, all of one size."""
    yield views[:1]
    for start in range(1, len(views), most):
        yield views[start : start + most]


def _count(side: int, tile: int, overlap: float) -> int:
    """How many tiles cover a side, each beginning at most a step after the one before."""
    step = max(1, math.floor(tile * (1 - overlap)))
    return 1 + max(0, math.ceil((side - tile) / step))


def _starts(side: int, tile: int, count: int) -> list[int]:
    """Where tiles begin: the first at 0, the last such that it ends with the side."""
    return [round(row * (side - tile) / max(1, count - 1)) for row in range(count)]
