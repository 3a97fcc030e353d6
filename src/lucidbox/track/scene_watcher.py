"""What tracks do at lines and in zones: cross, enter, leave, stay."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.detections import Detections
from lucidbox.track.scene import (
    Line,
    Zone,
    depths_in_zone,
    distances_from_line,
    is_beside,
    standing_points,
    turn,
)

Side = Literal["left", "right"]
"""Of a line, for who looks from its first point to its second."""

_MARGIN = 0.05
"""Share of a box's longer side by which an object must be past a line or a border: boxes tremble."""
_ON_BORDER = 0.5  # pixels from a zone's border at which an object that appears is within


@dataclass(frozen=True)
class Event:
    """What an object did at a line or in a zone.

    Attributes:
        kind: "crossed" a line; "entered" or "left" a zone. An object that is first seen in a zone entered it then.
            One that is lost in a zone left it when it was last seen; that is known, and told, once its track ends.
        place: name of the line or zone.
        track: the object's id.
        label: its class name.
        time: seconds since the video's first frame, interpolated between the frames before and after.
        side: to which side a line was crossed.
        dwell: seconds that an object which left was in the zone.
    """

    kind: Literal["crossed", "entered", "left"]
    place: str
    track: int
    label: str
    time: float
    side: Side | None = None
    dwell: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: ``event``, ``line`` or ``zone``, ``side``, ``track``, ``label``, ``time``, ``dwell``."""
        place = "line" if self.kind == "crossed" else "zone"
        values: dict[str, Any] = {"event": self.kind, place: self.place, "side": self.side, "track": self.track}
        values |= {"label": self.label, "time": round(self.time, 3)}
        values["dwell"] = None if self.dwell is None else round(self.dwell, 3)
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class LineCount:
    """How many objects crossed a line so far, to its right and to its left."""

    place: Line
    right: int = 0
    left: int = 0


@dataclass(frozen=True)
class ZoneCount:
    """How many objects are in a zone now, and how many entered it so far."""

    place: Zone
    inside: int = 0
    entered: int = 0


@dataclass
class _Known:
    """What is known of one object.

    Attributes:
        label: its class, when it was last seen.
        time: when that was.
        sides: for each line, where and when the object was last seen on the side which it counts to: signed
            distance, x, y, time; None as long as it has only been seen on the line.
        since: for each zone, when it entered; None if it is not inside.
        steady: for each zone, where and when the object was last seen as it counts, inside or outside: x, y, time;
            None before the first frame.
    """

    label: str
    time: float
    sides: list[tuple[float, float, float, float] | None]
    since: list[float | None]
    steady: list[tuple[float, float, float] | None]


class SceneWatcher:
    """Follows the tracks of one video over lines and zones.

    To cross a line, an object must come past it by a twentieth of its box's longer side, and the way between the
    frames must meet the line between its ends; so who stands on it is not counted again and again. Borders of
    zones likewise. An object that was hidden meanwhile counts by where it was before and after.

    Example:
        >>> watcher = SceneWatcher([Line("gate", (0, 300), (768, 300))])
        >>> events = watcher.update(detections, ids, seconds, tracker.held)
    """

    def __init__(self, lines: Sequence[Line] = (), zones: Sequence[Zone] = ()) -> None:
        self._lines, self._zones = tuple(lines), tuple(zones)
        self._known: dict[int, _Known] = {}
        self._crossed = {(line.name, side): 0 for line in lines for side in ("right", "left")}
        self._entered = [0] * len(self._zones)

    @property
    def lines(self) -> tuple[LineCount, ...]:
        """The counts of all lines so far."""
        counts = self._crossed
        return tuple(LineCount(one, counts[one.name, "right"], counts[one.name, "left"]) for one in self._lines)

    @property
    def zones(self) -> tuple[ZoneCount, ...]:
        """The counts of all zones now."""
        inside = [sum(known.since[row] is not None for known in self._known.values()) for row in self._rows()]
        return tuple(map(ZoneCount, self._zones, inside, self._entered))

    def _rows(self) -> range:
        return range(len(self._zones))

    def update(
        self, detections: Detections, ids: Int[np.ndarray, " n"], seconds: float, held: Container[int]
    ) -> tuple[Event, ...]:
        """What happened between the frame before and this one.

        Args:
            detections: the objects of this frame.
            ids: the track of each.
            seconds: since the video's first frame.
            held: ids of tracks that have not ended.
        """
        if not self._lines and not self._zones:
            return ()
        points = standing_points(detections.boxes)
        boxes = detections.boxes.astype(np.float64)
        margins = _MARGIN * np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
        sides = [distances_from_line(points, line).tolist() for line in self._lines]
        depths = [depths_in_zone(points, zone).tolist() for zone in self._zones]
        events: list[Event] = []
        columns = (ids.tolist(), detections.labels, points.tolist(), margins.tolist())
        for row, (track, label, point, margin) in enumerate(zip(*columns, strict=True)):
            known = self._known.get(track)
            if known is None:
                zones = len(self._zones)
                known = _Known(label, seconds, [None] * len(self._lines), [None] * zones, [None] * zones)
            known.label = label
            events += self._cross(track, known, [side[row] for side in sides], point, margin, seconds)
            events += self._stay(track, known, [depth[row] for depth in depths], point, margin, seconds)
            known.time = seconds
            self._known[track] = known
        for track in [track for track in self._known if track not in held]:
            events += self._end(track)
        return tuple(events)

    def _cross(
        self, track: int, known: _Known, distances: list[float], point: list[float], margin: float, seconds: float
    ) -> Iterable[Event]:
        for row, (line, now) in enumerate(zip(self._lines, distances, strict=True)):
            before = known.sides[row]
            if before is not None and before[0] * now < 0 and abs(now) <= margin:
                continue  # past the line, but not yet far enough: it still counts to the side it came from
            if now != 0:
                known.sides[row] = (now, point[0], point[1], seconds)
            if before is None or before[0] * now >= 0:
                continue
            share = before[0] / (before[0] - now)
            met = tuple(old + share * (new - old) for old, new in zip(before[1:], (*point, seconds), strict=True))
            if is_beside(line, met[:2]):
                side: Side = "right" if now > 0 else "left"
                self._crossed[line.name, side] += 1
                yield Event("crossed", line.name, track, known.label, met[2], side)

    def _stay(
        self, track: int, known: _Known, depths: list[float], point: list[float], margin: float, seconds: float
    ) -> Iterable[Event]:
        now = (point[0], point[1], seconds)
        for row, (zone, depth) in enumerate(zip(self._zones, depths, strict=True)):
            since, before = known.since[row], known.steady[row]
            enters = since is None and depth > (-_ON_BORDER if before is None else margin)
            leaves = since is not None and depth < -margin
            if enters or leaves or (since is None) == (depth < 0):
                known.steady[row] = now
            if enters:
                known.since[row] = entered = _border_time(zone, before or now, now, entering=True)
                self._entered[row] += 1
                yield Event("entered", zone.name, track, known.label, entered)
            elif since is not None and leaves:
                known.since[row] = None
                left = _border_time(zone, before or now, now, entering=False)
                yield Event("left", zone.name, track, known.label, left, dwell=left - since)

    def _end(self, track: int) -> Iterable[Event]:
        """Forget a track that ended; where it was in a zone, it left when it was last seen."""
        known = self._known.pop(track)
        for zone, since in zip(self._zones, known.since, strict=True):
            if since is not None:
                yield Event("left", zone.name, track, known.label, known.time, dwell=known.time - since)


def _border_time(
    zone: Zone, before: tuple[float, float, float], now: tuple[float, float, float], entering: bool
) -> float:
    """When an object, on a straight way between two places and times, passed a zone's border.

    Of several passings it is the last where it entered, the first where it left.
    """
    (x, y, began), (other_x, other_y, ended) = before, now
    shares = []
    for start, end in zone.edges():
        one, other = turn(start, end, (x, y)), turn(start, end, (other_x, other_y))
        if (one > 0) != (other > 0):
            share = one / (one - other)
            met = (x + share * (other_x - x), y + share * (other_y - y))
            if is_beside(Line(zone.name, start, end), met):
                shares.append(share)
    if not shares:  # it was on the border
        return began
    return began + (max(shares) if entering else min(shares)) * (ended - began)
