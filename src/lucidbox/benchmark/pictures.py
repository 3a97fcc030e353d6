"""The pictures of a run: taken once, so that everything is measured on the same."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import DataError, LucidboxError
from lucidbox.images.reading import read_image
from lucidbox.sources import Failure, Picture, Source, Sources, StillPictures

_MOST_BYTES = 400 << 20
"""Pixels that are kept: 67 frames of 1920 × 1080."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture.

    Attributes:
        pixels: RGB.
        path: its file; None for a frame.
        decoding: core-seconds of a frame's decoding, which files are timed for when they are measured.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    path: Path | None
    decoding: float = 0.0


@dataclass(frozen=True, eq=False)
class ImageSample:
    """What a run is measured on.

    Attributes:
        shots: the first pictures of the sources.
        stream: what streams are measured over: the same files, or the whole of a video.
        failures: what could not be read and is left out.
    """

    shots: tuple[Shot, ...]
    stream: Sources
    failures: tuple[LucidboxError, ...]


def sample(sources: Sources, most: int) -> ImageSample:
    """The first ``most`` pictures of files and videos, in memory, or fewer where they are large.

    Raises:
        DataError: a source is live, or nothing can be read.
    """
    if sources.live:
        raise DataError("a camera gives no picture twice: name files or videos to measure on")
    shots: list[Shot] = []
    failures: list[LucidboxError] = []
    paths = [path for part in sources.parts if isinstance(part, StillPictures) for path in part.paths][:most]
    for path in paths:
        if not _room(shots, most):
            break
        try:
            shots.append(Shot(read_image(path), path))
        except LucidboxError as error:
            failures.append(error)
    files = tuple(shot.path for shot in shots if shot.path)
    parts = [StillPictures("sample", Path(), files)] if files else []
    moving = [part for part in sources.parts if not isinstance(part, StillPictures)]
    with _one_opencv_thread():
        for part in moving:
            _take_frames(part, most, shots, failures)
    if not shots:
        reason = f": {failures[0]}" if failures else ""
        raise DataError(f"no picture could be read, so nothing is measured{reason}")
    return ImageSample(tuple(shots), Sources((*parts, *moving)), tuple(failures))


def _take_frames(part: Source, most: int, shots: list[Shot], failures: list[LucidboxError]) -> None:
    """Keep frames; then decode as many again for their time, since fresh memory costs more than decoding."""
    kept: list[Shot] = []
    items = iter(part)
    while _room(shots + kept, most) and (item := next(items, None)) is not None:
        if isinstance(item, Failure):
            failures.append(item.error)
        else:
            kept.append(Shot(item.pixels, None))
    del items
    shots += [replace(shot, decoding=seconds) for shot, seconds in zip(kept, _decoding(part), strict=False)]


def _decoding(part: Source) -> Iterator[float]:
    """Core-seconds that each frame takes, of all threads: a video's decoder has its own."""
    before = time.process_time()
    for item in part:
        if isinstance(item, Picture):
            yield time.process_time() - before
        before = time.process_time()


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's threads wait for work by spinning, which counts as processor time and is none of the decoder's."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _room(shots: list[Shot], most: int) -> bool:
    return len(shots) < most and sum(shot.pixels.nbytes for shot in shots) < _MOST_BYTES
