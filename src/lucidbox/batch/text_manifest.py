"""Text files of names, one a line; the place of every 1,000th is remembered, the names are not."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lucidbox.batch.detecting import ImageItem
from lucidbox.batch.manifest import Manifest, counted, folder_of
from lucidbox.core.errors import DataError
from lucidbox.core.storage import open_stored, told, within

STEP = 1000
"""Lines between those whose place is remembered."""


@dataclass(frozen=True)
class ListedImages(Manifest):
    """A text file of names, one a line. ``places`` are the bytes at which every 1,000th of them begins."""

    places: tuple[int, ...]

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        """So many images from this one on."""
        if count < 1:
            return
        uri = within(self.base, self.source.rpartition("/")[2])
        with open_stored(uri) as stream, told(uri):
            stream.seek(self.places[first // STEP])
            names = islice(filter(None, map(_name_in, stream)), first % STEP, first % STEP + count)
            for name in names:
                text = _text(name, self.source)
                yield ImageItem(text, place=within(self.base, text))


def listed_images(source: str) -> ListedImages:
    """Go through a text file once.

    Raises:
        SourceError: it cannot be read.
        DataError: it has no names.
    """
    places: list[int] = []
    with open_stored(source) as stream, told(source):
        count, digest = counted(source, _placed(stream, places))
    return ListedImages(source, count, digest, folder_of(source), tuple(places))


def _placed(stream: Any, places: list[int]) -> Iterator[bytes]:
    """The names in a text file; the bytes at which every 1,000th begins go into ``places``."""
    place = row = 0
    for line in stream:
        name = _name_in(line)
        if name:
            if row % STEP == 0:
                places.append(place)
            row += 1
            yield name
        place += len(line)


def _name_in(line: bytes) -> bytes:
    """The name on a line; nothing for empty lines and comments, which begin with ``#``."""
    name = line.strip().removeprefix(b"\xef\xbb\xbf")
    return b"" if name[:1] == b"#" else name


def _text(name: bytes, source: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise DataError(f"{source}: {name!r} is not UTF-8; write the manifest as UTF-8") from None
