"""Identities over time: trackers in NumPy. Knows boxes and times, neither images nor files."""

from lucidbox.track.sort import Sort, SortSettings
from lucidbox.track.tracked import TrackedDetections, Tracker

TRACKERS = {"sort": Sort}
"""Trackers by the names that users give."""
DEFAULT_TRACKER = "sort"
"""The tracker that is used where none is named."""

__all__ = ["DEFAULT_TRACKER", "TRACKERS", "Sort", "SortSettings", "TrackedDetections", "Tracker"]
