"""One colour for each class, as different from the others as possible, and a readable text colour on it.

The first seven colours are Okabe and Ito's. Each further one is the colour of a grid that is farthest from all
before it in OKLab (where distance is visible difference), for normal vision and for the two common kinds of
colour blindness alike. So class 5 has the same colour in every model and image.
"""

from functools import lru_cache
from threading import Lock

import numpy as np

from lucidbox.core.array_types import Float, Int

Colour = tuple[int, int, int]
"""Red, green, blue; 0 to 255."""

# M. Okabe and K. Ito, "Color Universal Design", 2008, ordered so that neighbours differ much. Their black is left
# out: it cannot be seen in shadows.
_OKABE_ITO: tuple[Colour, ...] = (
    (213, 94, 0), (86, 180, 233), (240, 228, 66), (0, 158, 115), (204, 121, 167), (230, 159, 0), (0, 114, 178),
)  # fmt: skip

# B. Ottosson, "A perceptual color space for image processing", 2020: linear sRGB to cone responses, and
# their cube roots to lightness, green-red and blue-yellow.
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
# F. Viénot, H. Brettel and J. Mollon, "Digital video colourmaps for checking the legibility of displays by
# dichromats", 1999: what linear sRGB looks like without red-sensitive or without green-sensitive cones.
_RED_BLIND = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
_GREEN_BLIND = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
_BLIND_WEIGHT = 1.5  # distances in colour-blind vision are smaller; without it they would have little influence


def palette(class_id: int) -> Colour:
    """The colour of a class, 0 or higher: always the same, and different for up to 1,348 classes."""
    grid, _ = _candidates()
    class_id %= len(_OKABE_ITO) + len(grid)
    with _growing:
        while len(_chosen) <= class_id:
            _choose_next()
        return _chosen[class_id]


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever has more contrast: at least 4.58 to 1 by WCAG 2.2's relative luminance."""
    red, green, blue = _linear(np.array([background]))[0].tolist()
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


_chosen: list[Colour] = list(_OKABE_ITO)
_growing = Lock()


def _choose_next() -> None:
    """Add the candidate farthest from every colour chosen so far."""
    grid, looks = _candidates()
    nearest = _nearest()
    # Rounded, so that the last bit on another machine does not change the choice.
    farthest = int(np.argmax(np.round(nearest, 9)))
    np.minimum(nearest, _distances(looks, looks[:, farthest]), out=nearest)
    nearest[farthest] = -1  # never again, even when all other distances are 0
    red, green, blue = grid[farthest].tolist()
    _chosen.append((red, green, blue))


@lru_cache(maxsize=1)
def _candidates() -> tuple[Int[np.ndarray, "n 3"], Float[np.ndarray, "9 n"]]:
    """Screen colours that are not dark, pale or grey, and how each looks to the three kinds of vision."""
    levels = np.arange(0, 256, 23)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    looks = _looks(grid)
    lightness, chroma = looks[0], np.hypot(looks[1], looks[2])
    vivid = (lightness > 0.45) & (lightness < 0.93) & (chroma > 0.06)
    return grid[vivid], looks[:, vivid]


@lru_cache(maxsize=1)
def _nearest() -> Float[np.ndarray, " n"]:
    """Distance of each candidate to the nearest chosen colour; updated in place by :func:`_choose_next`."""
    _, looks = _candidates()
    chosen = _looks(np.array(_OKABE_ITO)).T
    nearest: Float[np.ndarray, " n"] = np.stack([_distances(looks, look) for look in chosen]).min(axis=0)
    return nearest


def _distances(looks: Float[np.ndarray, "9 n"], look: Float[np.ndarray, "9"]) -> Float[np.ndarray, " n"]:
    """Squared difference of colours from one colour, for the vision that sees least of it."""
    apart = (looks - look[:, None]) ** 2
    least: Float[np.ndarray, " n"] = (apart[0::3] + apart[1::3] + apart[2::3]).min(axis=0)
    return least


def _looks(colours: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "9 n"]:
    """OKLab of colours as seen by normal, red-blind and green-blind vision, three rows for each."""
    linear = _linear(colours).T
    weighted = ((1, linear), (_BLIND_WEIGHT, _RED_BLIND @ linear), (_BLIND_WEIGHT, _GREEN_BLIND @ linear))
    return np.vstack([weight * (_TO_OKLAB @ np.cbrt(_TO_CONES @ light.clip(0, 1))) for weight, light in weighted])


def _linear(colours: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Amounts of light, 0 to 1, of sRGB values (IEC 61966-2-1)."""
    shares = colours / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
