"""Streams of pictures: files, folders, patterns, videos, cameras, URLs, standard input, hub data sets.

``open_sources`` turns what a user typed into ``Sources``, which yield ``Picture`` after ``Picture``, in order,
each decoded when it is asked for. What cannot be read comes as a ``Failure`` in its place, and the rest still
follows: iterating raises nothing for bad input.

Example:
    >>> for item in open_sources(["photos", "road.mp4"], video_stride=5):
    ...     if isinstance(item, Failure):
    ...         print(item.error)
    ...     else:
    ...         show(item.pixels)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lucidbox.sources.files import StillPictures
from lucidbox.sources.items import FailedSource, Failure, LazyItem, Picture, Source, SourceKind
from lucidbox.sources.opening import Sources, open_sources

if TYPE_CHECKING:
    from lucidbox.sources.addresses import Url as Url
    from lucidbox.sources.cameras import Camera as Camera
    from lucidbox.sources.hub import HubDataset as HubDataset
    from lucidbox.sources.standard_input import StandardInput as StandardInput
    from lucidbox.sources.videos import Video as Video

_HOMES = {
    "Camera": "cameras",
    "HubDataset": "hub",
    "StandardInput": "standard_input",
    "Url": "addresses",
    "Video": "videos",
}

__all__ = [
    "Camera", "Failure", "HubDataset", "SourceKind", "Picture",
    "FailedSource", "Source", "Sources", "StandardInput", "StillPictures", "LazyItem", "Url", "Video",
    "open_sources", "files", "folders", "hub", "items",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Sources other than files are imported at first use: half of this package's share of a cold start."""
    if name in _HOMES:
        return getattr(import_module(f"lucidbox.sources.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lucidbox.sources' has no attribute {name!r}")
