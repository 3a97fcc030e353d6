"""From images to rows: the one function that rows of detections come from, wherever the images come from."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from lucidbox.core.detection_tables import record_batch
from lucidbox.core.detections import DetectionRow, Detections
from lucidbox.core.errors import ImageError, ImageMemoryError, LucidboxError
from lucidbox.core.parallel import in_order
from lucidbox.core.storage import read_stored, reason
from lucidbox.core.text import printable
from lucidbox.detect.stream import Result
from lucidbox.detect.tiles import Tiles
from lucidbox.detector import Detector
from lucidbox.images.reading import MAX_PIXELS, read_image
from lucidbox.sources import Failure, LazyItem, Picture

READERS = 8
"""Threads that wait for storage; images are decoded by the detector's own threads."""

ROWS = 1000
"""Rows of a record batch, and of a row group of a file."""


@dataclass(frozen=True)
class ImageItem:
    """One image of a manifest.

    Attributes:
        uri: what its row is called.
        data: the encoded image, where the manifest holds it; None where it is read from ``place``.
        place: where it is read from; by default its uri.
    """

    uri: str
    data: bytes | None = None
    place: str = ""


@dataclass(frozen=True)
class _Fetched:
    """An image's bytes, or why there are none."""

    uri: str
    data: bytes = b""
    sha256: str | None = None
    error: LucidboxError | None = None


def detect_images(
    detector: Detector,
    items: Iterable[ImageItem],
    *,
    max_pixels: int = MAX_PIXELS,
    tiles: Tiles = None,
    read: Callable[[str], bytes] = read_stored,
    rows: int = ROWS,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Any]:
    """Detects in images; what cannot be read or decoded is a row with ``error``.

    Args:
        detector: its limits count.
        items: the images.
        max_pixels: larger images are refused.
        tiles: as for a call of the detector.
        read: gives the content of a file by its address.
        rows: most rows of a record batch.
        advance: called after each image.

    Yields:
        Record batches (pyarrow) of :func:`~lucidbox.core.detection_tables.detection_schema`, a row an item, in
        their order.

    Raises:
        MemoryError, ImageMemoryError: an image does not fit into this machine's memory; another one may do it.
    """
    waiting: list[DetectionRow] = []
    with closing(_rows(detector, items, max_pixels, tiles, read)) as found:
        for row in found:
            waiting.append(row)
            advance()
            if len(waiting) == rows:
                yield record_batch(waiting)
                waiting = []
    if waiting:
        yield record_batch(waiting)


def _rows(
    detector: Detector, items: Iterable[ImageItem], max_pixels: int, tiles: Tiles, read: Callable[[str], bytes]
) -> Generator[DetectionRow, None, None]:
    asked: deque[_Fetched] = deque()  # answers come in the order of the items, one for each

    def decoding(fetched: Iterable[_Fetched]) -> Iterator[LazyItem]:
        for one in fetched:
            asked.append(one)
            yield partial(_decode, one, max_pixels)

    none = Detections.empty(detector.names)
    with (
        ThreadPoolExecutor(READERS, "lucidbox-read") as readers,
        closing(in_order(readers, partial(_fetch, read), items, 2 * READERS)) as fetched,
        closing(detector.answers(decoding(fetched), tiles=tiles)) as answers,
    ):
        for answer in answers:
            one = asked.popleft()
            yield _row_of(one, answer, none)


def _fetch(read: Callable[[str], bytes], item: ImageItem) -> _Fetched:
    """An item's bytes. Whatever a store's package raises is this image's error."""
    try:
        data = read(item.place or item.uri) if item.data is None else item.data
    except MemoryError:
        raise
    except Exception as error:
        return _Fetched(item.uri, error=ImageError(f"{item.uri}: {reason(error)}"))
    return _Fetched(item.uri, data, hashlib.sha256(data).hexdigest())


def _decode(fetched: _Fetched, max_pixels: int) -> Picture | Failure:
    if fetched.error is not None:
        return Failure(fetched.uri, fetched.error)
    try:
        pixels = read_image(fetched.data, max_pixels=max_pixels, name=fetched.uri)
    except ImageMemoryError:
        raise
    except ImageError as error:
        return Failure(fetched.uri, error)
    return Picture(pixels, fetched.uri, fetched.uri)


def _row_of(fetched: _Fetched, answer: Result | Failure, none: Detections) -> DetectionRow:
    if isinstance(answer, Failure):
        return DetectionRow(fetched.uri, fetched.sha256, None, None, none, printable(str(answer.error)), None)
    height, width = answer.picture.size
    return DetectionRow(fetched.uri, fetched.sha256, width, height, answer.detections, None, answer.milliseconds)
