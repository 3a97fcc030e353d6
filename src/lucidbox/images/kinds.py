"""Which kinds of image file are read and by what, and what to do about those that are not."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from lucidbox.core.errors import ImageError, ImageFormatError, ImageSizeError
from lucidbox.images import jpeg


class Plugin(NamedTuple):
    """A kind that Pillow reads: its name, and Pillow's module and class for it."""

    kind: str
    module: str
    file: str


_PILLOW_READS = (
    # First bytes, and who reads them. Named one by one because ``Image.open`` would import every format that
    # Pillow knows, and warn of bombs in a way of its own.
    (rb"\x89PNG\r\n\x1a\n", Plugin("PNG", "PngImagePlugin", "PngImageFile")),
    (rb"RIFF....WEBP", Plugin("WebP", "WebPImagePlugin", "WebPImageFile")),
    (rb"BM", Plugin("BMP", "BmpImagePlugin", "BmpImageFile")),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", Plugin("TIFF", "TiffImagePlugin", "TiffImageFile")),
    (rb"GIF8[79]a", Plugin("GIF", "GifImagePlugin", "GifImageFile")),
    (rb"....ftyp(?:....){0,12}avi[fs]", Plugin("AVIF", "AvifImagePlugin", "AvifImageFile")),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", Plugin("JPEG 2000", "Jpeg2KImagePlugin", "Jpeg2KImageFile")),
    (rb"P[1-6]\s", Plugin("PNM", "PpmImagePlugin", "PpmImageFile")),
)
LONGEST_SIGNATURE = 64
READ = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000 and PNM"
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000", "PPM", "AVIF")
"""What Pillow calls the kinds that are read; AVIF since its version 11.3."""

_UNREAD = (
    (rb"....ftyp(?:....){0,12}(?:hei[cfmsx]|hev[cmsx]|mif1|msf1)", "HEIC"),
    (rb"....ftypcrx ", "a camera's raw file"),
    (rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", "a video"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"8BPS", "Photoshop"),
    (rb"%PDF", "PDF"),
    (rb"\s*<(?:\?xml|svg)", "SVG"),
    (rb"\x00\x00\x01\x00", "an icon"),
    (rb"v/1\x01", "OpenEXR"),
)
UNREAD_EXTENSIONS = frozenset(
    [
        ".heic", ".heif", ".hif", ".jxl", ".psd", ".svg", ".exr", ".hdr", ".ico", ".tga", ".jxr", ".wdp", ".dcm",
        ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw",
    ]
)  # fmt: skip
"""Files of these are images that are not read."""


def remedy(suffixes: Iterable[str]) -> str:
    """What makes readable files of those with these suffixes."""
    files = " ".join(f"'*{suffix}'" for suffix in suffixes)
    return f"convert them to JPEG or PNG, with ImageMagick: magick mogrify -format jpg {files}"


def plugin_for(data: bytes, name: str) -> Plugin | None:
    """Who reads this content; None for JPEG. What the file is called plays no part.

    Raises:
        ImageFormatError: nobody does, or it is empty.
    """
    if data.startswith(jpeg.SIGNATURE):
        return None
    for signature, plugin in _PILLOW_READS:
        if re.match(signature, data, re.DOTALL):
            return plugin
    if not data:
        raise ImageError(f"{name}: is empty")
    for signature, kind in _UNREAD:
        if re.match(signature, data, re.DOTALL):
            raise ImageFormatError(f"{name}: {unread(kind)}")
    raise ImageFormatError(f"{name}: not a picture; {READ} are read")


def unread(kind: str, reason: str = "") -> str:
    """The words for a whole file of a kind that is not read."""
    advice = (
        "name it with a video's extension, or save a frame" if kind == "a video" else "convert it to JPEG or PNG"
    )
    return f"not read: it looks like {kind}{reason and f' ({reason})'}; {advice}"


def refuse_size(width: int, height: int, limit: int, name: str) -> None:
    """Refuse a picture or frame of more than ``limit`` pixels, or of none.

    Raises:
        ImageSizeError: it has.
    """
    if width * height > limit:
        raise ImageSizeError(f"{name}: {width}×{height} pixels exceed the limit of {limit}; raise --max-pixels")
    if width * height <= 0:
        raise ImageSizeError(f"{name}: has no pixels ({width}×{height})")
