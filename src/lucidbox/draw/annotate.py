"""Boxes and labels on an image, readable at any resolution and in any script.

Labels are placed best score first: each takes the first free place at its box, and a label without a free place
is left out, so that none covers another. Lines and letters grow with the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from lucidbox.core.array_types import Bool, Float32, Int, Shaped, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError, check_whole_number
from lucidbox.core.text import printable
from lucidbox.draw.fonts import missing_letters, text_mask
from lucidbox.draw.palette import Colour, palette, text_colour

SMALLEST_FONT = 10
"""Smallest font size in pixels; smaller letters cannot be read."""

_LONGEST_NAME = 80  # letters; more would not fit any image and only cost time
_TRACK_COLOURS = 24  # of the palette, which begins with those that differ most


@dataclass(frozen=True)
class Style:
    """Sizes in pixels for one image: ``line`` of box edges, ``font`` of letters, ``pad`` around them."""

    line: int
    font: int
    pad: int

    @classmethod
    def for_picture(
        cls, height: int, width: int, line_width: int | None = None, font_size: int | None = None
    ) -> "Style":
        """Sizes that look alike on images of every size; given sizes are used unchanged.

        Raises:
            OptionError: a given size is below 1.
        """
        for name, value in (("line_width", line_width), ("font_size", font_size)):
            if value is not None:
                check_whole_number(name, value)
        side = (height * width) ** 0.5
        line = line_width or max(1, round(side * 0.003))
        # Letters grow a little slower than the image: large images are shown on large screens.
        font = font_size or max(SMALLEST_FONT, round(5 + side * 0.015))
        return cls(line, font, max(1, round(font * 0.14)))


@dataclass(frozen=True)
class _Label:
    """Coverage of the letters with padding, and the pixel of the image for its left top corner."""

    ink: UInt8[np.ndarray, "h w"]
    left: int
    top: int
    colour: Colour


def draw(
    image: Shaped[np.ndarray, "..."],
    detections: Detections,
    *,
    tracks: Int[np.ndarray, " n"] | None = None,
    max_labels: int | None = None,
    line_width: int | None = None,
    font_size: int | None = None,
    show_scores: bool = True,
) -> UInt8[np.ndarray, "h w 3"]:
    """A new image with every box and, where there is room, its class name and score.

    Args:
        image: pixels, RGB, grey or RGBA (whose alpha is left out); they are not changed.
        detections: boxes in pixels of this image. Boxes outside it, or with NaN, are not drawn.
        tracks: an object's id for each box, which gives the box its colour and stands before the class name.
        max_labels: label only this many boxes, those of the highest scores. All boxes are drawn.
        line_width: width of box edges in pixels; by default it depends on the image's size.
        font_size: size of labels in pixels, a capital being about 0.7 of it high; by default as above.
        show_scores: write the score after the class name.

    Returns:
        RGB pixels; where drawings overlap, the better score is on top. A class name that no available font
        can write is replaced by the class's number, as in "#12": see :mod:`lucidbox.draw.fonts`.

    Raises:
        OptionError: the image is none, a size or ``max_labels`` is out of range, or ``LUCIDBOX_FONT`` is no font.
    """
    if max_labels is not None:
        check_whole_number("max_labels", max_labels, least=0)
    image = _as_rgb(image)
    height, width = image.shape[:2]
    style = Style.for_picture(height, width, line_width, font_size)
    canvas = np.array(image, order="C")
    best_first = np.argsort(-detections.scores, kind="stable")
    shown = best_first[_inside(detections.boxes[best_first], height, width)]
    corners = _pixel_corners(detections.boxes[shown], height, width)
    ids = None if tracks is None else tracks[shown].tolist()
    colours = (
        [track_colour(track) for track in ids] if ids else list(map(palette, detections.classes[shown].tolist()))
    )
    for colour, box in zip(colours[::-1], corners[::-1].tolist(), strict=True):
        _draw_box(canvas, box, colour, style.line)
    labelled = detections[shown[:max_labels]]
    labels = _place_labels(labelled, corners[:max_labels].tolist(), (height, width), style, show_scores, ids)
    for label in labels:
        _draw_label(canvas, label)
    return canvas


def draw_text(canvas: UInt8[np.ndarray, "h w 3"], text: str, point: tuple[float, float], colour: Colour) -> None:
    """Write a line of text on a bar whose left top corner is near this point, moved into the image.

    Args:
        canvas: RGB pixels, which are changed. Nothing is written where they have no room.
        text: in letters of any script.
        point: x, y in pixels.
        colour: of the bar; letters are black or white.
    """
    height, width = canvas.shape[:2]
    ink = _label_ink(_shown_name(text, 0), "", Style.for_picture(height, width), width)
    if ink is not None and ink.shape[0] <= height:
        left = min(max(round(point[0]), 0), width - ink.shape[1])
        top = min(max(round(point[1]), 0), height - ink.shape[0])
        _draw_label(canvas, _Label(ink, left, top, colour))


def _as_rgb(image: Shaped[np.ndarray, "..."]) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels of an image that is grey, RGB or RGBA.

    Raises:
        OptionError: it is none of them.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.shape[2:] or (1,))[0] not in (1, 3, 4):
        kind = f"{image.dtype} of shape {image.shape}"
        raise OptionError(f"an array of {kind} is no image to draw on; give uint8 RGB pixels")
    grey = image.ndim == 2 or image.shape[2] == 1
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else image[:, :, :3]


def _inside(boxes: Float32[np.ndarray, "n 4"], height: int, width: int) -> Bool[np.ndarray, " n"]:
    """Which boxes are finite, not inverted, and overlap the image."""
    left, top, right, bottom = boxes.T
    finite = np.isfinite(boxes).all(axis=1)
    shown: Bool[np.ndarray, " n"] = finite & (left <= right) & (top <= bottom)
    shown &= (right > 0) & (bottom > 0) & (left < width) & (top < height)
    return shown


def _pixel_corners(boxes: Float32[np.ndarray, "n 4"], height: int, width: int) -> Int[np.ndarray, "n 4"]:
    """Boxes clipped to the image, on whole pixels, at least one pixel wide and high; right, bottom exclusive."""
    limit = np.array([width, height])
    corners = np.rint(boxes.astype(np.float64)).clip(0, np.tile(limit, 2)).astype(np.intp)
    corners[:, :2] = np.minimum(corners[:, :2], limit - 1)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    return corners


def _draw_box(canvas: UInt8[np.ndarray, "h w 3"], box: list[int], colour: Colour, line: int) -> None:
    """Four bars along the inside of the box, so that they are fully visible at the image's border, too."""
    left, top, right, bottom = box
    inner_left, inner_right = min(left + line, right), max(right - line, left)
    inner_top, inner_bottom = min(top + line, bottom), max(bottom - line, top)
    for bar in (
        (left, top, right, inner_top),
        (left, inner_bottom, right, bottom),
        (left, top, inner_left, bottom),
        (inner_right, top, right, bottom),
    ):
        # OpenCV's corners are inclusive. NumPy would fill three-byte pixels eight times as slowly.
        cv2.rectangle(canvas, bar[:2], (bar[2] - 1, bar[3] - 1), colour, cv2.FILLED)


def track_colour(track: int) -> Colour:
    """The colour of an object's id: always the same, and another than those of the ids near it."""
    return palette(track % _TRACK_COLOURS)


def _place_labels(
    detections: Detections,
    corners: list[list[int]],
    extent: tuple[int, int],
    style: Style,
    show_scores: bool,
    tracks: list[int] | None = None,
) -> list[_Label]:
    """Labels inside the image that do not overlap, in the order of the detections."""
    taken = np.zeros((0, 4), np.intp)
    labels: list[_Label] = []
    for row, (detection, box) in enumerate(zip(detections, corners, strict=True)):
        class_id = int(detection.classes[0])
        text, colour = _shown_name(detection.labels[0], class_id), palette(class_id)
        if tracks:
            text, colour = f"#{tracks[row]} {text}", track_colour(tracks[row])
        score = f"{detection.scores[0]:.2f}" if show_scores else ""
        ink = _label_ink(text, score, style, extent[1])
        if ink is None or ink.shape[0] > extent[0]:
            continue
        places = np.array(list(_places(box, ink.shape, extent)))
        meets = (places[:, None, :2] < taken[:, 2:]) & (places[:, None, 2:] > taken[:, :2])
        free = np.flatnonzero(~np.any(np.all(meets, axis=2), axis=1))
        if free.size:
            place = places[free[0]]
            taken = np.vstack([taken, place])
            labels.append(_Label(ink, int(place[0]), int(place[1]), colour))
    return labels


def _places(box: list[int], size: tuple[int, ...], extent: tuple[int, int]) -> Iterator[list[int]]:
    """Rectangles for a label, xyxy in whole pixels, best first; each moved into the image."""
    (left, top, right, bottom), (height, width) = box, size
    above = top - height >= 0
    roomy = bottom - top >= 2 * height
    outside = [(left, top - height), (right - width, top - height)] if above else []
    inside = [(left, top), (right - width, top)]
    below = [(left, bottom), (right - width, bottom)] if bottom + height <= extent[0] else []
    beside = [(x, top) for x in (right, left - width) if 0 <= x <= extent[1] - width]
    low = [(left, bottom - height), (right - width, bottom - height)]
    ranked = [outside, inside, below, beside, low] if roomy else [outside, below, beside, inside]
    for x, y in (place for places in ranked for place in places):
        x = min(max(x, 0), extent[1] - width)
        y = min(max(y, 0), extent[0] - height)
        yield [x, y, x + width, y + height]


@lru_cache(maxsize=4096)
def _shown_name(name: str, class_id: int) -> str:
    """The class name on one line, or its number if no font can write it."""
    short = printable(name)
    short = short if len(short) <= _LONGEST_NAME else short[: _LONGEST_NAME - 1] + "…"
    drawable = not missing_letters(short) and text_mask(short, SMALLEST_FONT).shape[1] > 0
    return short if drawable else f"#{class_id}"


def _label_ink(name: str, score: str, style: Style, room: int) -> UInt8[np.ndarray, "h w"] | None:
    """Padded coverage of "name score" no wider than ``room``: the score, then letters, are left out; or None."""
    for parts in ((name, score), (name,)):
        ink = _row(parts, style)
        if ink.shape[1] <= room:
            return ink
    lengths = range(1, len(name))
    while lengths:  # binary search for the longest beginning that fits
        middle = len(lengths) // 2
        ink = _row((name[: lengths[middle]] + "…",), style)
        fits = ink.shape[1] <= room
        if len(lengths) == 1:
            return ink if fits else None
        lengths = lengths[middle:] if fits else lengths[:middle]
    return None


@lru_cache(maxsize=256)
def _row(parts: tuple[str, ...], style: Style) -> UInt8[np.ndarray, "h w"]:
    """Texts side by side on one baseline, cut to the letters' height, with padding around."""
    masks = [text_mask(part, style.font) for part in parts if part]
    gap = np.zeros((masks[0].shape[0], round(style.font * 0.3)), np.uint8)
    row = np.hstack([piece for mask in masks for piece in (gap, mask)][1:])
    # At least from the top of "d" to the bottom of "g", so that most labels of an image have the same height.
    rows = np.flatnonzero(text_mask("dg", style.font).any(axis=1) | row.any(axis=1))
    return np.pad(row[rows[0] : rows[-1] + 1], style.pad)


def _draw_label(canvas: UInt8[np.ndarray, "h w 3"], label: _Label) -> None:
    """Letters in black or white on a bar of the class's colour."""
    height, width = label.ink.shape
    canvas[label.top : label.top + height, label.left : label.left + width] = np.take(
        _blends(label.colour), label.ink, axis=0
    )


@lru_cache(maxsize=256)
def _blends(background: Colour) -> UInt8[np.ndarray, "256 3"]:
    """The colour of a label's pixel for each coverage by its letters, 0 to 255."""
    share = np.arange(256)[:, None] / 255
    front, back = np.array(text_colour(background)), np.array(background)
    mixed: UInt8[np.ndarray, "256 3"] = np.rint(back + (front - back) * share).astype(np.uint8)
    return mixed
