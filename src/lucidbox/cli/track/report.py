"""What ``lucidbox track`` tells: events as they happen, records with ids, counts at each video's end."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import tell
from lucidbox.cli.detection_report import Report
from lucidbox.cli.tables import Column, table
from lucidbox.core.errors import OutputError
from lucidbox.core.text import printable
from lucidbox.track import Event
from lucidbox.track.summary import VideoSummary
from lucidbox.track.tracking import TrackedResult

if TYPE_CHECKING:
    from lucidbox.cli.track.track_files import TrackFiles
    from lucidbox.detect.stream import Result
    from lucidbox.save.writers import Saved, Saver


class TrackReport(Report):
    """A report of tracked frames: lines for people are events, not frames."""

    files: "TrackFiles | None" = None
    """Get every result, too."""
    _summary: VideoSummary | None = None

    def predicted(self, result: "Result", saved: "Saved | None" = None, error: OutputError | None = None) -> None:
        """Tell one frame, after the sum of the video before it."""
        assert isinstance(result, TrackedResult)
        if self._summary is None or result.begins:
            self.sum_up()
            self._summary = VideoSummary(result)
        self._summary.add(result)
        super().predicted(result, saved, error)
        try:
            if self.files is not None:
                self.files.add(result)
        except OutputError as problem:  # a full disk: raised once, and the rest is still done
            self.failed(problem)

    def record_of(self, result: "Result", saved: "Saved | None", error: OutputError | None) -> dict[str, Any]:
        """The record of ``predict``, each detection with the id of its ``track``, and ``events``."""
        assert isinstance(result, TrackedResult)
        record = super().record_of(result, saved, error)
        for detection, track in zip(record["detections"], result.ids.tolist(), strict=True):
            detection["track"] = track
        if not result.picture.size[0]:  # boxes of a file that states no size
            del record["width"], record["height"]
        return record | {"events": [event.to_dict() for event in result.events]}

    def lines_of(self, result: "Result") -> Iterable[str]:
        """A line for each event."""
        assert isinstance(result, TrackedResult)
        return [describe_event(result.picture.source, event) for event in result.events]

    def sum_up(self) -> None:
        """Tell the counts of the video that ended, if there was one."""
        if self._summary is None:
            return
        tell("\n".join(summary_lines(self._summary)), self._words)
        self.write_record({"source": self._summary.source, "summary": self._summary.to_dict()})
        self._summary = None

    def end(self, saver: "Saver") -> None:
        """Sum up the last video, write what is written at the end, then end as ``predict`` does."""
        self.sum_up()
        if self.files is not None:
            for error in self.files.finish():
                self.failed(error)
        super().end(saver)


def describe_event(source: str, event: Event) -> str:
    """One event, for a person."""
    name = printable(event.label)
    who = f"{source} {event.time:.2f} s: {f'{name} ' if name else ''}#{event.track}"
    what = f"{event.kind} {event.place}"
    if event.side:
        return f"{who} {what} to the {event.side}"
    return f"{who} {what}" if event.dwell is None else f"{who} {what} after {event.dwell:.2f} s"


def summary_lines(summary: VideoSummary) -> Iterator[str]:
    """Counts of one video as tables."""
    tracks = (
        ", ".join(f"{printable(name) or 'object'} {count}" for name, count in summary.tracks.items()) or "none"
    )
    yield f"{printable(summary.source)}: {summary.frames} frames, {summary.seconds:.2f} s, tracks: {tracks}"
    if summary.lines:
        rows = [(one.place.name, one.right, one.left, one.right + one.left) for one in summary.lines]
        columns = [Column("line", 16, align="<"), *(Column(title, 8) for title in ("right", "left", "both"))]
        yield from table(columns, rows, indent=2).splitlines()
    if summary.zones:
        zones = [
            (one.place.name, one.entered, visits.count, one.inside, visits.mean, visits.longest or None)
            for one, visits in zip(summary.zones, summary.visits, strict=True)
        ]
        columns = [Column("zone", 16, align="<"), *(Column(title, 8) for title in ("entered", "left", "inside"))]
        columns += [Column("mean s", 9, "{:.2f}"), Column("longest s", 9, "{:.2f}")]
        yield from table(columns, zones, indent=2).splitlines()
