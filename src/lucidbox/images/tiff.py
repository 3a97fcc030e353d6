"""TIFF files of 10, 12 or 14 bits a sample: OpenCV unpacks them; Pillow does not, or to a part of the range."""

from io import BufferedIOBase
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.core.errors import ImageError

WIDTH, HEIGHT, BITS, PHOTOMETRIC, PAGE_KIND, ORIENTATION = 256, 257, 258, 262, 254, 274
WHITE_IS_ZERO = 0
REDUCED_COPY_OR_MASK = 0b101
_PACKED_BITS, _GREY_OR_RGB = ({10}, {12}, {14}), (WHITE_IS_ZERO, 1, 2)
_log_level = Lock()


class PackedTiff(NamedTuple):
    """What such a file states.

    Attributes:
        width: in pixels, as stored; likewise ``height``.
        height: see ``width``.
        orientation: EXIF's.
        white_is_zero: whether grey values count from white down.
        pages: number of pages that are neither a reduced copy of another nor a mask.
    """

    width: int
    height: int
    orientation: int
    white_is_zero: bool
    pages: int


def packed_tiff(file: BufferedIOBase) -> PackedTiff | None:
    """The entries of a TIFF of 10, 12 or 14 bits a sample; None for every other file.

    Raises:
        Exception: of any type, where the file is damaged: Pillow parses the entries.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    file.seek(0)
    header = file.read(8)
    if header[:4] not in (b"II*\0", b"MM\0*"):
        return None
    directory = ImageFileDirectory_v2(header)
    first: PackedTiff | None = None
    pages, seen = 0, {0}
    while directory.next not in seen:  # damaged files have pages that follow in circles
        seen.add(directory.next)
        file.seek(directory.next)
        directory.load(file)  # type: ignore[arg-type]
        pages += not directory.get(PAGE_KIND, 0) & REDUCED_COPY_OR_MASK
        if first is None:
            colour = directory.get(PHOTOMETRIC)
            if set(directory.get(BITS, ())) not in _PACKED_BITS or colour not in _GREY_OR_RGB:
                return None
            turned = directory.get(ORIENTATION, 1)
            first = PackedTiff(directory[WIDTH], directory[HEIGHT], turned, colour == WHITE_IS_ZERO, 0)
    return first and first._replace(pages=pages)


def unpack(data: bytes, stated: PackedTiff, name: str) -> Shaped[np.ndarray, "..."]:
    """Upright pixels, grey or in the order blue, green, red, their values at the high end of 16 bits.

    Raises:
        ImageError: OpenCV does not read it.
    """
    logging = cv2.utils.logging
    with _log_level:  # OpenCV's own words about damage name no file
        before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            pixels = None
        finally:
            logging.setLogLevel(before)
    if pixels is None:
        raise ImageError(f"{name}: damaged or truncated, or compressed in a way that OpenCV does not read")
    return np.invert(pixels, dtype=np.uint16) if stated.white_is_zero else pixels
