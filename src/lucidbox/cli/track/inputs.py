"""What ``lucidbox track`` is given: videos, in which it detects, or boxes that were made elsewhere."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.cli.console import say_note
from lucidbox.cli.options import load_detector, tiles_of
from lucidbox.cli.predict import limits_of, reading_of
from lucidbox.core.class_names import class_ids
from lucidbox.core.errors import OptionError, SourceError
from lucidbox.detect.stream import Result
from lucidbox.save.video import USUAL_FPS
from lucidbox.sources import FailedSource, Failure, Sources, open_sources

_SLOWEST, _FASTEST = 1e-3, 1e6  # frames a second that --fps takes
_VIDEOS = ("video", "camera", "url", "refused")
_OF_PICTURES = {
    **dict.fromkeys(("weights", "layout", "names", "size", "iou", "max_det", "max_pixels", "save", "max_labels")),
    **dict.fromkeys(("tiles", "tile_overlap")),
    **dict.fromkeys(("agnostic", "recursive", "txt", "crops", "webm"), False),
    **{"engine": "auto", "precision": "auto", "batch": 1, "video_stride": 1},
}
"""Options that mean nothing where there are boxes already and no pictures, and what they are if not given."""


@dataclass(frozen=True)
class Input:
    """Frames of videos.

    Attributes:
        results: every frame, given what is to be called with each thing that cannot be read.
        count: how many frames; None if nobody knows.
        videos: how many videos.
        sources: where pictures come from; None where there are none.
    """

    results: Callable[[Callable[[Failure], None]], Iterator[Result]]
    count: int | None
    videos: int
    sources: Sources | None = None


def open_input(arguments: argparse.Namespace, folder: Path) -> Input:
    """What the arguments name; results go to ``folder``.

    Raises:
        OptionError: there is nothing to track, or an option does not fit the others.
        DataError: the file of boxes is malformed.
    """
    if arguments.fps is not None and not _SLOWEST <= arguments.fps <= _FASTEST:
        raise OptionError(f"--fps {arguments.fps:g}: expected frames a second, {_SLOWEST:g} to {_FASTEST:g}")
    if arguments.detections:
        return _boxes(arguments)
    if not arguments.sources:
        raise OptionError("nothing to track; name a video or a camera, or a file of boxes with --detections")
    if arguments.fps is not None:
        raise OptionError("--fps is of MOT text in --detections; videos have times of their own")
    return _videos(arguments, folder)


def _videos(arguments: argparse.Namespace, folder: Path) -> Input:
    sources = open_sources(arguments.sources, **reading_of(arguments), results=folder)
    sources = replace(
        sources, parts=tuple(part if part.kind in _VIDEOS else _refused(part.name) for part in sources.parts)
    )
    tiles = tiles_of(arguments)
    detector = load_detector(arguments, batch=arguments.batch, **limits_of(arguments))

    def results(on_failure: Callable[[Failure], None]) -> Iterator[Result]:
        for result in detector.stream(sources, on_failure=on_failure, **tiles):
            source = result.picture.source
            if result.picture.frame is None:  # what an address led to
                on_failure(Failure(source, _refused(source).error))
            else:
                yield result

    return Input(results, sources.count, len(sources.parts), sources)


def _refused(name: str) -> FailedSource:
    return FailedSource(name, SourceError(f"{name}: single pictures have no tracks; name videos or cameras"))


def _boxes(arguments: argparse.Namespace) -> Input:
    from lucidbox.track.boxes import open_boxes

    if arguments.sources:
        raise OptionError(
            f"--detections tracks without pictures; leave {arguments.sources[0]} out, or --detections"
        )
    for name, default in _OF_PICTURES.items():
        if getattr(arguments, name) != default:
            raise OptionError(f"--{name.replace('_', '-')} means nothing with --detections; leave it out")
    file = open_boxes(arguments.detections, arguments.fps or USUAL_FPS)
    for note in file.notes:
        say_note(note)
    wanted = None if arguments.classes is None else class_ids(arguments.classes, file.names)
    least = arguments.conf

    def chosen(result: Result) -> Result:
        found = result.detections
        kept = np.ones(len(found), bool) if least is None else found.scores > least
        if wanted is not None:
            kept &= np.isin(found.classes, wanted)
        return replace(result, detections=found[kept])

    def results(on_failure: Callable[[Failure], None]) -> Iterator[Result]:
        del on_failure
        return map(chosen, file.results())

    if arguments.to and not file.sized:
        raise OptionError(
            f"--to needs the size of frames, which MOT text like {arguments.detections} does not state"
        )
    return Input(results, None, file.videos)


def check_single(given: Input, options: dict[str, Any]) -> None:
    """Refuse files of one video's tracks, by option, where there are several videos.

    Raises:
        OptionError: names the option.
    """
    for option, value in options.items():
        if value and given.videos > 1:
            raise OptionError(f"{option} holds the tracks of one video, and here are {given.videos}; name one")
