"""Decoded and scaled pictures in one memory-mapped file, shared by all processes that read it. No torch.

Two files with one name: ``pictures-HASH.bin`` has the pixels of one picture after another, ``pictures-HASH.json``
the checksum of each. The hash is of all that the pixels come from, so that changed pictures or another size make
another file. The JSON is written last: without it the pixels count as not there.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from errno import EINVAL, EOPNOTSUPP
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import cv2
import numpy as np

from lucidbox.augment.sample import Sample
from lucidbox.data.headers import Watch, in_threads, unwatched
from lucidbox.errors import ImageError, OutputError
from lucidbox.files import atomic_path, atomic_write, output_error
from lucidbox.samples.pictures import PictureSamples
from lucidbox.shapes import UInt8

_FORMAT = 1
_UNREADABLE = -1  # in place of a checksum


class CachedSamples:
    """Like the samples it was made of, bit for bit; most pixels come from the cache's file.

    Implements :class:`~lucidbox.augment.sample.Samples`. Every process maps the file when it first reads from it.

    Attributes:
        samples: where pictures are read that the file lacks: beyond the bound, or unreadable when it was made.
        path: the file with the pixels.
        cached: number of pictures in it.
    """

    def __init__(self, samples: PictureSamples, path: Path, checksums: Sequence[int]) -> None:
        self.samples = samples
        self.path = path
        self.cached = sum(one != _UNREADABLE for one in checksums)
        self._ends = _ends(samples)[: len(checksums)]
        self._there = np.array([one != _UNREADABLE for one in checksums], bool)
        self._pixels: UInt8[np.ndarray, " n"] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but the mapped file, which would be copied."""
        return {**self.__dict__, "_pixels": None}

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """One picture and its objects. The image lies in the file and cannot be written into.

        Raises:
            ImageError: it is not in the cache and cannot be read.
            IndexError: there is no such number.
        """
        if not (0 <= index < len(self._there) and self._there[index]):
            return self.samples[index]
        if self._pixels is None:
            self._pixels = _mapped(self.path)
        height, width = self.samples.shapes[index]
        end = int(self._ends[index])
        pixels = self._pixels[end - height * width * 3 : end]
        return self.samples.annotate(index, pixels.reshape(height, width, 3))


def build_cache(
    samples: PictureSamples, folder: str | Path, limit_bytes: int, watch: Watch = unwatched
) -> CachedSamples:
    """Make a cache of decoded and scaled pictures, or take the one that is there.

    What is there is checked to the last byte, and made anew if it is damaged. Pictures that cannot be read are
    not in it: reading them fails as it would without.

    Args:
        samples: what to keep.
        folder: where; made if need be. It is for caches alone: older ones in it are removed, the longest unused
            first, until all are within the bound.
        limit_bytes: bound of all caches in the folder. Pictures beyond it, the last ones, are read each time.
        watch: sees pictures pass, both when they are made and when they are checked.

    Raises:
        OutputError: the folder cannot be written or the disk is full; then nothing new is left in it.
    """
    count = int(np.searchsorted(_ends(samples), limit_bytes, side="right"))
    path = Path(folder) / f"pictures-{_identity(samples, count)}.bin"
    files = _Files(path, path.with_suffix(".json"))
    checksums = _found(samples, files, count, watch)
    if checksums is None:
        _make_room(Path(folder), limit_bytes - _length(samples, count), keep=path)
        checksums = _make(samples, files, count, watch)
    else:
        with suppress(OSError):  # a folder that can only be read
            os.utime(path)  # the time of its last use, by which older ones go
    return CachedSamples(samples, path, checksums)


@dataclass(frozen=True)
class _Files:
    """The two files of a cache."""

    pixels: Path
    index: Path


def _ends(samples: PictureSamples) -> np.ndarray:
    """Where each picture's pixels end in the file, were all in it."""
    return np.cumsum([height * width * 3 for height, width in samples.shapes], dtype=np.int64)


def _length(samples: PictureSamples, count: int) -> int:
    """Bytes of the first so many pictures."""
    return int(_ends(samples)[count - 1]) if count else 0


def _identity(samples: PictureSamples, count: int) -> str:
    """A name for all that the pixels of the first so many pictures depend on."""
    total = hashlib.sha256(f"{_FORMAT}\0{cv2.__version__}\0{samples.size}\0{count}\1".encode())
    for index in range(count):
        height, width = samples.shapes[index]
        text = f"{samples.pictures.stamp(index)}\0{height}\0{width}\1"
        total.update(text.encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:32]


def _found(samples: PictureSamples, files: _Files, count: int, watch: Watch) -> list[int] | None:
    """The checksums of a cache that is there, whole and undamaged."""
    try:
        document = json.loads(files.index.read_bytes())
        checksums = document["checksums"]
        whole = len(checksums) == count and files.pixels.stat().st_size == _length(samples, count)
        if not whole or not all(type(one) is int for one in checksums):
            return None
        pixels, ends = _mapped(files.pixels), _ends(samples)
    except (OSError, ValueError, LookupError, TypeError):
        return None

    def undamaged(index: int) -> bool:
        height, width = samples.shapes[index]
        end = int(ends[index])
        found = zlib.crc32(pixels[end - height * width * 3 : end].data)
        return checksums[index] in (found, _UNREADABLE)

    return checksums if all(watch(in_threads(undamaged, range(count)), count)) else None


def _mapped(path: Path) -> UInt8[np.ndarray, " n"]:
    """A file's bytes, mapped, read-only."""
    if not path.stat().st_size:
        return np.zeros(0, np.uint8)
    # Not the memmap itself: its slices are slow to make.
    return np.asarray(np.memmap(path, np.uint8, "r"))


def _make(samples: PictureSamples, files: _Files, count: int, watch: Watch) -> list[int]:
    """Write both files, the index last; returns the checksums."""
    try:
        with atomic_path(files.pixels) as temporary, temporary.open("rb+", buffering=0) as stream:
            _reserve(stream, _length(samples, count))
            writer = _Writer(samples, _ends(samples), stream)
            checksums = list(watch(in_threads(writer.write, range(count)), count))
        try:
            atomic_write(files.index, json.dumps({"size": samples.size, "checksums": checksums}))
        except BaseException:
            files.pixels.unlink(missing_ok=True)
            raise
    except OutputError as error:
        raise OutputError(f"{error}, or train with a smaller cache_gb") from error
    return checksums


def _reserve(stream: BinaryIO, length: int) -> None:
    """Take the disk space now, so that a full disk is met before an hour's work, not after."""
    try:
        if length and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, length)
    except OSError as error:
        if error.errno not in (EINVAL, EOPNOTSUPP):  # file systems that cannot promise space
            raise
    stream.truncate(length)


@dataclass(frozen=True, eq=False)
class _Writer:
    """Writes pictures to their places, from several threads.

    Attributes:
        samples: the pictures.
        ends: where the pixels of each end.
        stream: the file.
        lock: held while a picture is written.
    """

    samples: PictureSamples
    ends: np.ndarray
    stream: BinaryIO
    lock: AbstractContextManager[Any] = field(default_factory=Lock)

    def write(self, index: int) -> int:
        """Write one picture; its checksum."""
        try:
            image = np.ascontiguousarray(self.samples.read(index))
        except ImageError:
            return _UNREADABLE
        with self.lock:
            self.stream.seek(int(self.ends[index]) - image.nbytes)
            left = image.data.cast("B")
            while left:  # an unbuffered write may take less than all
                left = left[self.stream.write(left) :]
        return zlib.crc32(image.data)


def _make_room(folder: Path, room: int, keep: Path) -> None:
    """Remove caches, the longest unused first, until those left take up no more than ``room`` bytes."""
    try:
        found = [(path.stat(), path) for path in folder.glob("pictures-*.bin") if path != keep]
        used = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns):
            if used <= room:
                return
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            used -= status.st_size
    except OSError as error:
        raise output_error(folder, error) from error
