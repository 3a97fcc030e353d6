"""ODAM: the reasons for one object.

After Zhao and Chan, "ODAM: Gradient-based Instance-specific Visual Explanations for Object Detection", ICLR 2023.

Grad-CAM gives a channel one weight for the whole picture, so it lights up every object of the class. Here
each cell of each channel keeps the gradient of its own.
"""

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32


def odam(
    activations: Float[np.ndarray, "k h w"], gradients: Float[np.ndarray, "k h w"], sigma: tuple[float, float]
) -> Float32[np.ndarray, "h w"]:
    """Gradient times activation at each cell, summed over channels; what speaks against becomes 0.

    Args:
        activations: what the layer put out.
        gradients: how the score grows with it.
        sigma: vertical and horizontal width of the Gaussian that smooths the gradients, in cells; 0 for none.
    """
    smooth = gradients if min(sigma) <= 0 else _smoothed(gradients, sigma)
    heat: Float32[np.ndarray, "h w"] = np.maximum((smooth * activations).sum(axis=0), 0).astype(np.float32)
    return heat


def _smoothed(maps: Float[np.ndarray, "k h w"], sigma: tuple[float, float]) -> Float[np.ndarray, "k h w"]:
    """Each map smoothed by a Gaussian; beyond the border there is nothing."""
    return np.stack(
        [
            cv2.GaussianBlur(one, (0, 0), sigmaX=sigma[1], sigmaY=sigma[0], borderType=cv2.BORDER_CONSTANT)
            for one in maps
        ]
    )
