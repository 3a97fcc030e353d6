"""Sizes of many pictures from their first bytes, without decoding them."""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path

from lucidbox.core.parallel import in_threads
from lucidbox.core.progress import Progress, no_progress
from lucidbox.images.kinds import FORMATS
from lucidbox.images.tiff import packed_tiff

# Python's own part of a header takes as long as the file's: one at a time, threads would only fight over it.
_CHUNK = 32
_ORIENTATION, _TURNED = 0x0112, frozenset(range(5, 9))
_SIDES = (0x0100, 0x0101)


@dataclass(frozen=True)
class Header:
    """What a picture says of itself.

    Attributes:
        width: as a viewer shows it, in pixels; likewise ``height``.
        height: see ``width``.
        orientation: EXIF's; 1 is upright, 5 to 8 mean that pixels are stored with width and height exchanged.
        error: why nothing could be read; empty if all is well.
        format: of the file, as Pillow calls it: JPEG, PNG, …
    """

    width: int = 0
    height: int = 0
    orientation: int = 1
    error: str = ""
    format: str = ""

    @property
    def turned(self) -> bool:
        """Whether width and height are stored the other way round."""
        return self.orientation in _TURNED


def read_header(source: Path | BytesIO) -> Header:
    """Size and orientation of an image's file or bytes; an error is stated in the result, not raised."""
    from PIL import Image, UnidentifiedImageError

    Image.init()  # does nothing the second time
    try:
        with Image.open(source, formats=FORMATS if "AVIF" in Image.OPEN else FORMATS[:-1]) as image:
            # A PNG's EXIF may stand behind its pixels: getexif would decode them, and a PNG turned so is rare.
            tiff = image.format == "TIFF"  # whose tags are EXIF's, and whose size Pillow states as it is shown
            orientation = (tiff or image.info.get("exif")) and image.getexif().get(_ORIENTATION, 1)
            width, height = (image.getexif()[tag] for tag in _SIDES) if tiff else image.size
            header = Header(
                width, height, orientation if isinstance(orientation, int) else 1, "", str(image.format)
            )
    except UnidentifiedImageError:
        if (packed := _packed_header(source)) is not None:
            return packed
        length = source.stat().st_size if isinstance(source, Path) else len(source.getbuffer())
        return Header(error="not a picture, or its start is damaged" if length else "is empty")
    except FileNotFoundError:
        return Header(error="no such file")
    except Exception as error:  # damaged bytes make Pillow's parsers raise nearly every type of error
        return Header(error=str(getattr(error, "strerror", None) or error or type(error).__name__))
    return _upright(header)


def _packed_header(source: Path | BytesIO) -> Header | None:
    """The header of a TIFF whose bits a sample are unknown to Pillow."""
    try:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            stated = packed_tiff(file)
    except Exception:  # damaged, as Pillow has said
        return None
    return stated and _upright(Header(stated.width, stated.height, stated.orientation))


def _upright(header: Header) -> Header:
    """The header with width and height as a viewer shows them."""
    return replace(header, width=header.height, height=header.width) if header.turned else header


def read_headers(paths: Sequence[Path], progress: Progress = no_progress) -> list[Header]:
    """Sizes of many pictures, in their order; files are read side by side, which helps on slow disks."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    # Pillow warns of odd metadata and of large pictures; what matters of that is said in a Header or by
    # images.read_image. The filters are the process's, so they are changed once, around all threads.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(progress(chain.from_iterable(in_threads(_read_several, chunks)), len(paths)))


def _read_several(paths: Sequence[Path]) -> list[Header]:
    return [read_header(path) for path in paths]
