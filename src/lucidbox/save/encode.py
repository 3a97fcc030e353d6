"""RGB pixels as the content of an image file: formats, their limits and their settings."""

import math
from pathlib import Path

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write

_QUALITY = 95
_OPTIONS: dict[str, list[int]] = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, _QUALITY],
    ".png": [],
    ".bmp": [],
    ".tif": [],
    ".tiff": [],
}
# Longest side that a format can hold, where images may be longer.
_LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}


def suffix_for(source_suffix: str, height: int, width: int) -> str:
    """The suffix, in lower case, with which an image of this size is written: its source's if possible.

    Of the formats that are only read, GIF (lossless) becomes ".png" and the others ".jpg"; an image too long for
    JPEG or WebP becomes ".png".
    """
    suffix = source_suffix.lower()
    if suffix not in _OPTIONS:
        suffix = ".png" if suffix == ".gif" else ".jpg"
    return ".png" if max(height, width) > _LONGEST_SIDE.get(suffix, math.inf) else suffix


def encode_image(pixels: UInt8[np.ndarray, "h w 3"], suffix: str) -> bytes:
    """RGB pixels as the content of a file; JPEG and WebP at quality 95, the others without loss.

    Raises:
        OutputError: this format cannot be written, or not at this size; see :func:`suffix_for`.
    """
    known = suffix.lower() in _OPTIONS
    if not known or suffix_for(suffix, *pixels.shape[:2]) != suffix.lower():
        reason = f"with sides of {pixels.shape[1]}×{pixels.shape[0]} pixels" if known else "by lucidbox"
        raise OutputError(f"{suffix or 'no suffix'}: not a format that can be written {reason}; use .png")
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(suffix.lower(), bgr, _OPTIONS[suffix.lower()])
    if not done:
        raise OutputError(f"{suffix}: OpenCV could not encode the picture; use .png")
    return content.tobytes()


def save_image(path: str | Path, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write RGB pixels in the format of the path's suffix; a file that is there is replaced in one step.

    Raises:
        OutputError: the format or the file cannot be written.
    """
    atomic_write(path, encode_image(pixels, Path(path).suffix))
