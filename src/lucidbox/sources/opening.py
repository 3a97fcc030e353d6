"""From what a user typed to sources. The rarer kinds are imported when one of them is named."""

import glob
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lucidbox.core.errors import LucidboxError, SourceError, check_whole_number
from lucidbox.core.file_names import PICTURE_EXTENSIONS, VIDEO_EXTENSIONS
from lucidbox.images.reading import MAX_PIXELS
from lucidbox.sources.files import StillPictures, name_below
from lucidbox.sources.items import FailedSource, Failure, Findable, LazyItem, Picture, Source, lazy

if TYPE_CHECKING:
    from lucidbox.sources.folders import Found, PassedOver

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_STREAMS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "srt"})
_LONGEST_LIST = 2**26
_AHEAD = 4  # frames that are decoded before they are asked for


@dataclass(frozen=True)
class Sources:
    """Several sources, read one after the other.

    Attributes:
        parts: the sources. One argument may give several: a folder of pictures and videos gives its pictures
            as one source, then a source for each video.
        passed_over: what of folders and patterns is not read.
    """

    parts: tuple[Source, ...]
    passed_over: "tuple[PassedOver, ...]" = ()

    @property
    def count(self) -> int | None:
        """How many items will come; None if a part does not know."""
        counts = [part.count for part in self.parts]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def live(self) -> bool:
        """Whether a part does not wait for its reader."""
        return any(part.live for part in self.parts)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """Every picture, or its failure, of every part."""
        for part in self.parts:
            yield from part

    def lazy_items(self) -> Generator[LazyItem, None, None]:
        """The same items, in the same order, each to be read by a call, in any thread.

        Picture files are read by that call. Videos and data sets, which only give one item after the other, are
        read ahead by a thread of their own; of a live source the newest frame is given, and those that nobody
        asked for in time are dropped.
        """
        for named in self.parts:
            part = named.found() if isinstance(named, Findable) else named
            if isinstance(part, StillPictures):
                yield from (partial(part.read, path) for path in part.paths)
            elif part.live or part.kind in ("video", "hub"):
                from lucidbox.sources.ahead import ahead, newest

                with closing(newest(part) if part.live else ahead(part, _AHEAD)) as items:
                    yield from map(lazy, items)
            else:
                yield from map(lazy, part)


@dataclass(frozen=True)
class _Options:
    recursive: bool
    video_stride: int
    max_pixels: int
    reduced_within: tuple[int, int] | None
    results: Path | None
    passed_over: "list[PassedOver]"


def open_sources(
    arguments: str | Path | Sequence[str | Path],
    *,
    recursive: bool = False,
    video_stride: int = 1,
    max_pixels: int = MAX_PIXELS,
    reduced_within: tuple[int, int] | None = None,
    results: Path | None = None,
) -> Sources:
    """Find out what each argument is. Nothing is decoded yet.

    An argument is, tried in this order: ``-`` (standard input), ``hf:NAME[:SPLIT]``, ``camera:0``, an address
    (http, https: a picture, a video or live video; rtsp: live video), an existing file or folder, a camera's bare
    number, a pattern with ``*``, ``?`` or ``[``. A file is a video by its extension or, where that says nothing,
    by its first bytes; a list of sources, one a line, if it ends in ``.txt``; any other is read as a picture.

    An argument that is none of these gives a part that yields its ``Failure``; the others are read all the same.

    Args:
        arguments: what the user typed, in order; one alone may stand without a list.
        recursive: look into subfolders of folders, too.
        video_stride: of video files, give every n-th frame.
        max_pixels: refuse pictures and frames of more pixels.
        reduced_within: height, width that pictures will be shrunk into: JPEG files at least twice as large are
            decoded in part. ``Picture.size`` still is the whole picture's.
        results: where the caller will write: that folder, and the numbered ones beside it, are not looked into.

    Raises:
        OptionError: ``video_stride`` or ``max_pixels`` is less than 1.
    """
    for option, value in (("--video-stride", video_stride), ("--max-pixels", max_pixels)):
        check_whole_number(option, value)
    several = [arguments] if isinstance(arguments, (str, Path)) else arguments
    options = _Options(recursive, video_stride, max_pixels, reduced_within, results, [])
    parts = tuple(part for argument in several for part in _open(str(argument), options))
    return Sources(parts, tuple(options.passed_over))


def _open(argument: str, options: _Options) -> list[Source]:
    try:
        return _open_address(argument, options) or _open_path(argument, options)
    except LucidboxError as error:
        return [FailedSource(argument, error)]
    except (OSError, ValueError) as error:  # a name too long, a null byte, a folder that must not be entered
        reason = getattr(error, "strerror", None) or error
        return [FailedSource(argument, SourceError(f"{argument!r}: cannot be opened ({reason})"))]


def _open_address(argument: str, options: _Options) -> list[Source]:
    """The source if the argument names one by a form of its own; empty if it looks like a path."""
    if argument == "-":
        from lucidbox.sources.standard_input import StandardInput

        return [StandardInput(options.max_pixels)]
    if argument.startswith("hf:"):
        from lucidbox.sources.hub import HubDataset

        return [HubDataset.parse(argument, options.max_pixels)]
    if argument.startswith("camera:"):
        return [_camera(argument.removeprefix("camera:"), options)]
    if (match := _SCHEME.match(argument)) is None:
        return []
    scheme = match[1].lower()
    if scheme in ("http", "https"):
        from lucidbox.sources.addresses import Url

        return [Url(argument, options.max_pixels, stride=options.video_stride)]
    if scheme in _STREAMS:
        return [_camera(argument, options)]
    from lucidbox.sources.cameras import without_password

    shown = without_password(argument)
    return [
        FailedSource(shown, SourceError(f"{shown}: {scheme} addresses are not read; http, https and rtsp are"))
    ]


def _camera(address: str, options: _Options) -> Source:
    from lucidbox.sources.cameras import Camera

    if _SCHEME.match(address):
        return Camera(address, options.max_pixels)
    if not address.isdecimal():
        raise SourceError(f"camera:{address}: a camera has a number; the first is camera:0")
    return Camera(int(address), options.max_pixels)


def _open_path(argument: str, options: _Options) -> list[Source]:
    if not argument:
        raise SourceError("an empty name is no source")
    path = Path(argument)
    if path.is_dir():
        from lucidbox.sources.folders import find_in_folder

        return _found(
            argument, find_in_folder(path, recursive=options.recursive, results=options.results), options
        )
    exists = path.exists()
    if exists and path.suffix.lower() == ".txt":
        return _listed(path, options)
    if exists and _is_video(path):
        return [_video(path, path.name, options)]
    if exists:
        return [
            StillPictures(
                argument, path.parent, (path,), "image", options.max_pixels, within=options.reduced_within
            )
        ]
    if argument.isdecimal():
        return [_camera(argument, options)]
    if glob.has_magic(argument):
        from lucidbox.sources.folders import find_by_pattern

        return _found(argument, find_by_pattern(argument, options.results), options)
    raise SourceError(f"{argument}: no such file or folder")


def _is_video(path: Path) -> bool:
    """Whether a file is a video, by its extension or, where that tells nothing, by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_EXTENSIONS or suffix in PICTURE_EXTENSIONS or not path.is_file():
        return suffix in VIDEO_EXTENSIONS
    from lucidbox.sources.containers import begins_like_video

    with path.open("rb") as file:
        return begins_like_video(file.read(400))


def _listed(path: Path, options: _Options) -> list[Source]:
    """The sources that a text file names, one a line, relative to here or to the file's own folder.

    Raises:
        SourceError: it names none.
    """
    if not path.is_file() or path.stat().st_size > _LONGEST_LIST:
        raise SourceError(f"{path}: no list of pictures: not a text file of at most {_LONGEST_LIST >> 20} MiB")
    lines = [os.fsdecode(line).strip() for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()]
    named = [line for line in lines if line and not line.startswith("#")]
    parts = [part for line in named for part in _open_line(line, path.parent, options)]
    if all(isinstance(part, FailedSource) for part in parts):
        example = f", such as {named[0][:80]!r}" if named else ""
        raise SourceError(
            f"{path}: no list of pictures: not one of its {len(named)} lines names a source{example}"
        )
    return parts


def _open_line(line: str, folder: Path, options: _Options) -> list[Source]:
    if Path(line).suffix.lower() == ".txt":
        return [FailedSource(line, SourceError(f"{line}: a list within a list is not read"))]
    beside = folder / line
    there = not _SCHEME.match(line) and not Path(line).exists() and (beside.exists() or glob.has_magic(line))
    return _open(str(beside) if there else line, options)


def _found(argument: str, found: "Found", options: _Options) -> list[Source]:
    """A folder's or pattern's pictures as one source, its videos as one each, and what could not be listed."""
    parts: list[Source] = []
    if found.passed_over.files or found.passed_over.folders:
        options.passed_over.append(found.passed_over)
    if found.pictures:
        parts.append(
            StillPictures(
                argument,
                found.root,
                found.pictures,
                max_pixels=options.max_pixels,
                within=options.reduced_within,
            )
        )
    parts += [_video(path, name_below(found.root, path), options) for path in found.videos]
    return parts + [FailedSource(argument, error) for error in found.errors]


def _video(path: Path, called: str, options: _Options) -> Source:
    from lucidbox.sources.videos import Video

    return Video(path, options.video_stride, options.max_pixels, called)
