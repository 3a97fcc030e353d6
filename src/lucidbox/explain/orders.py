"""Orders of a picture's pixels around a box, from its middle outwards: families of them, and smooth corrections.

An order is a map of which only the ranks count: larger comes first. All lengths are in quarters of the box's sides
inside it (its edges are at -2 and 2 on both axes); beyond, every 4 units are the geometric mean of its sides, and
:func:`_compressed` makes them grow with the logarithm of the distance, so that what surrounds a small box does not
outweigh it. No torch here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucidbox.core.array_types import Float, Float32

_EDGE = 2.0
"""Where the box's edges are."""

SHAPES = {
    "rectangles": (0, 0, 0, 0, 0, 0, 2, 2, 0),
    "ellipses": (0, 0, 0, 0, 0, 0, -2, -2, 0),
    "between": (0, 0, 0, 0, 0, 0, 1, -1, 0),
}
"""Nested shapes to begin from; :func:`nested` says what the numbers are."""


@dataclass(frozen=True, eq=False)
class Around:
    """Places of a picture's rows and columns around a box.

    Attributes:
        rows: of each row, below 0 above the box's middle.
        columns: of each column, below 0 left of it.
    """

    rows: Float[np.ndarray, " h"]
    columns: Float[np.ndarray, " w"]


def around(height: int, width: int, box: Sequence[float]) -> Around:
    """The places for a box, xyxy in the picture's pixels."""
    left, top, right, bottom = box
    unit = np.sqrt(max(right - left, 2) * max(bottom - top, 2)) / (2 * _EDGE)
    return Around(_places(height, top, bottom, unit), _places(width, left, right, unit))


def _places(length: int, low: float, high: float, unit: float) -> Float[np.ndarray, " n"]:
    half, offsets = max((high - low) / 2, 1), np.arange(length) + 0.5 - (low + high) / 2
    away = np.abs(offsets)
    places: Float[np.ndarray, " n"] = np.sign(offsets) * np.where(
        away <= half, away / half * _EDGE, _EDGE + (away - half) / unit
    )
    return places


def nested(places: Around, shape: Float[np.ndarray, " 9"]) -> Float32[np.ndarray, "h w"]:
    """An order by shapes within one another, rectangles or ellipses, that grow beyond the box more to some sides.

    Args:
        places: around a box.
        shape: logarithms of how fast distance grows above, below, left and right of the box; how far the first
            pixels lie below and right of the middle (1 and more: almost half way to the edge); how rectangular
            shapes are outside and inside (0 is half way to ellipses, 2 and -2 are almost all the way); by how much
            the edge between inside and outside lies farther out than the box's (at most an eighth of its sides).
    """
    edge = _EDGE + 0.5 * np.tanh(shape[8])
    outside, inside = [], []
    for axis, before, after, shift in (
        (places.rows[:, None], shape[0], shape[1], shape[4]),
        (places.columns[None], shape[2], shape[3], shape[5]),
    ):
        outside.append(np.exp(before) * np.maximum(-axis - edge, 0) + np.exp(after) * np.maximum(axis - edge, 0))
        # The edges stay where they are: the shift fades towards them.
        inside.append(np.abs(np.clip(axis, -edge, edge) - np.tanh(shift) * np.clip(edge - np.abs(axis), 0, 1)))
    distance = _norm(outside[0], outside[1], shape[6], 1.0) + _norm(inside[0], inside[1], shape[7], np.sqrt(0.5))
    return (-_compressed(distance)).astype(np.float32)


def _norm(
    rows: Float[np.ndarray, "h 1"], columns: Float[np.ndarray, "1 w"], rectangular: float, scale: float
) -> Float[np.ndarray, "h w"]:
    """A mean of the larger distance, whose shapes are rectangles, and the Euclidean one, times a scale."""
    part = 1 / (1 + np.exp(-2 * rectangular))
    mixed: Float[np.ndarray, "h w"] = part * np.maximum(rows, columns) + (1 - part) * scale * np.hypot(
        rows, columns
    )
    return mixed


class Correction:
    """Smooth maps to be added to an order: bilinear between the points of a grid whose cells grow with distance.

    Args:
        places: around a box.
        cell: width of a cell, in compressed units: the box is 4 wide.
    """

    def __init__(self, places: Around, cell: float) -> None:
        self._rows, self._columns = _tents(places.rows, cell), _tents(places.columns, cell)
        self.size = self._rows.shape[1] * self._columns.shape[1]

    def __call__(self, values: Float[np.ndarray, " k"]) -> Float32[np.ndarray, "h w"]:
        """The map with these values at the grid's points."""
        grid = values.reshape(self._rows.shape[1], -1).astype(np.float32)
        added: Float32[np.ndarray, "h w"] = self._rows @ grid @ self._columns.T
        return added


def _tents(places: Float[np.ndarray, " n"], cell: float) -> Float32[np.ndarray, "n k"]:
    """Weights of a row of points at multiples of the cell; the outermost hold beyond."""
    steps = _compressed(places) / cell
    low, high = np.floor(steps[0] + 0.5), np.ceil(steps[-1] - 0.5)
    points = np.arange(low, max(low, high) + 1)
    weights = np.maximum(0, 1 - np.abs(np.clip(steps, points[0], points[-1])[:, None] - points))
    narrow: Float32[np.ndarray, "n k"] = weights.astype(np.float32)
    return narrow


def _compressed(distance: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Itself up to the box's edge, then growing with its logarithm, without a bend."""
    away = np.abs(distance)
    beyond = _EDGE + _EDGE * np.log(np.maximum(away, _EDGE) / _EDGE)
    compressed: Float[np.ndarray, "*n"] = np.where(away <= _EDGE, distance, np.sign(distance) * beyond)
    return compressed
