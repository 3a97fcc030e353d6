"""JPEG files: size and completeness told from their markers, pixels decoded by OpenCV.

A JPEG that has its end but is damaged inside its compressed data is not refused: libjpeg fills in what it cannot
decode, as it does in a viewer, and writes "Corrupt JPEG data: ..." to standard error, without a file's name.
OpenCV keeps that warning from its callers, and only decoding could tell; catching it from standard error would
mean redirecting the whole process's, under every other thread.
"""

import re
import struct
from typing import NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError, ImageMemoryError

SIGNATURE = b"\xff\xd8\xff"
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # not stuffing, fill or restart: these do not end a scan
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_BLOCK = 64
_END = b"\xff\xd9"
_FILLINGS = (b"\xff\x00" * 64, b"\x55" * 64, b"\xaa\x0f" * 64, bytes(range(251, 1, -7)) * 4)
"""Compressed data that stands for what may be missing: where nothing is, it changes no pixel."""


class Jpeg(NamedTuple):
    """A JPEG that is known to be complete.

    Attributes:
        data: the file's bytes, with an end.
        width: as stored, before EXIF's orientation is applied; likewise ``height``.
        height: see ``width``.
    """

    data: bytes
    width: int
    height: int


def walk(data: bytes, name: str) -> Jpeg:
    """A JPEG's size, from a walk over segments and scans up to the end-of-image marker.

    The walk tells a truncated file from a whole one. Decoders may fill what is missing with grey, and a mere
    search for the end marker could find a thumbnail's. A file that lacks its end marker and nothing else is whole.

    Raises:
        ImageError: the file is truncated, or has more than 8 bits a sample.
    """
    frame: tuple[int, int] | None = None
    missing: set[tuple[int, int]] | None = None  # coefficients that no scan has brought to their last bit
    position = len(SIGNATURE) - 1
    while (marker := _MARKER.search(data, position)) is not None:
        code, position = data[marker.start() + 1], marker.end()
        if code == _END_OF_IMAGE and frame is not None:
            return Jpeg(data, *frame)
        segment = data[position : position + int.from_bytes(data[position : position + 2], "big")]
        if code in _START_OF_FRAME and len(segment) >= 8:
            precision, height, width, components = struct.unpack_from(">BHHB", segment, 2)
            if precision != 8:
                raise ImageError(f"{name}: a JPEG of {precision} bits a sample; convert it to 8 bits")
            frame = (width, height)
            every = set(segment[8::3][:components])
            missing = {(one, k) for one in every for k in range(_BLOCK if code in _PROGRESSIVE else 1)}
        elif code == _START_OF_SCAN and missing:
            missing -= _finished(segment)
        position += max(len(segment), 2)
    if frame is not None and missing is not None and not missing and _lacks_only_its_end(data):
        return Jpeg(data.rstrip(b"\xff") + _END, *frame)
    raise ImageError(f"{name}: truncated JPEG: its end is missing")


def _finished(scan: bytes) -> set[tuple[int, int]]:
    """Component and coefficient of all that this scan brings to its last bit (ITU T.81, B.2.3)."""
    if len(scan) < 6 or len(scan) < 6 + 2 * scan[2] or scan[-1] & 15:
        return set()
    first, last = scan[-3], scan[-2]
    return {(one, k) for one in scan[3 : 3 + 2 * scan[2] : 2] for k in range(first, min(last, _BLOCK - 1) + 1)}


def _lacks_only_its_end(data: bytes) -> bool:
    """Whether the last scan is complete: then what follows its data changes no pixel."""
    start = data.rstrip(b"\xff")
    shown = _decoded(start + _END, cv2.IMREAD_COLOR)
    if shown is None:
        return False
    restarts = _RESTART.findall(start, start.rfind(b"\xff\xda"))  # of the last scan; numbered 0 to 7 and again
    restart = bytes([0xFF, 0xD0 + ((restarts[-1][1] + 1) & 7 if restarts else 0)])
    fillings = [before + filling for before in (b"", restart) for filling in _FILLINGS]
    filled = (_decoded(start + filling + _END, cv2.IMREAD_COLOR) for filling in fillings)
    return all(other is not None and np.array_equal(shown, other) for other in filled)


def decode(jpeg: Jpeg, name: str, *, part: int = 1) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels, upright; of ``part`` 2, 4 or 8 only that share of each side.

    Raises:
        ImageError: OpenCV does not read it.
    """
    try:
        pixels = _decoded(jpeg.data, _REDUCED[part] if part > 1 else cv2.IMREAD_COLOR_RGB)
    except MemoryError as error:
        raise ImageMemoryError(f"{name}: not enough memory to decode it") from error
    if pixels is None:
        raise ImageError(f"{name}: damaged JPEG, or of a kind that OpenCV does not read")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, pixels) if part > 1 else pixels


def _decoded(data: bytes, how: int) -> UInt8[np.ndarray, "h w 3"] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), how)  # EXIF is applied
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        return None


def part_that_covers(height: int, width: int, within: tuple[int, int]) -> int:
    """The largest of 8, 4 and 2 by which an image can be divided and still not be smaller than it will be; or 1.

    Whether it will be turned by its EXIF entry is not known yet: it must hold for both.
    """
    upright = max(height / within[0], width / within[1])
    turned = max(width / within[0], height / within[1])
    return next((part for part in _REDUCED if part <= min(upright, turned)), 1)
