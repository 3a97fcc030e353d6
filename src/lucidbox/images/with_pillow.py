"""Pictures that Pillow reads: all kinds but JPEG. 20 ms of imports that a cold start on a JPEG need not pay.

``pixels.py`` says what becomes of grey, alpha, CMYK, 16 bits and so on; of a TIFF the first page is read if the
others are only reduced copies of it.
"""

import importlib
import re
import shlex
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError, ImageFormatError, ImageMemoryError
from lucidbox.images.kinds import Plugin, refuse_size, unread
from lucidbox.images.pixels import from_pillow, to_rgb
from lucidbox.images.tiff import PAGE_KIND, REDUCED_COPY_OR_MASK, packed_tiff, unpack

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_NOT_READ = re.compile(r"unknown|unsupported|not (?:supported|available|installed|implemented)", re.IGNORECASE)
_warning_filters = threading.Lock()


def read_with_pillow(data: bytes, plugin: Plugin, max_pixels: int, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels of a picture that is no JPEG.

    Args:
        data: the whole file.
        plugin: Pillow's reader for its kind.
        max_pixels: larger pictures are refused, before decoding.
        name: what errors call it.

    Raises:
        ImageError: it is damaged, too large, animated, or of a kind within its kind that is not read.
    """
    try:
        if plugin.kind == "TIFF" and (packed := _read_packed_tiff(data, max_pixels, name)) is not None:
            return packed
        image_file = getattr(importlib.import_module(f"PIL.{plugin.module}"), plugin.file)
        with _without_warnings():
            image: ImageFile = image_file(BytesIO(data))
            refuse_size(*image.size, max_pixels, name)
            _refuse_several(image, plugin.kind, name)
            if image.format != "PNG":  # whose EXIF may stand behind the pixels, and would decode them here
                image.getexif()
        image.load()
        with _without_warnings():
            image.getexif()  # is remembered: the slow part, below, needs no lock
        return from_pillow(image, name=name)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageMemoryError(f"{name}: not enough memory to decode it") from error
    except Exception as error:  # Damaged bytes make Pillow's parsers raise nearly every type of error.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, ImportError) or _NOT_READ.search(reason):  # a whole file, of a kind within its kind
            raise ImageFormatError(
                f"{name}: {unread(f'{plugin.kind} of a kind that Pillow does not read', reason)}"
            ) from error
        raise ImageError(f"{name}: damaged or truncated ({reason})") from error


def _read_packed_tiff(data: bytes, max_pixels: int, name: str) -> UInt8[np.ndarray, "h w 3"] | None:
    """Pixels of a TIFF of 10, 12 or 14 bits a sample; None for others."""
    with _without_warnings():
        stated = packed_tiff(BytesIO(data))
    if stated is None:
        return None
    refuse_size(stated.width, stated.height, max_pixels, name)
    if stated.pages > 1:
        raise _several_pages(name)
    return to_rgb(unpack(data, stated, name), "bgr", name=name)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow's warnings about odd metadata from users. The filters are the process's: one thread a time."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_several(image: "ImageFile", kind: str, name: str) -> None:
    if not getattr(image, "is_animated", False):
        return
    if kind != "TIFF":
        file, stem = shlex.quote(Path(name).name), shlex.quote(Path(name).stem)
        to_video = f"convert it to a video (ffmpeg -i {file} {stem}.mp4) or save one frame"
        to_frames = (
            f"save its frames (magick {file} -coalesce {stem}-%03d.png)"  # ffmpeg reads these since version 9
        )
        remedy = to_frames if kind == "WebP" else to_video
        raise ImageError(f"{name}: an animated {kind}, not one picture; {remedy}")
    for page in range(1, image.n_frames):  # type: ignore[attr-defined]
        image.seek(page)
        if not image.tag_v2.get(PAGE_KIND, 0) & REDUCED_COPY_OR_MASK:  # type: ignore[attr-defined]
            raise _several_pages(name)
    image.seek(0)


def _several_pages(name: str) -> ImageError:
    return ImageError(f"{name}: a TIFF of several pages; save each as a file of its own")
