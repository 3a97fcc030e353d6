"""Boxes and labels on images."""

from lucidbox.draw.annotate import draw

__all__ = ["draw"]
