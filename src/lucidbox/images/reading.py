"""Safe reading of one picture, from a file or from memory.

JPEG goes to OpenCV, whose pixels the reference numbers were made with; PNG, WebP, BMP, TIFF and single-frame
GIF go to Pillow, imported when the first of them comes (20 ms that a cold start on a JPEG need not pay). Kind,
size and completeness are judged before pixels are decoded. ``pixels.py`` says what becomes of grey, alpha,
CMYK, 16 bits and so on; of a TIFF the first page is read if the others are only reduced copies of it.

A JPEG that has its end but is damaged inside its compressed data is not refused: libjpeg fills in what it cannot
decode, as it does in a viewer, and writes "Corrupt JPEG data: ..." to standard error, without a file's name.
OpenCV keeps that warning from its callers, and only decoding could tell; catching it from standard error would
mean redirecting the whole process's, under every other thread.
"""

import importlib
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError, ImageFormatError, ImageSizeError
from lucidbox.images.pixels import from_pillow, to_rgb

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["MAX_PIXELS", "from_pillow", "read_image", "read_reduced", "refuse_size", "to_rgb"]

MAX_PIXELS = 2**29 // 3
"""The default limit, 178,956,970 pixels: half a gibibyte of RGB. It is also where Pillow sees an attack."""

_JPEG = b"\xff\xd8\xff"
_PILLOW_READS = (
    # First bytes, Pillow's module, its class. Named one by one because ``Image.open`` would import every format
    # that Pillow knows, and warn of bombs in a way of its own.
    (rb"\x89PNG\r\n\x1a\n", "PngImagePlugin", "PngImageFile"),
    (rb"RIFF....WEBP", "WebPImagePlugin", "WebPImageFile"),
    (rb"BM", "BmpImagePlugin", "BmpImageFile"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "TiffImagePlugin", "TiffImageFile"),
    (rb"GIF8[79]a", "GifImagePlugin", "GifImageFile"),
)
_LONGEST_SIGNATURE = 12
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # not stuffing, fill or restart: these do not end a scan
_END_OF_IMAGE = 0xD9
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_PAGE_KIND, _REDUCED_COPY_OR_MASK = 254, 0b101
_warning_filters = threading.Lock()


def read_image(
    source: str | Path | bytes | BufferedIOBase, *, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Read one picture as RGB, upright, the way a viewer shows it. Many threads may read at once.

    Args:
        source: path of a file, a file's bytes, or an open binary file, which is read to its end.
        max_pixels: pictures of more pixels are refused, before decoding.
        name: what errors call the picture; by default its path, or "picture".

    Raises:
        ImageError: the file cannot be read, is no picture, incomplete, too large, or animated.
    """
    name = name or (str(source) if isinstance(source, (str, Path)) else "picture")
    data = source if isinstance(source, bytes) else _read_file(source, name)
    plugin = _recognize(data, name)
    if plugin is None:
        return _read_jpeg(data, max_pixels, name)
    return _read_with_pillow(data, plugin, max_pixels, name)


_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


def read_reduced(
    source: str | Path, within: tuple[int, int], *, max_pixels: int = MAX_PIXELS
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[int, int]]:
    """Read a picture as :func:`read_image` does, but a JPEG that is far larger than needed at a part of its size.

    Half, a quarter or an eighth of a JPEG's sides is decoded from fewer of its numbers, in less time. Each pixel
    then is a mean over several, which shrinking by resizing would not give: what a network finds changes.

    Args:
        source: path of a file.
        within: height, width that the picture will be shrunk into. The part is never smaller than it will be then.
        max_pixels: pictures of more pixels are refused, before decoding.

    Returns:
        The pixels, and height and width of the whole picture.

    Raises:
        ImageError: as for :func:`read_image`.
    """
    name = str(source)
    data = _read_file(source, name)
    if _recognize(data, name) is None:
        width, height = _walk_jpeg(data, name)
        refuse_size(width, height, max_pixels, name)
        part = _part(height, width, within)
        shape = -(-height // part), -(-width // part)
        # The decoder turns the picture as EXIF says; only unequal sides tell whether it did.
        if part > 1 and (shape[0] != shape[1] or height == width):
            pixels = _decode_jpeg(data, _REDUCED[part], name)
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, pixels)
            return pixels, (height, width) if pixels.shape[:2] == shape else (width, height)
        pixels = _decode_jpeg(data, cv2.IMREAD_COLOR_RGB, name)
    else:
        pixels = read_image(data, max_pixels=max_pixels, name=name)
    return pixels, (pixels.shape[0], pixels.shape[1])


def _part(height: int, width: int, within: tuple[int, int]) -> int:
    """The largest of 8, 4 and 2 by which a picture can be divided and still not be smaller than it will be; or 1.

    Whether it will be turned by its EXIF entry is not known yet: it must hold for both.
    """
    upright = max(height / within[0], width / within[1])
    turned = max(width / within[0], height / within[1])
    return next((part for part in _REDUCED if part <= min(upright, turned)), 1)


def _read_file(source: str | Path | BufferedIOBase, name: str) -> bytes:
    """A file's bytes; no more than the first few of what is no picture (a disk image, /dev/zero)."""
    try:
        with Path(source).open("rb") if isinstance(source, (str, Path)) else nullcontext(source) as file:
            start = file.read(_LONGEST_SIGNATURE)
            _recognize(start, name)
            return start + file.read()
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, not a picture") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name}: {reason[:1].lower()}{reason[1:]}") from error


def _recognize(data: bytes, name: str) -> tuple[str, str] | None:
    """Pillow's module and class for this content; None for JPEG. What the file is called plays no part."""
    if data.startswith(_JPEG):
        return None
    for signature, module, kind in _PILLOW_READS:
        if re.match(signature, data, re.DOTALL):
            return module, kind
    if not data:
        raise ImageError(f"{name}: is empty")
    likely = " (it looks like HEIC, AVIF or a video)" if data[4:8] == b"ftyp" else ""
    raise ImageFormatError(f"{name}: not a picture{likely}; JPEG, PNG, WebP, BMP, TIFF and GIF are read")


def refuse_size(width: int, height: int, limit: int, name: str) -> None:
    """Refuse a picture or frame of more than ``limit`` pixels, or of none.

    Raises:
        ImageSizeError: it has.
    """
    if width * height > limit:
        raise ImageSizeError(f"{name}: {width}×{height} pixels exceed the limit of {limit}; raise --max-pixels")
    if width * height <= 0:
        raise ImageSizeError(f"{name}: has no pixels ({width}×{height})")


# --- JPEG ---------------------------------------------------------------------------------------------------


def _read_jpeg(data: bytes, max_pixels: int, name: str) -> UInt8[np.ndarray, "h w 3"]:
    width, height = _walk_jpeg(data, name)
    refuse_size(width, height, max_pixels, name)
    return _decode_jpeg(data, cv2.IMREAD_COLOR_RGB, name)


def _decode_jpeg(data: bytes, how: int, name: str) -> UInt8[np.ndarray, "h w 3"]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)  # applies EXIF orientation
    except cv2.error as error:
        raise ImageError(f"{name}: OpenCV cannot decode this JPEG ({error.err})") from error
    if pixels is None:
        raise ImageError(f"{name}: damaged JPEG, or of a kind that OpenCV does not read")
    return np.asarray(pixels, dtype=np.uint8)


def _walk_jpeg(data: bytes, name: str) -> tuple[int, int]:
    """Width and height, from a walk over segments and scans up to the end-of-image marker.

    The walk tells a truncated file from a whole one. Decoders may fill what is missing with grey, and a mere
    search for the end marker could find a thumbnail's.
    """
    frame: tuple[int, int] | None = None
    position = len(_JPEG) - 1
    while (marker := _MARKER.search(data, position)) is not None:
        code, position = data[marker.start() + 1], marker.end()
        if code == _END_OF_IMAGE and frame is not None:
            return frame
        length = int.from_bytes(data[position : position + 2], "big")
        if code in _START_OF_FRAME and length >= 8 and position + 7 <= len(data):
            precision, height, width = struct.unpack_from(">BHH", data, position + 2)
            if precision != 8:
                raise ImageError(f"{name}: a JPEG of {precision} bits a sample; convert it to 8 bits")
            frame = (width, height)
        position += max(length, 2)
    raise ImageError(f"{name}: truncated JPEG: its end is missing")


# --- all other formats --------------------------------------------------------------------------------------


def _read_with_pillow(
    data: bytes, plugin: tuple[str, str], max_pixels: int, name: str
) -> UInt8[np.ndarray, "h w 3"]:
    module, kind = plugin
    image_file = getattr(importlib.import_module(f"PIL.{module}"), kind)
    try:
        with _without_warnings():
            image: ImageFile = image_file(BytesIO(data))
            refuse_size(*image.size, max_pixels, name)
            _refuse_several(image, name)
            if image.format != "PNG":  # whose EXIF may stand behind the pixels, and would decode them here
                image.getexif()
        image.load()
        with _without_warnings():
            image.getexif()  # is remembered: the slow part, below, needs no lock
        return from_pillow(image, name=name)
    except ImageError:
        raise
    except Exception as error:  # Damaged bytes make Pillow's parsers raise nearly every type of error.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{name}: damaged or truncated ({reason})") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow's warnings about odd metadata from users. The filters are the process's: one thread a time."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_several(image: "ImageFile", name: str) -> None:
    if not getattr(image, "is_animated", False):
        return
    if image.format != "TIFF":
        remedy = f"convert it to a video (ffmpeg -i {Path(name).name} video.mp4) or save one frame"
        raise ImageError(f"{name}: an animated {image.format}, not one picture; {remedy}")
    for page in range(1, image.n_frames):  # type: ignore[attr-defined]
        image.seek(page)
        if not image.tag_v2.get(_TIFF_PAGE_KIND, 0) & _REDUCED_COPY_OR_MASK:  # type: ignore[attr-defined]
            raise ImageError(f"{name}: a TIFF of several pages; save each as a file of its own")
    image.seek(0)
