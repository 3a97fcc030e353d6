"""Eigen-CAM (arXiv 2008.00299): what a layer responds to most, without any gradient.

It looks at activations only, so it is the same for every detection of a picture.
"""

import numpy as np

from lucidbox.core.array_types import Float, Float32


def eigencam(activations: Float[np.ndarray, "k h w"]) -> Float32[np.ndarray, "h w"]:
    """Activations projected on their first principal direction, the sign such that the strongest cell is positive.

    The direction comes from the small k × k matrix of channel products, not from k × cells ones.
    """
    channels = activations.reshape(len(activations), -1).astype(np.float64)
    _, directions = np.linalg.eigh(channels @ channels.T)
    projected = directions[:, -1] @ channels
    projected = projected * np.sign(projected[np.abs(projected).argmax()])
    heat: Float32[np.ndarray, "h w"] = np.maximum(projected, 0).reshape(activations.shape[1:]).astype(np.float32)
    return heat
