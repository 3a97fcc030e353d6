"""Safe reading of one picture, from a file or from memory.

JPEG goes to OpenCV (``jpeg.py``), whose pixels the reference numbers were made with; the others go to Pillow,
imported when the first of them comes (20 ms that a cold start on a JPEG need not pay). Kind, size and completeness
are judged before pixels are decoded. ``pixels.py`` says what becomes of grey, alpha, CMYK, 16 bits and so on; of a
TIFF the first page is read if the others are only reduced copies of it; of an MPO the first image.
"""

import importlib
import re
import shlex
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError, ImageFormatError, ImageMemoryError, ImageSizeError
from lucidbox.images import jpeg
from lucidbox.images.kinds import LONGEST_SIGNATURE, Plugin, plugin_for, unread
from lucidbox.images.pixels import from_pillow, to_rgb
from lucidbox.images.tiff import PAGE_KIND, REDUCED_COPY_OR_MASK, packed_tiff, unpack

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = [
    "MAX_PIXELS", "ImageSource", "Readable", "from_pillow", "read_image", "read_reduced", "refuse_size", "to_rgb"
]  # fmt: skip

MAX_PIXELS = 2**29 // 3
"""The default limit, 178,956,970 pixels: half a gibibyte of RGB. It is also where Pillow sees an attack."""

_NOT_READ = re.compile(r"unknown|unsupported|not (?:supported|available|installed|implemented)", re.IGNORECASE)
_warning_filters = threading.Lock()


@runtime_checkable
class Readable(Protocol):
    """An open binary file, or what behaves like one."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102


ImageSource = str | Path | bytes | bytearray | memoryview | Readable
"""The path of an image file, its bytes, or the file itself, open."""


def read_image(
    source: ImageSource, *, max_pixels: int = MAX_PIXELS, name: str | None = None
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
    data = _read_file(source, name)
    plugin = plugin_for(data, name)
    if plugin is None:
        return jpeg.decode(_walked(data, max_pixels, name), name)
    return _read_with_pillow(data, plugin, max_pixels, name)


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
    if plugin_for(data, name) is not None:
        pixels = read_image(data, max_pixels=max_pixels, name=name)
        return pixels, (pixels.shape[0], pixels.shape[1])
    walked = _walked(data, max_pixels, name)
    height, width = walked.height, walked.width
    part = jpeg.part_that_covers(height, width, within)
    shape = -(-height // part), -(-width // part)
    # The decoder turns the picture as EXIF says; only unequal sides tell whether it did.
    if part > 1 and shape[0] == shape[1] and height != width:
        part = 1
    pixels = jpeg.decode(walked, name, part=part)
    if part == 1:
        return pixels, (pixels.shape[0], pixels.shape[1])
    return pixels, (height, width) if pixels.shape[:2] == shape else (width, height)


def _read_file(source: ImageSource, name: str) -> bytes:
    """A file's bytes; no more than the first few of what is no picture (a disk image, /dev/zero)."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        with Path(source).open("rb") if isinstance(source, (str, Path)) else nullcontext(source) as file:
            start = file.read(LONGEST_SIGNATURE)
            if not isinstance(start, bytes):
                raise ImageError(f"{name}: is open as text; open it as bytes: open(path, 'rb')")
            if not start and not isinstance(source, (str, Path)):
                raise ImageError(f"{name}: is empty, or was read before; try seek(0)")
            plugin_for(start, name)
            return start + file.read()
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, not a picture") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path, a closed file
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name}: {reason[:1].lower()}{reason[1:]}") from error


def refuse_size(width: int, height: int, limit: int, name: str) -> None:
    """Refuse a picture or frame of more than ``limit`` pixels, or of none.

    Raises:
        ImageSizeError: it has.
    """
    if width * height > limit:
        raise ImageSizeError(f"{name}: {width}×{height} pixels exceed the limit of {limit}; raise --max-pixels")
    if width * height <= 0:
        raise ImageSizeError(f"{name}: has no pixels ({width}×{height})")


def _walked(data: bytes, max_pixels: int, name: str) -> jpeg.Jpeg:
    walked = jpeg.walk(data, name)
    refuse_size(walked.width, walked.height, max_pixels, name)
    return walked


def _read_with_pillow(data: bytes, plugin: Plugin, max_pixels: int, name: str) -> UInt8[np.ndarray, "h w 3"]:
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
