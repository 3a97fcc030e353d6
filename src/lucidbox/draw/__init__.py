"""Boxes and labels on images."""

from lucidbox.draw.annotate import Style, draw
from lucidbox.draw.showing import show

__all__ = ["Style", "annotate", "draw", "fonts", "palette", "show", "showing"]
