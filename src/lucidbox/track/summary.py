"""What a video's tracks come to: how many of each class, counts of lines, visits of zones, also over time."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from lucidbox.track.tracking import TrackedResult

_MOST_STEPS = 4096


@dataclass
class Visits:
    """Visits of a zone that ended: how many, and their seconds.

    Attributes:
        count: of visits.
        seconds: of all together.
        longest: of the longest one.
    """

    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one visit."""
        self.count, self.seconds = self.count + 1, self.seconds + seconds
        self.longest = max(self.longest, seconds)

    @property
    def mean(self) -> float | None:
        """Mean seconds; None before the first visit ended."""
        return self.seconds / self.count if self.count else None


class VideoSummary:
    """Sums up one video, result by result; needs memory for the tracks that have not ended, not for all.

    Args:
        first: the video's first result; is to be added like the others.

    Attributes:
        source: the video.
        frames: number of results.
        seconds: time of the last one.
        lines, zones: their counts, as of the last one.
        visits: of each zone.
    """

    def __init__(self, first: TrackedResult) -> None:
        self.source = first.picture.source
        self.frames, self.seconds = 0, 0.0
        self.lines, self.zones = first.lines, first.zones
        self.visits = [Visits() for _ in first.zones]
        self._open: dict[int, Counter[str]] = {}
        self._ended: Counter[str] = Counter()

    def add(self, result: TrackedResult) -> None:
        """Count one more frame."""
        self.frames, self.seconds = self.frames + 1, result.seconds
        self.lines, self.zones = result.lines, result.zones
        for track, label in zip(result.ids.tolist(), result.detections.labels, strict=True):
            self._open.setdefault(track, Counter())[label] += 1
        for track in [track for track in self._open if track not in result.held]:
            self._ended[_commonest(self._open.pop(track))] += 1
        names = [zone.place.name for zone in result.zones]
        for event in result.events:
            if event.dwell is not None:
                self.visits[names.index(event.place)].add(event.dwell)

    @property
    def tracks(self) -> dict[str, int]:
        """Number of tracks by class, most frequent first; a track's class is the one that it was most often."""
        return dict((self._ended + Counter(map(_commonest, self._open.values()))).most_common())

    def to_dict(self) -> dict[str, Any]:
        """For JSON: frames, seconds, tracks by class, and the counts of each line and zone by name."""
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "tracks": self.tracks,
            "lines": {count.place.name: {"right": count.right, "left": count.left} for count in self.lines},
            "zones": {
                count.place.name: {
                    "entered": count.entered,
                    "left": visits.count,
                    "inside": count.inside,
                    "mean_dwell": None if visits.mean is None else round(visits.mean, 3),
                    "longest_dwell": round(visits.longest, 3) if visits.count else None,
                }
                for count, visits in zip(self.zones, self.visits, strict=True)
            },
        }


def _commonest(labels: Counter[str]) -> str:
    return labels.most_common(1)[0][0]


@dataclass
class CountsOverTime:
    """How the counts of a video went on, in steps of one second; of two, four and so on, where it lasts longer.

    Attributes:
        step: seconds of a step.
        objects: most objects in a frame of each step.
        lines: for each line and side, crossings up to each step's end.
        zones: for each zone, most objects within in each step.
    """

    step: float = 1.0
    objects: "array[int]" = field(default_factory=lambda: array("q"))
    lines: dict[str, "array[int]"] = field(default_factory=dict)
    zones: dict[str, "array[int]"] = field(default_factory=dict)

    def add(self, result: TrackedResult) -> None:
        """Count one more frame."""
        while result.seconds >= self.step * _MOST_STEPS:
            self._join_steps()
        step = int(result.seconds / self.step)
        _raise_to(self.objects, step, len(result.ids))
        for line in result.lines:
            for side, count in (("right", line.right), ("left", line.left)):
                series = self.lines.setdefault(f"{line.place.name}, {side}", array("q"))
                _raise_to(series, step, count, series[-1] if series else 0)
        for zone in result.zones:
            _raise_to(self.zones.setdefault(zone.place.name, array("q")), step, zone.inside)

    def _join_steps(self) -> None:
        """Make of each two steps one."""
        self.step *= 2
        for series in (self.objects, *self.lines.values(), *self.zones.values()):
            joined = [max(pair) for pair in zip_longest(series[::2], series[1::2], fillvalue=0)]
            series[:] = array("q", joined)


def _raise_to(series: "array[int]", step: int, count: int, before: int = 0) -> None:
    """Make the count at a step at least this; steps without a frame get ``before``."""
    series.extend([before] * (step + 1 - len(series)))
    series[step] = max(series[step], count)
