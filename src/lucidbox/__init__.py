"""lucidbox: YOLO11 object detection, written to be read, trusted and shipped.

Example:
    >>> from lucidbox import Detector
    >>> detector = Detector.load("yolo11n.pt")
    >>> detections = detector("street.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lucidbox.core.version import __version__

if TYPE_CHECKING:
    from lucidbox.core.detections import Detections as Detections
    from lucidbox.core.errors import LucidboxError as LucidboxError
    from lucidbox.detect.nms import Limits as Limits
    from lucidbox.detector import Detector as Detector

_HOMES = {
    "Detections": "core.detections",
    "Detector": "detector",
    "Limits": "detect.nms",
    "LucidboxError": "core.errors",
}

__all__ = ["Detections", "Detector", "Limits", "LucidboxError", "__version__"]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that ``lucidbox --help`` does not load an engine."""
    if name in _HOMES:
        return getattr(import_module(f"lucidbox.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lucidbox' has no attribute {name!r}")
