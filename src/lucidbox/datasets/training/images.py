"""Annotated images read one by one and scaled for the network. No torch."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.errors import DataError, ImageError
from lucidbox.core.filesystem import stamp_of
from lucidbox.datasets.augment.sample import Sample
from lucidbox.detect.letterbox import Size, loaded_size
from lucidbox.formats.dataset import DataSet
from lucidbox.images.reading import read_image


@runtime_checkable
class Pictures(Protocol):
    """Images of a data set by number, at full size. Safe to be copied into worker processes."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """One image, RGB, upright.

        Raises:
            ImageError: it cannot be read; the message names it.
        """
        ...

    def name(self, index: int) -> str:
        """What messages call an image."""
        ...

    def stamp(self, index: int) -> str:
        """A text that changes when the image does."""
        ...


@dataclass(frozen=True)
class FilePictures:
    """Images that are files.

    Attributes:
        paths: of each image.
    """

    paths: tuple[str, ...]

    @classmethod
    def of(cls, dataset: DataSet) -> "FilePictures":
        """The images of a split, in its order.

        Raises:
            DataError: the folder of the images is not known.
        """
        return cls(tuple(str(dataset.path(index)) for index in range(len(dataset))))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """One image, RGB, upright.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(self.paths[index])

    def name(self, index: int) -> str:
        """The path of an image."""
        return self.paths[index]

    def stamp(self, index: int) -> str:
        """Path, length in bytes and time of the last change; the path alone where there is no file."""
        return stamp_of(self.paths[index])


class PictureSamples:
    """Images of one split of a data set with their objects, scaled so that the longer side is ``size``.

    Implements :class:`~lucidbox.datasets.augment.Samples`. What is copied into a worker process are names and
    boxes, no pixels.

    Args:
        dataset: the split. Its crowds are objects like any other here;
            :func:`~lucidbox.datasets.training.data.open_data` leaves them out.
        size: length of the longer side, pixels.
        pictures: the pixels of the split's images, in its order; by default its files.

    Raises:
        DataError: the folder of images or the size of one is not known, or there are not as many images.
    """

    def __init__(self, dataset: DataSet, size: int, pictures: Pictures | None = None) -> None:
        self.size = size
        self.pictures = FilePictures.of(dataset) if pictures is None else pictures
        if len(self.pictures) != len(dataset):
            raise DataError(f"{dataset.source}: {len(self.pictures)} pictures for {len(dataset)} annotated ones")
        unknown = np.flatnonzero((dataset.sizes <= 0).any(axis=1))
        if len(unknown):
            name = dataset.file_names[int(unknown[0])]
            raise DataError(f"{dataset.source}: {name}: its size is not stated; open the data with open_data")
        self.shapes: tuple[Size, ...] = tuple(
            loaded_size((height, width), size) for width, height in dataset.sizes.tolist()
        )
        self._stated = dataset.sizes
        self._first = np.searchsorted(dataset.pictures, np.arange(len(dataset) + 1))
        shown = np.array(self.shapes, np.int64).reshape(-1, 2)[:, ::-1]
        sides = np.tile(shown, 2)[dataset.pictures]
        gains = np.tile(shown / dataset.sizes, 2)[dataset.pictures]
        self._boxes = np.clip(xywh_to_xyxy(dataset.boxes_xywh) * gains, 0, sides).astype(np.float32)
        self._classes = dataset.classes.astype(np.int64)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.shapes)

    def __getitem__(self, index: int) -> Sample:
        """One image and its objects. The image cannot be written into.

        Raises:
            ImageError: it cannot be read, or is not of the size any more that its annotations state.
            IndexError: there is no such number.
        """
        return self.annotate(index, self.read(index))

    def read(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """Pixels of one image, scaled; they cannot be written into.

        Raises:
            ImageError: it cannot be read, or is not of the size any more that its annotations state.
            IndexError: there is no such number.
        """
        height, width = self.shapes[_checked(index, len(self))]
        image = self.pictures[index]
        stated = tuple(self._stated[index].tolist())
        if (image.shape[1], image.shape[0]) != stated:
            found = f"is {image.shape[1]}×{image.shape[0]}, annotated as {stated[0]}×{stated[1]}"
            raise ImageError(f"{self.pictures.name(index)}: {found}; its boxes do not fit")
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        image = image.view()  # the owner of the array may still write into it
        image.flags.writeable = False  # as in a cache's file
        return image

    def annotate(self, index: int, image: UInt8[np.ndarray, "h w 3"]) -> Sample:
        """The objects of an image, with its scaled pixels."""
        first, end = self._first[index], self._first[index + 1]
        return Sample(image, self._boxes[first:end].copy(), self._classes[first:end].copy())


def _checked(index: int, count: int) -> int:
    """The index, if it is one; numbers below 0 are not."""
    if not 0 <= index < count:
        raise IndexError(f"picture {index} of {count}")
    return index
