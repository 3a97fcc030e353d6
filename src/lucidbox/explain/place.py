"""Maps that know where a box is and nothing else: what every explanation has to do better than. No torch here."""

from collections.abc import Sequence

import numpy as np

from lucidbox.core.array_types import Float, Float32


def centred_gaussian(height: int, width: int, box: Sequence[float]) -> Float32[np.ndarray, "h w"]:
    """The map that knows the box and nothing else: a Gaussian about its centre, a quarter of its sides wide."""
    y, x = _from_centre(height, width, box)
    heat: Float32[np.ndarray, "h w"] = np.exp(-0.5 * (y[:, None] ** 2 + x**2)).astype(np.float32)
    return heat


def rectangles(height: int, width: int, box: Sequence[float]) -> Float32[np.ndarray, "h w"]:
    """Each pixel's distance from the box's centre, in quarters of its sides: the larger of both ways.

    Its lines of equal distance are rectangles of the box's form; the box's own border is at 2. As an order of
    pixels it knows the box and nothing else, and does better than :func:`centred_gaussian` on most detections.
    """
    y, x = _from_centre(height, width, box)
    distance: Float32[np.ndarray, "h w"] = np.maximum(np.abs(y)[:, None], np.abs(x)).astype(np.float32)
    return distance


def as_heat(order: Float[np.ndarray, "h w"], box: Sequence[float]) -> Float32[np.ndarray, "h w"]:
    """Heat for an order of pixels, largest first: as many pixels have each heat as in :func:`centred_gaussian`.

    So maps that order pixels can be looked at beside others. All heat is above 0, and all of it is in order.
    """
    quarter = max((box[2] - box[0]) / 4, 0.5) * max((box[3] - box[1]) / 4, 0.5)
    ranks = np.empty(order.size)
    ranks[np.argsort(-order, axis=None, kind="stable")] = np.arange(order.size)
    # Heat of a Gaussian at the ellipse that holds as many pixels; far away a slope that float32 still tells apart.
    heat = np.exp(-np.minimum(ranks / (2 * np.pi * quarter), 40)) + 1e-18 * (1 - ranks / order.size)
    return heat.reshape(order.shape).astype(np.float32)


def _from_centre(
    height: int, width: int, box: Sequence[float]
) -> tuple[Float[np.ndarray, " h"], Float[np.ndarray, " w"]]:
    """Rows' and columns' distances from the box's centre, in quarters of its sides."""
    y = (np.arange(height) + 0.5 - (box[1] + box[3]) / 2) / max((box[3] - box[1]) / 4, 0.5)
    x = (np.arange(width) + 0.5 - (box[0] + box[2]) / 2) / max((box[2] - box[0]) / 4, 0.5)
    return y, x
