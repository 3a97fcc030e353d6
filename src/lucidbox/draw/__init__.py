"""Boxes and labels on images. Public modules: ``annotate``, ``fonts`` (text as masks), ``palette`` (colours).

Example:
    >>> annotated = draw(image, detector(image))
"""

from lucidbox.draw.annotate import draw

__all__ = ["annotate", "draw", "fonts", "palette"]
