"""Boxes and labels on images."""

from lucidbox.draw.annotate import Style, draw

__all__ = ["Style", "annotate", "draw", "fonts", "palette"]
