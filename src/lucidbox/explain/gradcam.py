"""Grad-CAM (arXiv 1610.02391): channels of a layer, each weighed by how much the score grows with it."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from lucidbox.model import Network


def gradcam(
    activations: Float[np.ndarray, "k h w"], gradients: Float[np.ndarray, "k h w"]
) -> Float32[np.ndarray, "h w"]:
    """Channels weighed by their gradient's mean over all cells and summed; what speaks against becomes 0."""
    weights = gradients.mean(axis=(1, 2))
    heat: Float32[np.ndarray, "h w"] = np.maximum(np.einsum("k,khw->hw", weights, activations), 0).astype(
        np.float32
    )
    return heat


def class_gradcam(
    network: "Network", images: "Tensor", layer: str, class_id: int | None = None
) -> Float32[np.ndarray, "h w"]:
    """Grad-CAM of a whole class, as the notebook series has it: its logits summed over all cells of P3.

    It says what speaks for the class anywhere in the picture, not why one box was made.

    Args:
        network: in any mode; left as it is.
        images: ``1 3 h w``: one RGB image with values 0 to 1.
        layer: name of the layer; the notebook takes ``backbone.stage4.2.cv2``.
        class_id: the class; None for the one of the largest sum.

    Returns:
        Values 0 to 1, at the image's size; 0 everywhere if nothing speaks for the class.

    Raises:
        OptionError: the layer or the class does not exist.
    """
    from lucidbox.explain.hooks import record_images

    recording = record_images(network, images, [layer])
    scores = recording.class_scores()
    if class_id is None:
        class_id = int(scores.argmax())
    if not 0 <= class_id < len(scores):
        raise OptionError(f"class {class_id} is not in the model: its ids run from 0 to {len(scores) - 1}")
    heat = gradcam(recording.activations(layer), recording.gradients(scores[class_id], layer))
    height, width = images.shape[2:]
    large = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    low, high = float(large.min()), float(large.max())
    # The notebook's own scaling: from its least value to its largest, and 1e-8 against a map of one value.
    scaled: Float32[np.ndarray, "h w"] = (large - low) / np.float32(high - low + 1e-8)
    return scaled
