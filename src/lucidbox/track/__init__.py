"""Identities over time: trackers in NumPy; and what tracks do at lines and in zones, counted and drawn."""

from lucidbox.track.bot_sort import BotSort, BotSortSettings, CascadedBufferedIou
from lucidbox.track.byte_track import ByteTrack, ByteTrackSettings
from lucidbox.track.evidence import Evidence, EvidenceSettings
from lucidbox.track.scene import Line, Zone
from lucidbox.track.scene_watcher import Event
from lucidbox.track.sort import Sort, SortSettings
from lucidbox.track.tracked import TrackedDetections, Tracker
from lucidbox.track.tracking import TrackedResult, track

TRACKERS: dict[str, type[Evidence | Sort | ByteTrack | BotSort]] = {
    "evidence": Evidence,
    "sort": Sort,
    "bytetrack": ByteTrack,
    "botsort": BotSort,
    "cbiou": CascadedBufferedIou,
}
"""Trackers by the names that users give."""
DEFAULT_TRACKER = "evidence"
"""The tracker that is used where none is named."""

__all__ = [
    "BotSort", "BotSortSettings", "boxes", "ByteTrack", "ByteTrackSettings", "CascadedBufferedIou",
    "DEFAULT_TRACKER", "drawing", "Event", "Evidence", "EvidenceSettings", "Line", "plot", "scene",
    "scene_watcher", "Sort", "SortSettings", "summary", "track", "TrackedDetections", "TrackedResult", "Tracker",
    "TRACKERS", "tracking", "Zone",
]  # fmt: skip
