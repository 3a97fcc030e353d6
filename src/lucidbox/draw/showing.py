"""Pixels on a screen: in the notebook that asks for them, else in the system's viewer of pictures."""

import sys
from typing import Any

import cv2
import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OutputError

PAGE_WIDTH = 1600
"""Pixels: wider pictures are shrunk to this, as no page of a notebook shows more."""

_QUALITY = 80


def as_jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes | None:
    """RGB pixels as a JPEG file for a screen; None where there are no pixels."""
    height, width = pixels.shape[:2]
    if not pixels.size:
        return None
    scale = min(1.0, PAGE_WIDTH / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes())


def show(pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """Show RGB pixels.

    Raises:
        OutputError: there are no pixels, or nothing here can show them.
    """
    content = as_jpeg(pixels)
    if content is None:
        raise OutputError("there are no pixels to show: this was read without them")
    if (display := notebook_display()) is not None:
        display.display(display.Image(data=content, format="jpeg"))
        return
    from PIL import Image, ImageShow

    if not ImageShow.show(Image.fromarray(pixels)):
        raise OutputError("no program on this machine shows pictures; save it: lucidbox predict --save")


def notebook_display() -> Any:
    """``IPython.display`` where this runs in a notebook's kernel, else None. IPython is not imported for this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return sys.modules.get("IPython.display") if hasattr(shell, "kernel") else None
