"""Random hue, saturation and value."""

import cv2
import numpy as np

from lucidbox.core.array_types import Float, UInt8

_HUES = 180  # OpenCV halves the circle's 360 degrees so that a byte holds them


def random_gains(rng: np.random.Generator, hue: float, saturation: float, value: float) -> Float[np.ndarray, " 3"]:
    """Factors for hue, saturation and value, uniform within 1 ± each; three numbers of ``rng``."""
    return np.asarray(rng.uniform(-1, 1, 3) * np.array([hue, saturation, value]) + 1)


def change_colours(
    image: UInt8[np.ndarray, "h w 3"], gains: Float[np.ndarray, " 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels with hue, saturation and value multiplied: hue is periodic, the others stop at 255.

    With gains of 1 the image itself is returned: converting to HSV and back would change colours slightly.
    """
    if (gains == 1).all():
        return image
    levels = np.arange(256)[:, None] * gains
    levels[:, 0] %= _HUES
    table = levels.clip(0, 255).astype(np.uint8)
    changed = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table[None])
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB), np.uint8)
