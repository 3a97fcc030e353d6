"""Safe reading of one picture, from a file or from memory.

JPEG goes to OpenCV (``jpeg.py``), whose pixels the reference numbers were made with; the others go to Pillow
(``with_pillow.py``), imported when the first of them comes. Kind, size and completeness are judged before pixels
are decoded. Of an MPO the first image is read.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import ImageError
from lucidbox.images import jpeg
from lucidbox.images.kinds import LONGEST_SIGNATURE, plugin_for, refuse_size

MAX_PIXELS = 2**29 // 3
"""The default limit, 178,956,970 pixels: half a gibibyte of RGB. It is also where Pillow sees an attack."""


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
    from lucidbox.images.with_pillow import read_with_pillow

    return read_with_pillow(data, plugin, max_pixels, name)


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


def _walked(data: bytes, max_pixels: int, name: str) -> jpeg.Jpeg:
    walked = jpeg.walk(data, name)
    refuse_size(walked.width, walked.height, max_pixels, name)
    return walked
