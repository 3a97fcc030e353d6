"""Identities over time: trackers in NumPy; and what tracks do at lines and in zones, counted and drawn."""

from lucidbox.track.bot_sort import BotSort, BotSortSettings, CascadedBufferedIou
from lucidbox.track.byte_track import ByteTrack, ByteTrackSettings
from lucidbox.track.evidence import Evidence, EvidenceSettings
from lucidbox.track.scene import Line, Zone
from lucidbox.track.scene_watcher import Event
from lucidbox.track.sort import Sort, SortSettings
from lucidbox.track.tracked import TrackedDetections, Tracker
from lucidbox.track.trackers import DEFAULT_TRACKER, TRACKERS
from lucidbox.track.tracking import TrackedResult, track

__all__ = [
    "BotSort", "BotSortSettings", "boxes", "ByteTrack", "ByteTrackSettings", "CascadedBufferedIou",
    "DEFAULT_TRACKER", "drawing", "Event", "Evidence", "EvidenceSettings", "Line", "plot", "scene",
    "scene_watcher", "Sort", "SortSettings", "summary", "track", "TrackedDetections", "TrackedResult", "Tracker",
    "TRACKERS", "trackers", "tracking", "Zone",
]  # fmt: skip
