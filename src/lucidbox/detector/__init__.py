"""From a weights file to a detector, and from a detector to streams of results."""

from lucidbox.detector.detector import Detector

__all__ = ["Detector"]
