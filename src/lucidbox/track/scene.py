"""Counting lines and zones in an image, and where points lie to them.

An object is where it stands: the middle of its box's lower edge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.errors import OptionError

Point = tuple[float, float]
"""x, y in pixels of the image."""

_FARTHEST = 1e6  # pixels


@dataclass(frozen=True)
class Line:
    """A line that objects are counted over, from ``start`` to ``end``.

    Raises:
        OptionError: both are one point, or a number is none of pixels.
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        _check_numbers("line", self.name, (self.start, self.end))
        if self.start == self.end:
            raise OptionError(f"line {self.name}: both ends are the same point; give two")


@dataclass(frozen=True)
class Zone:
    """A polygon in which objects are counted.

    Raises:
        OptionError: it has fewer than three corners or no area, crosses itself, or a number is none of pixels.
    """

    name: str
    corners: tuple[Point, ...]

    def __post_init__(self) -> None:
        _check_numbers("zone", self.name, self.corners)
        if len(self.corners) < 3:
            raise OptionError(f"zone {self.name}: {len(self.corners)} corners; a zone has three at least")
        edges = self.edges()
        for (first, one), (second, other) in combinations(enumerate(edges), 2):
            neighbours = second - first == 1 or second - first == len(edges) - 1
            if _meet(*one, *other, neighbours):
                raise OptionError(
                    f"zone {self.name}: its border crosses or touches itself; list its corners in turn"
                )

    def edges(self) -> list[tuple[Point, Point]]:
        """Pairs of corners that follow one another; the last closes the polygon."""
        return list(zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True))


def _check_numbers(kind: str, name: str, points: Iterable[Point]) -> None:
    if not all(abs(value) <= _FARTHEST for point in points for value in point):
        raise OptionError(f"{kind} {name}: a coordinate is not a number of pixels up to {_FARTHEST:g}")


def turn(a: Point, b: Point, c: Point) -> float:
    """Twice the area of a triangle; positive if c is to the right of the line from a to b, y pointing down."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, a point on the line through a and b, lies from a to b."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _meet(a: Point, b: Point, c: Point, d: Point, neighbours: bool) -> bool:
    """Whether the edges ab and cd have a point in common, besides the corner that neighbours share."""
    if neighbours:
        if b != c:  # the last edge and the first
            a, b, c, d = c, d, a, b
        # They fold back onto one another, or one of them has no length.
        turned = (b[0] - a[0]) * (d[0] - c[0]) + (b[1] - a[1]) * (d[1] - c[1])
        return a == b or c == d or (turn(a, b, d) == 0 and turned < 0)
    one, two, three, four = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if (one > 0) != (two > 0) and (three > 0) != (four > 0) and 0 not in (one, two, three, four):
        return True
    touching = ((one, a, b, c), (two, a, b, d), (three, c, d, a), (four, c, d, b))
    return any(turn == 0 and _between(start, end, point) for turn, start, end, point in touching)


def standing_points(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2"]:
    """Where the objects of xyxy boxes stand: x, y of the middle of the lower edge."""
    left, _, right, bottom = boxes.astype(np.float64).T
    return np.stack([(left + right) / 2, bottom], axis=1)


def distances_from_line(points: Float[np.ndarray, "n 2"], line: Line) -> Float[np.ndarray, " n"]:
    """Pixels from the line, extended without end; positive on its right."""
    start, way = np.array(line.start), np.subtract(line.end, line.start)
    apart = points - start
    distances: Float[np.ndarray, " n"] = (way[0] * apart[:, 1] - way[1] * apart[:, 0]) / np.hypot(*way)
    return distances


def is_beside(line: Line, point: Sequence[float]) -> bool:
    """Whether the foot of the perpendicular from a point lies between the line's ends."""
    start, way = np.array(line.start), np.subtract(line.end, line.start)
    return bool(0 <= np.dot(np.array(point) - start, way) <= np.dot(way, way))


def depths_in_zone(points: Float[np.ndarray, "n 2"], zone: Zone) -> Float[np.ndarray, " n"]:
    """Pixels from the zone's border; positive within."""
    starts = np.array(zone.corners, np.float64)
    ends = np.roll(starts, -1, axis=0)
    way, apart = ends - starts, points[:, None] - starts
    share = np.clip((apart * way).sum(axis=2) / (way**2).sum(axis=1), 0, 1)
    nearest = np.linalg.norm(apart - share[..., None] * way, axis=2).min(axis=1)
    # A ray to the right meets the border an odd number of times from within.
    x, y = points[:, None, 0], points[:, None, 1]
    spans = (starts[:, 1] > y) != (ends[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = starts[:, 0] + (y - starts[:, 1]) / way[:, 1] * way[:, 0] > x
    within = (spans & meets).sum(axis=1) % 2 == 1
    depths: Float[np.ndarray, " n"] = np.where(within, nearest, -nearest)
    return depths


def is_outside(place: Line | Zone, height: int, width: int) -> bool:
    """Whether no part of a line or zone lies in an image of this size."""
    edges = [(place.start, place.end)] if isinstance(place, Line) else place.edges()
    if any(_enters(*edge, height, width) for edge in edges):
        return False
    centre = np.array([[width / 2, height / 2]])
    return isinstance(place, Line) or bool(depths_in_zone(centre, place)[0] < 0)


def _enters(start: Point, end: Point, height: int, width: int) -> bool:
    """Whether the way between two points meets a rectangle that begins at 0, 0 (Liang and Barsky, 1984)."""
    first, last = 0.0, 1.0
    for begin, way, limit in ((start[0], end[0] - start[0], width), (start[1], end[1] - start[1], height)):
        if way == 0:
            if not 0 <= begin <= limit:
                return False
            continue
        near, far = sorted((-begin / way, (limit - begin) / way))
        first, last = max(first, near), min(last, far)
    return first <= last
