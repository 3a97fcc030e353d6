"""Heat maps as pictures: coloured, laid over the picture, and in panels with the figures below."""

from collections.abc import Sequence

import cv2
import numpy as np

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.detections import Detections
from lucidbox.draw.annotate import draw
from lucidbox.draw.fonts import text_mask

WIDEST = 640
"""Pixels of one picture in a panel: it is looked at on a screen; the map itself is saved at full size."""

NARROWEST = 320
"""Pixels: below this the words could not be read."""

_GAP, _FONT, _LINE = 8, 15, 24

# Jet, as the notebook's plots have it: positions and values of the corners of red, green and blue.
_JET = (
    ((0, 0.35, 0.66, 0.89, 1), (0, 0, 1, 1, 0.5)),
    ((0, 0.125, 0.375, 0.64, 0.91, 1), (0, 0, 1, 1, 0, 0)),
    ((0, 0.11, 0.34, 0.65, 1), (0.5, 1, 1, 0, 0)),
)


def coloured(heat: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Heat 0 to 1 from black over red to yellow and white, ever lighter, so that grey prints tell it too."""
    levels = np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8)
    bgr = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    rgb: UInt8[np.ndarray, "h w 3"] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def overlay(picture: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture, dimmed and grey, with the colours of its heat over it; cold parts stay to be seen."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None] * np.float32(0.65)
    share = np.sqrt(np.clip(heat, 0, 1, dtype=np.float32))[..., None] * np.float32(0.85)
    mixed: UInt8[np.ndarray, "h w 3"] = np.rint(grey * (1 - share) + coloured(heat) * share).astype(np.uint8)
    return mixed


def visualize_gradcam(
    picture: UInt8[np.ndarray, "h w 3"], heatmap: Float[np.ndarray, "h w"], alpha: float = 0.5
) -> UInt8[np.ndarray, "h w3 3"]:
    """The notebook's three panels: the picture stretched to full contrast, the map in jet, both mixed.

    Args:
        picture: RGB.
        heatmap: 0 to 1, of the same size.
        alpha: share of the map in the third panel.
    """
    values = picture.astype(np.float64)
    stretched = (values - values.min()) / (values.max() - values.min() + 1e-8)
    # 256 steps, as a colour table has.
    steps = np.minimum(np.floor(np.clip(heatmap, 0, 1) * 256), 255) / 255
    jet = np.stack([np.interp(steps, places, levels) for places, levels in _JET], axis=-1)
    mixed = np.clip(stretched * (1 - alpha) + jet * alpha, 0, 1)
    panels = [np.rint(part * 255).astype(np.uint8) for part in (stretched, jet, mixed)]
    joined: UInt8[np.ndarray, "h w3 3"] = np.hstack(panels)
    return joined


def panel(
    image: UInt8[np.ndarray, "h w 3"],
    detection: Detections,
    heatmap: Float[np.ndarray, "h w"],
    lines: Sequence[str],
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Image with its box, map and overlay side by side, and lines of text below them.

    Args:
        image: RGB.
        detection: drawn on the image.
        heatmap: 0 to 1, of the image's size.
        lines: of text, broken where they are too wide.
    """
    parts = [draw(image, detection), coloured(heatmap), overlay(image, heatmap)]
    small = [_fitted(part) for part in parts]
    bar = np.full((small[0].shape[0], _GAP, 3), 255, np.uint8)
    row = np.hstack([small[0], bar, small[1], bar, small[2]])
    return np.vstack([row, _words(lines, row.shape[1])])


def stacked(panels: Sequence[UInt8[np.ndarray, "h w 3"]], lines: Sequence[str]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Panels of one picture one below the other, and lines of text below them all."""
    width = max(part.shape[1] for part in panels)
    rows = [np.pad(part, ((0, _GAP), (0, width - part.shape[1]), (0, 0)), constant_values=255) for part in panels]
    return np.vstack([*rows, _words(lines, width)])


def _fitted(part: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Shrunk, or, where tiny, enlarged in whole pixels, to a width that can be looked at."""
    height, width = part.shape[:2]
    scale = (
        WIDEST / max(height, width)
        if max(height, width) > WIDEST
        else max(1, round(NARROWEST / max(height, width)))
    )
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    fitted: UInt8[np.ndarray, "h2 w2 3"] = cv2.resize(part, size, interpolation=way)
    return fitted


def _words(lines: Sequence[str], width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Lines in black on white, broken where they are wider than the row above them."""
    broken = [part for line in lines for part in _broken(line, width - 2 * _GAP)]
    paper = np.full((len(broken) * _LINE + _GAP, width), 255, np.uint8)
    for index, line in enumerate(broken):
        ink = text_mask(line, _FONT)[:, : width - 2 * _GAP]
        # Masks have room for tall scripts above and below; lines may share it.
        top = _GAP // 2 + index * _LINE + (_LINE - ink.shape[0]) // 2
        rows = slice(max(top, 0), min(top + ink.shape[0], len(paper)))
        area = paper[rows, _GAP : _GAP + ink.shape[1]]
        np.minimum(area, 255 - ink[rows.start - top : rows.stop - top], out=area)
    return np.repeat(paper[..., None], 3, axis=2)


def _broken(line: str, room: int) -> list[str]:
    """A line in pieces that fit, between words."""
    pieces = [""]
    for word in line.split(" "):
        longer = f"{pieces[-1]} {word}".strip()
        if pieces[-1] and text_mask(longer, _FONT).shape[1] > room:
            pieces.append(word)
        else:
            pieces[-1] = longer
    return pieces
