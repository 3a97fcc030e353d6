"""What a detector is given: an image in any form becomes pixels, a source in any form items of a stream."""

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError, OptionError
from lucidbox.images.reading import ImageSource, read_image
from lucidbox.sources import Failure, LazyItem, Picture, Sources, open_sources
from lucidbox.sources.items import lazy

Color = Literal["rgb", "bgr"]
"""Channel order of an array."""


def pixels_of(picture: Any, color: Color) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels of an image in any form that a :class:`Detector` takes."""
    if isinstance(picture, Picture):
        return picture.pixels
    if type(picture).__module__.startswith("PIL."):  # asked without importing Pillow
        from lucidbox.images.pixels import from_pillow

        return from_pillow(picture)
    if isinstance(picture, ImageSource):
        return read_image(picture)
    from lucidbox.images.pixels import to_rgb

    return to_rgb(np.asarray(picture), color)


def _picture_of(file: ImageSource, number: int) -> Picture | Failure:
    """The image that bytes or an open file hold; without a name of its own it is called by its number."""
    stated = getattr(file, "name", None)
    name = stated if isinstance(stated, str) else f"image-{number}"
    try:
        return Picture(read_image(file, name=name), name, Path(name).name)
    except ImageError as error:
        return Failure(name, error)


def lazy_items(source: Any) -> Generator[LazyItem, None, None]:
    """Items of anything that :meth:`Detector.stream` takes, each read when it is called.

    Raises:
        OptionError: an item is neither an image nor the name of one.
    """
    if isinstance(source, Sources):
        yield from source.lazy_items()
        return
    for number, item in enumerate(source):
        if isinstance(item, (str, Path)):
            yield from open_sources(item).lazy_items()
        elif isinstance(item, (Picture, Failure)):
            yield lazy(item)
        elif isinstance(item, ImageSource) and not type(item).__module__.startswith("PIL."):
            yield partial(_picture_of, item, number)
        else:
            raise OptionError(
                f"a stream takes names, pictures of lucidbox.sources, or what open_sources gives, not"
                f" {type(item).__name__}; for arrays call the detector itself"
            )
