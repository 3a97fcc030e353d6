"""What becomes of each kind of pixel on its way to 8-bit RGB. Arrays in, arrays out; files are ``images``'s.

========================== ==================================================================================
grey, 1-bit, palette       the colour that a viewer shows
10 to 16-bit samples       the high byte of 16 (``value // 256``, as OpenCV does): the full range, never stretched
floating point             0..1 becomes 0..255, rounded; values outside, or NaN, are refused
alpha, transparent colour  laid over white (where everything is opaque, nothing changes)
CMYK                       ``255 · (1 - ink) · (1 - black)``, to within one; in a JPEG ink is stored inverted, with
                           Adobe's marker or without, as programs write it
colour profiles            not applied
EXIF orientation 1-8       undone: the picture stands as a viewer shows it
32-bit integers, CIE Lab   refused: nothing says which values are black and white
========================== ==================================================================================
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lucidbox.core.array_types import Shaped, UInt8
from lucidbox.core.errors import ImageError, OptionError
from lucidbox.images.tiff import BITS, PHOTOMETRIC, WHITE_IS_ZERO

if TYPE_CHECKING:
    from PIL.Image import Image

_EXIF_ORIENTATION = 0x0112


def to_rgb(
    array: Shaped[np.ndarray, "..."], color: Literal["rgb", "bgr"] = "rgb", *, name: str = "array"
) -> UInt8[np.ndarray, "h w 3"]:
    """Make an array of pixels 8-bit RGB by the rules above.

    Args:
        array: grey ``h w`` or ``h w 1``, colour ``h w 3``, colour and alpha ``h w 4``; 8-bit, 16-bit,
            boolean (false black, true white), or floating point from 0 to 1. Never changed, and not
            copied if nothing has to be done.
        color: order of the channels; "bgr" is OpenCV's.
        name: what errors call the array.

    Raises:
        ImageError: another shape or type, an empty array, or floats outside 0..1.
        OptionError: ``color`` is another word.
    """
    if color not in ("rgb", "bgr"):
        raise OptionError(f"color {color!r} is not known; say 'rgb' or 'bgr'")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(f"{name}: shape {array.shape} is no picture; give (height, width) or (height, width, 3)")
    pixels = _to_8_bit(array, name).reshape(*array.shape[:2], channels)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    if channels == 4:
        pixels = _over_white(pixels)
    return np.ascontiguousarray(pixels[:, :, ::-1] if color == "bgr" else pixels)


def from_pillow(image: "Image", *, name: str = "picture") -> UInt8[np.ndarray, "h w 3"]:
    """8-bit RGB, upright, of a Pillow image in any mode, by the rules above.

    Raises:
        ImageError: a mode without a rule.
    """
    pixels = to_rgb(_shown(image, name), name=name)
    return np.ascontiguousarray(_turn_upright(pixels, image.getexif().get(_EXIF_ORIENTATION)))


def _shown(image: "Image", name: str) -> Shaped[np.ndarray, "..."]:
    """A Pillow image's pixels in one of the forms that ``to_rgb`` takes."""
    if image.mode.startswith("I;16"):
        return _deep_grey(image)
    if image.mode == "I" and image.format == "PPM":  # Pillow has scaled it to 16 bits
        return np.array(image).astype(np.uint16)
    if image.mode != "F":
        if image.has_transparency_data:
            image = image if image.mode == "RGBA" else image.convert("RGBA")
        elif image.mode in ("P", "RGBX", "CMYK", "YCbCr"):
            image = image.convert("RGB")
        elif image.mode not in ("1", "L", "RGB"):
            raise ImageError(f"{name}: pixels of kind {image.mode} are not read; convert the picture to 8-bit RGB")
    return np.array(image)  # a copy of our own: the view would be read-only


def _deep_grey(image: "Image") -> Shaped[np.ndarray, "h w"]:
    """Grey values at the high end of 16 bits; a TIFF states how many bits it has, and whether 0 is white."""
    tags: Any = getattr(image, "tag_v2", {})
    pixels = np.array(image) << (16 - min(16, *tags.get(BITS, (16,))))
    return np.asarray(~pixels if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else pixels)


def _to_8_bit(array: Shaped[np.ndarray, "..."], name: str) -> UInt8[np.ndarray, "..."]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # either byte order
        return (array >> 8).astype(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind != "f":
        raise ImageError(f"{name}: pixels of type {array.dtype}; convert to uint8, uint16 or floats of 0 to 1")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise ImageError(f"{name}: floating-point pixels from {low:g} to {high:g}; scale them to 0..1")
    return np.rint(array * np.float32(255)).astype(np.uint8)


def _over_white(pixels: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    alpha = pixels[:, :, 3:]
    if alpha.min() == 255:
        return pixels[:, :, :3]
    alpha = alpha.astype(np.uint16)
    mixed: Any = (pixels[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return np.asarray(mixed, dtype=np.uint8)


def _turn_upright(pixels: UInt8[np.ndarray, "h w 3"], orientation: object) -> UInt8[np.ndarray, "..."]:
    """Undo an EXIF orientation: 2-4 mirror or turn by 180°, 5-8 swap the axes as well; others are upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
