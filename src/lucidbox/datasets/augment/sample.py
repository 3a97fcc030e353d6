"""One annotated image in memory, which augmentations take and return."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import Float32, Int64, UInt8


@dataclass(frozen=True, eq=False)
class Sample:
    """An image and its objects.

    Attributes:
        image: RGB.
        boxes: xyxy, in pixels of ``image``, inside it.
        classes: class id of each box.
    """

    image: UInt8[np.ndarray, "h w 3"]
    boxes: Float32[np.ndarray, "n 4"]
    classes: Int64[np.ndarray, " n"]


@runtime_checkable
class Samples(Protocol):
    """Annotated images by number, each scaled so that its longer side has one common length.

    Safe to be copied into worker processes. Images are to be read, not written: they may lie in a shared file.
    """

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """One image.

        Raises:
            ImageError: it cannot be read; the message names it.
        """
        ...
