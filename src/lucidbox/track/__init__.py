"""Identities over time: trackers in NumPy. Knows boxes and times, neither images nor files."""

from lucidbox.track.bot_sort import BotSort, BotSortSettings, CascadedBufferedIou
from lucidbox.track.byte_track import ByteTrack, ByteTrackSettings
from lucidbox.track.sort import Sort, SortSettings
from lucidbox.track.tracked import TrackedDetections, Tracker

TRACKERS = {"sort": Sort, "bytetrack": ByteTrack, "botsort": BotSort, "cbiou": CascadedBufferedIou}
"""Trackers by the names that users give."""
DEFAULT_TRACKER = "sort"
"""The tracker that is used where none is named."""

__all__ = ["DEFAULT_TRACKER", "TRACKERS", "Sort", "SortSettings", "TrackedDetections", "Tracker"]
