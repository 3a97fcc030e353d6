"""``track``: a stream of results becomes one with identities over time, and with events at lines and zones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lucidbox.core.array_types import Int, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError, SourceError
from lucidbox.detect.stream import Result
from lucidbox.track.scene import Line, Zone
from lucidbox.track.scene_watcher import Event, LineCount, SceneWatcher, ZoneCount
from lucidbox.track.tracked import Tracker
from lucidbox.track.trackers import tracker_named


@dataclass(frozen=True, eq=False)
class TrackedResult(Result):
    """One frame of a video: the detections that belong to tracks, and what happened since the frame before.

    Attributes:
        ids: the track of each detection, from 1 in each video; never given to another object.
        held: ids of all tracks that have not ended, seen in this frame or not.
        begins: whether the frame is its video's first, with which ids and counts start anew.
        seconds: since the video's first frame; never less than those of the frame before.
        events: what objects did at lines and in zones.
        lines: counts of all lines so far.
        zones: counts of all zones now.
    """

    ids: Int[np.ndarray, " n"]
    held: frozenset[int]
    begins: bool
    seconds: float
    events: tuple[Event, ...] = ()
    lines: tuple[LineCount, ...] = ()
    zones: tuple[ZoneCount, ...] = ()

    def plot(self) -> UInt8[np.ndarray, "h w 3"]:
        """RGB pixels of the frame with its boxes coloured by id, and lines and zones with their counts."""
        from lucidbox.track.drawing import TrackDrawing

        return TrackDrawing(trails=0)(self)


def track(
    results: Iterable[Result],
    tracker: str | Tracker | None = None,
    *,
    lines: Sequence[Line] = (),
    zones: Sequence[Zone] = (),
) -> Iterator[TrackedResult]:
    """Give the objects of videos and cameras identities.

    Each video is tracked by itself. Its pixels are those of its first frame: where later frames have another size,
    they and their boxes are scaled to the first one's.

    Args:
        results: of :meth:`lucidbox.Detector.stream`, for example.
        tracker: a name, see :data:`lucidbox.track.TRACKERS`, or a tracker, which is reset before each video;
            by default the one that was best where trackers were compared.
        lines: to count crossings of, in pixels.
        zones: to count objects in, in pixels.

    Raises:
        OptionError: there is no such tracker, or two lines or zones have one name.
        SourceError: a result is of a still picture.

    Example:
        >>> for result in track(detector.stream("road.mp4"), lines=[Line("gate", (0, 300), (768, 300))]):
        ...     print(result.picture.frame, result.ids, result.events)
    """
    check_names([*lines, *zones])
    chosen = tracker_named(tracker) if tracker is None or isinstance(tracker, str) else tracker
    return _tracked(results, chosen, lines, zones)


def check_names(places: Sequence[Line | Zone]) -> None:
    """Refuse lines and zones of which two have one name.

    Raises:
        OptionError: names it.
    """
    names = [place.name for place in places]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"{name}: two lines or zones have this name; give each its own")


def _tracked(
    results: Iterable[Result], tracker: Tracker, lines: Sequence[Line], zones: Sequence[Zone]
) -> Iterator[TrackedResult]:
    watcher, size, source, last, seconds = SceneWatcher(lines, zones), (0, 0), "", -1, 0.0
    for given in results:
        picture = given.picture
        if picture.frame is None or picture.time is None:
            raise SourceError(f"{picture.source}: a still picture has no tracks; give a video or a camera")
        # A video may be named twice: then its frame numbers start again.
        begins = last < 0 or picture.source != source or picture.frame <= last
        source, last = picture.source, picture.frame
        if begins:
            watcher, size, seconds = SceneWatcher(lines, zones), picture.size, picture.time
            tracker.reset()
        result, seconds = _scaled(given, size), max(seconds, picture.time)
        found = tracker.update(_finite(result.detections), seconds)
        held = frozenset(tracker.held)
        events = watcher.update(found.detections, found.ids, seconds, held)
        yield TrackedResult(
            result.picture, found.detections, result.milliseconds, found.ids, held, begins, seconds,
            events, watcher.lines, watcher.zones,
        )  # fmt: skip


def _finite(detections: Detections) -> Detections:
    """The detections whose numbers are finite: others, of broken weights, are nowhere."""
    finite = np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
    return detections if finite.all() else detections[finite]


def _scaled(result: Result, size: tuple[int, int]) -> Result:
    """A result whose picture has another size than its video's first frame, scaled to that."""
    picture = result.picture
    if picture.size == size:
        return result
    height, width = picture.size
    scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    detections = replace(result.detections, boxes=result.detections.boxes * scale)
    if picture.whole is None:
        pixels = cv2.resize(picture.pixels, size[::-1], interpolation=cv2.INTER_AREA)
        picture = replace(picture, pixels=np.asarray(pixels, np.uint8))
    else:
        picture = replace(picture, whole=size)
    return replace(result, picture=picture, detections=detections)
