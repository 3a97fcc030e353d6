"""What users hold: from a weights file to a detector of images and streams."""

from lucidbox.detector.detector import Detector
from lucidbox.detector.inputs import Color, pixels_of

__all__ = ["Color", "Detector", "loading", "pixels_of"]
