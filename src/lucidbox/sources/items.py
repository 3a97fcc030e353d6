"""What a source yields, and what a source is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import LucidboxError

SourceKind = Literal["image", "folder", "video", "camera", "url", "stdin", "hub", "refused"]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a stream.

    Attributes:
        pixels: RGB, upright, as a viewer shows it.
        source: where it came from: path, URL, "-" for standard input, ``hf:NAME:SPLIT#ROW``.
        name: what to call it when saving: the file name with its extension, below the folders that lie between
            it and the folder or pattern which the user named ("day1/street.jpg"); always relative, "/" between
            parts. Two sources may use the same name.
        frame: index of the frame in its video, counted from 0; None for a still picture.
        time: seconds since the video's first frame; None for a still picture.
        image_id: the data set's own number of the picture, where it states one.
        whole: height, width of the whole picture, where ``pixels`` may be a reduced copy of it; else None.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    source: str
    name: str
    frame: int | None = None
    time: float | None = None
    image_id: int | None = None
    whole: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height, width of the picture, which boxes refer to."""
        return self.whole or (self.pixels.shape[0], self.pixels.shape[1])


@dataclass(frozen=True)
class Failure:
    """Stands in a stream where something could not be read.

    Attributes:
        source: as in ``Picture``.
        error: its message is one line that names the source.
        passing: whether the source goes on all the same, having lost a part.
        counts: of a video that lost a part, how many ``frames`` were read and ``lost``.
    """

    source: str
    error: LucidboxError
    passing: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


LazyItem = Callable[[], Picture | Failure]
"""An item of a stream that is read when this is called."""


def lazy(item: Picture | Failure) -> LazyItem:
    """An item that has been read, in the form of one that has not."""
    return partial(_same, item)


def _same(item: Picture | Failure) -> Picture | Failure:
    return item


@runtime_checkable
class Source(Protocol):
    """A stream of pictures. Holds nothing open: each iteration opens what it needs, and closes it at its end.

    ``count`` is how many items will come, failures included; None if nobody knows, an estimate for a video.
    ``live`` streams do not wait: who is slow misses frames.
    """

    @property
    def kind(self) -> SourceKind: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def count(self) -> int | None: ...  # noqa: D102

    @property
    def live(self) -> bool: ...  # noqa: D102

    def __iter__(self) -> Iterator[Picture | Failure]: ...


@runtime_checkable
class Findable(Protocol):
    """A source that only tells what it is when it is asked for: an address may be a picture, a video or live."""

    def found(self) -> Source: ...  # noqa: D102


@dataclass(frozen=True)
class FailedSource:
    """An argument that cannot be opened: its failure waits here for its turn."""

    name: str
    error: LucidboxError
    kind: ClassVar[SourceKind] = "refused"
    count: ClassVar[int | None] = 1
    live: ClassVar[bool] = False

    def __iter__(self) -> Iterator[Picture | Failure]:
        """The failure."""
        yield Failure(self.name, self.error)
