"""One picture from standard input."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import ClassVar, cast

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS, read_image
from lucidbox.sources.items import Failure, Picture, SourceKind

_NAME = "standard input"
_REMEDY = "try: lucidbox predict - < picture.jpg"


@dataclass(frozen=True)
class StandardInput:
    """The bytes of one picture, up to their end. Can be read once.

    Attributes:
        max_pixels: larger pictures are refused.
        stream: read instead of standard input.
    """

    max_pixels: int = MAX_PIXELS
    stream: BufferedIOBase | None = None
    name: ClassVar[str] = "-"
    kind: ClassVar[SourceKind] = "stdin"
    count: ClassVar[int | None] = 1
    live: ClassVar[bool] = False

    def __iter__(self) -> Iterator[Picture | Failure]:
        """The picture, or why there is none."""
        try:
            if self.stream is None and sys.stdin is None:  # the program was started with it closed (<&-)
                raise SourceError(f"{_NAME}: is closed; {_REMEDY}")
            stream = self.stream or cast(BufferedIOBase, sys.stdin.buffer)
            if stream.isatty():
                raise SourceError(f"{_NAME}: nothing is piped in; {_REMEDY}")
            pixels = read_image(stream, max_pixels=self.max_pixels, name=_NAME)
        except LucidboxError as error:
            yield Failure(self.name, error)
        else:
            yield Picture(pixels, self.name, "stdin")
