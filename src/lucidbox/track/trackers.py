"""Trackers by the names that users give."""

from lucidbox.core.errors import OptionError
from lucidbox.track.bot_sort import BotSort, CascadedBufferedIou
from lucidbox.track.byte_track import ByteTrack
from lucidbox.track.evidence import Evidence
from lucidbox.track.sort import Sort
from lucidbox.track.tracked import Tracker

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


def tracker_named(name: str | None) -> Tracker:
    """A new tracker of this name, or of the default's.

    Raises:
        OptionError: there is none; names those that there are.
    """
    if (name := name or DEFAULT_TRACKER) not in TRACKERS:
        raise OptionError(f"tracker {name!r} is unknown; there are {', '.join(TRACKERS)}")
    made: Tracker = TRACKERS[name]()
    return made
