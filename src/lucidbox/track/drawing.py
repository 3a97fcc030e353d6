"""Tracks on frames: boxes coloured by id, the way that objects came, lines and zones with their counts."""

from collections import deque

import cv2
import numpy as np

from lucidbox.core.array_types import Int, UInt8
from lucidbox.detect.stream import Result
from lucidbox.draw.annotate import Style, draw, draw_text, track_colour
from lucidbox.draw.palette import Colour
from lucidbox.track.scene import Line, Point, standing_points
from lucidbox.track.scene_watcher import LineCount, ZoneCount
from lucidbox.track.tracking import TrackedResult

_LINE: Colour = (255, 255, 255)
_ZONE: Colour = (240, 228, 66)
_FARTHEST = 1e6  # pixels; OpenCV takes 32 bits


class TrackDrawing:
    """Draws frames of :func:`lucidbox.track.track`, which it must be given in their order.

    Args:
        trails: points of the way behind an object, one a frame; 0 draws none.

    Example:
        >>> drawing = TrackDrawing(trails=30)
        >>> for result in track(detector.stream("road.mp4")):
        ...     pixels = drawing(result)
    """

    def __init__(self, trails: int = 30) -> None:
        self._length = trails
        self._trails: dict[int, deque[Point]] = {}

    def __call__(self, result: Result, max_labels: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """RGB pixels of the frame with everything on it; of the boxes at most so many are labelled."""
        assert isinstance(result, TrackedResult)
        canvas = np.array(result.picture.pixels, order="C")
        style = Style.for_picture(*canvas.shape[:2])
        self._remember(result)
        for zone in result.zones:
            _draw_way(canvas, zone.place.corners, _ZONE, style.line, closed=True)
        for line in result.lines:
            _draw_way(canvas, _arrow(line.place, 5 * style.line), _LINE, style.line)
        for track, trail in self._trails.items():
            _draw_way(canvas, tuple(trail), track_colour(track), style.line)
        canvas = draw(canvas, result.detections, tracks=result.ids, max_labels=max_labels)
        for zone in result.zones:
            draw_text(canvas, _zone_text(zone), zone.place.corners[0], _ZONE)
        for line in result.lines:
            (left, top), (right, bottom) = line.place.start, line.place.end
            draw_text(canvas, _line_text(line), ((left + right) / 2, (top + bottom) / 2), _LINE)
        return canvas

    def _remember(self, result: TrackedResult) -> None:
        """Lengthen the trails of objects that are seen; drop those of tracks that ended."""
        if result.begins:
            self._trails = {}
        if not self._length:
            return
        for track in [track for track in self._trails if track not in result.held]:
            del self._trails[track]
        for track, (x, y) in zip(
            result.ids.tolist(), standing_points(result.detections.boxes).tolist(), strict=True
        ):
            self._trails.setdefault(track, deque(maxlen=self._length)).append((x, y))


def _arrow(line: Line, size: int) -> tuple[Point, ...]:
    """The line with a head at its end, which shows what its right and its left are."""
    (x, y), way = line.end, np.subtract(line.end, line.start)
    back = -size * way / np.hypot(*way)
    barbs = [(x + back[0] + side * back[1] / 2, y + back[1] - side * back[0] / 2) for side in (1, -1)]
    return (line.start, line.end, barbs[0], line.end, barbs[1])


def _line_text(count: LineCount) -> str:
    return f"{count.place.name}: right {count.right}, left {count.left}"


def _zone_text(count: ZoneCount) -> str:
    return f"{count.place.name}: inside {count.inside}, entered {count.entered}"


def _draw_way(
    canvas: UInt8[np.ndarray, "h w 3"], points: tuple[Point, ...], colour: Colour, line: int, closed: bool = False
) -> None:
    """A line through points, drawn into the canvas, with a dark rim, so that it is seen on any ground."""
    way: Int[np.ndarray, "n 2"] = np.rint(np.clip(points, -_FARTHEST, _FARTHEST)).astype(np.int32)
    for shade, width in (((0, 0, 0), line + 2), (colour, line)):
        cv2.polylines(canvas, [way], closed, shade, width, cv2.LINE_AA)
