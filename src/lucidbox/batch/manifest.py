"""What a manifest is: numbered images, of which any part can be read without the others."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lucidbox.batch.detecting import ImageItem
from lucidbox.core.errors import DataError
from lucidbox.core.storage import local_path, within


@dataclass(frozen=True)
class Manifest(ABC):
    """Numbered images. Small, whatever it names, and may be pickled: other processes read their part themselves.

    Attributes:
        source: what the user named.
        count: number of images.
        hash: SHA-256 of what it names, as 64 hexadecimal digits; the same for the same names in another form.
        base: folder that relative names begin at.
        notes: what of a folder or pattern is not looked at, in sentences.
    """

    source: str
    count: int
    hash: str
    base: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        """So many images from this one on.

        Raises:
            SourceError: the manifest cannot be read any more.
        """


@dataclass(frozen=True)
class NamedImages(Manifest):
    """Names in memory, of a folder's files."""

    names: tuple[str, ...]

    def items(self, first: int, count: int) -> Iterator[ImageItem]:
        """So many images from this one on."""
        return (ImageItem(name, place=within(self.base, name)) for name in self.names[first : first + count])


def counted(source: str, names: Iterable[bytes]) -> tuple[int, str]:
    """Number and hash of names.

    Args:
        source: what they come from, for errors.
        names: in order.

    Raises:
        DataError: there are none.
    """
    digest, count = hashlib.sha256(), 0
    for name in names:
        digest.update(name + b"\n")
        count += 1
    if not count:
        raise DataError(f"{source}: names no images")
    return count, digest.hexdigest()


def folder_of(uri: str) -> str:
    """The folder of a file, absolute, so that other processes find the same."""
    path = local_path(uri)
    return uri[: uri.rindex("/") + 1] if path is None else str(path.absolute().parent)
