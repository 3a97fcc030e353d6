"""The files of a cache of images, and their disk space.

Two files with one name: ``pictures-HASH.bin`` has the pixels of one image after another, ``pictures-HASH.json``
the checksum of each. The JSON is written last: without it the pixels count as not there.
"""

import json
import os
import zlib
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from errno import EINVAL, EOPNOTSUPP
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from lucidbox.core.array_types import Int64, UInt8
from lucidbox.core.errors import ImageError
from lucidbox.core.filesystem import atomic_path, atomic_write, pending_files
from lucidbox.core.parallel import in_threads
from lucidbox.core.progress import Progress
from lucidbox.datasets.training.images import PictureSamples

CACHE_FORMAT = 1
UNREADABLE = -1
"""In place of a checksum: the image could not be read when the cache was made."""

_NAMES = f"pictures-{'[0-9a-f]' * 32}.bin"


@dataclass(frozen=True, eq=False)
class CacheFiles:
    """One cache.

    Attributes:
        pixels: the file of pixels.
        ends: where in it each image's pixels end, in bytes.
    """

    pixels: Path
    ends: Int64[np.ndarray, " n"]

    @property
    def index(self) -> Path:
        """The file of checksums."""
        return self.pixels.with_suffix(".json")

    @property
    def length(self) -> int:
        """Of the file of pixels, bytes."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def place(self, index: int) -> slice:
        """Where an image's bytes are."""
        return slice(int(self.ends[index - 1]) if index else 0, int(self.ends[index]))

    def mapped(self) -> UInt8[np.ndarray, " n"] | None:
        """The pixels of all images, mapped, read-only; None if the file is gone, or another one."""
        if not self.length:
            return np.zeros(0, np.uint8)
        try:
            # Not the memmap itself: its slices are slow to make.
            pixels = np.asarray(np.memmap(self.pixels, np.uint8, "r"))
        except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
            return None
        return pixels if len(pixels) == self.length else None

    def checksums(self, progress: Progress) -> list[int] | None:
        """The checksum of each image, if both files are there, whole and undamaged."""
        count = len(self.ends)
        try:
            found = json.loads(self.index.read_bytes())["checksums"]
            if len(found) != count or not all(type(checksum) is int for checksum in found):
                return None
            there = self.pixels.is_file()
        except (OSError, ValueError, LookupError, TypeError):
            return None
        pixels = self.mapped() if there else None
        if pixels is None:
            return None
        computed = in_threads(lambda index: zlib.crc32(pixels[self.place(index)].data), range(count))
        pairs = zip(found, progress(computed, count), strict=True)
        return found if all(stated in (actual, UNREADABLE) for stated, actual in pairs) else None

    def write(self, samples: PictureSamples, progress: Progress) -> list[int]:
        """Write both files, the index last; returns the checksums.

        Raises:
            OutputError: that failed; then neither is there.
        """
        with atomic_path(self.pixels) as temporary, temporary.open("rb+", buffering=0) as stream:
            _reserve(stream, self.length)
            writer = Writer(samples, self, stream)
            checksums = list(progress(in_threads(writer.write, range(len(self.ends))), len(self.ends)))
        try:
            atomic_write(self.index, json.dumps({"size": samples.size, "checksums": checksums}))
        except BaseException:
            self.pixels.unlink(missing_ok=True)
            raise
        return checksums


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes images to their places, from several threads.

    Attributes:
        samples: the images.
        files: where the pixels of each belong.
        stream: the file of pixels.
        lock: held while an image is written.
    """

    samples: PictureSamples
    files: CacheFiles
    stream: BinaryIO
    lock: AbstractContextManager[Any] = field(default_factory=Lock)

    def write(self, index: int) -> int:
        """Write one image; its checksum."""
        try:
            image = np.ascontiguousarray(self.samples.read(index))
        except ImageError:
            return UNREADABLE
        with self.lock:
            self.stream.seek(self.files.place(index).start)
            left = image.data.cast("B")
            while left:  # an unbuffered write may take less than all
                left = left[self.stream.write(left) :]
        return zlib.crc32(image.data)


def _reserve(stream: BinaryIO, length: int) -> None:
    """Take the disk space now, so that a full disk is met before an hour's work, not after."""
    try:
        if length and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, length)
    except OSError as error:
        if error.errno not in (EINVAL, EOPNOTSUPP):  # file systems that cannot promise space
            raise
    stream.truncate(length)


def remove_pending(folder: Path) -> None:
    """Remove what makers of caches left behind when they were killed: as large as a cache, and never used."""
    for path in pending_files(folder):
        if path.suffix == ".bin":
            with suppress(OSError):
                path.unlink()


def make_room(files: CacheFiles, limit_bytes: int) -> None:
    """Remove caches beside this one, the longest unused first, until with it all are within the bound.

    What cannot be removed stays: a system may keep files that are in use.
    """
    found = []
    for path in files.pixels.parent.glob(_NAMES):
        with suppress(OSError):  # removed meanwhile
            found.append((path.stat(), path))
    others = sorted(((status, path) for status, path in found if path != files.pixels), key=_last_used)
    used = files.length + sum(status.st_size for status, _ in others)
    for status, path in others:
        if used <= limit_bytes:
            return
        with suppress(OSError):
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            used -= status.st_size


def _last_used(cache: tuple[os.stat_result, Path]) -> int:
    return cache[0].st_mtime_ns
