"""Decoded and scaled images in one memory-mapped file, shared by all processes that read it. No torch.

The files have a name made of all that the pixels come from, so that changed images or another size make another
cache; :mod:`lucidbox.datasets.training.cache_files` says what is in them.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lucidbox.core.array_types import Int64, UInt8
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import output_error
from lucidbox.core.locking import alone_in
from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.augment.sample import Sample
from lucidbox.datasets.training.cache_files import (
    CACHE_FORMAT,
    UNREADABLE,
    CacheFiles,
    make_room,
    remove_pending,
)
from lucidbox.datasets.training.images import PictureSamples


class CachedSamples:
    """The same samples as those it was made of, bit for bit; most pixels come from the cache's file.

    Implements :class:`~lucidbox.datasets.augment.Samples`. A copy in another process maps the file anew. Should it
    be gone by then, because another training needed the room, images are read: slower, but the same.

    Attributes:
        samples: where images are read that the file lacks: beyond the bound, or unreadable when it was made.
        path: the file with the pixels.
        cached: number of images in it.
    """

    def __init__(self, samples: PictureSamples, files: CacheFiles, checksums: Sequence[int]) -> None:
        self.samples = samples
        self.path = files.pixels
        self._files = files
        self._there = np.array([checksum != UNREADABLE for checksum in checksums], bool)
        self.cached = int(self._there.sum())
        self._pixels: UInt8[np.ndarray, " n"] | None = files.mapped()

    def __getstate__(self) -> dict[str, Any]:
        """All but the mapped file, which would be copied."""
        return {**self.__dict__, "_pixels": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The same, with the file mapped anew."""
        self.__dict__.update(state)
        self._pixels = self._files.mapped()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """One image and its objects. The image lies in the file and cannot be written into.

        Raises:
            ImageError: it is not in the cache and cannot be read.
            IndexError: there is no such number.
        """
        if self._pixels is None or not (0 <= index < len(self._there) and self._there[index]):
            return self.samples[index]
        pixels = self._pixels[self._files.place(index)]
        return self.samples.annotate(index, pixels.reshape(*self.samples.shapes[index], 3))


def build_cache(
    samples: PictureSamples, folder: str | Path, limit_bytes: int, progress: Progress = no_progress
) -> CachedSamples:
    """Make a cache of decoded and scaled images, or use the existing one.

    What is there is checked to the last byte, and made anew if it is damaged. Images that cannot be read are
    not in it: reading them fails as it would without. Where another process makes a cache in this folder, this
    one waits for it: it may be the same one.

    Args:
        samples: what to keep.
        folder: where; made if need be. Older caches in it are removed, the longest unused first, until all are
            within the bound.
        limit_bytes: bound of all caches in the folder. Images beyond it, the last ones, are read each time.
        progress: shows the images, both when they are made and when they are checked.

    Raises:
        OutputError: the folder cannot be written or the disk is full; then nothing new is left in it.
    """
    folder = Path(folder)
    ends = _ends(samples)
    ends = ends[: int(np.searchsorted(ends, limit_bytes, side="right"))]
    files = CacheFiles(folder / f"pictures-{_identity(samples, len(ends))}.bin", ends)
    checksums = files.checksums(progress)
    if checksums is None:
        checksums = _make(samples, files, limit_bytes, progress)
    else:
        make_room(files, limit_bytes)
        with suppress(OSError):  # a folder that can only be read
            os.utime(files.pixels)  # the time of its last use, by which older ones go
    return CachedSamples(samples, files, checksums)


def _make(samples: PictureSamples, files: CacheFiles, limit_bytes: int, progress: Progress) -> list[int]:
    folder = files.pixels.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    with alone_in(folder) as alone:
        checksums = files.checksums(progress)  # another process may have made it meanwhile
        if checksums is not None:
            return checksums
        if alone:
            remove_pending(folder)
        make_room(files, limit_bytes)
        try:
            return files.write(samples, progress)
        except OutputError as error:
            raise OutputError(f"{error}, or train with a smaller cache_gb") from error


def _ends(samples: PictureSamples) -> Int64[np.ndarray, " n"]:
    """Where each image's pixels end in the file, were all in it."""
    return np.cumsum([height * width * 3 for height, width in samples.shapes], dtype=np.int64)


def _identity(samples: PictureSamples, count: int) -> str:
    """A name for all that the pixels of the first so many images depend on, decoders included."""
    import PIL

    origin = (CACHE_FORMAT, cv2.__version__, PIL.__version__, samples.size, count)
    total = hashlib.sha256(("\0".join(map(str, origin)) + "\1").encode())
    for index in range(count):
        height, width = samples.shapes[index]
        text = f"{samples.pictures.stamp(index)}\0{height}\0{width}\1"
        total.update(text.encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:32]
