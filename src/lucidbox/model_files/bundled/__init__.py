"""The model that comes with lucidbox: YOLO11n, trained by ``lucidbox train`` from random weights.

MODEL_CARD.md says on what, and how well it does.
"""

from pathlib import Path

from lucidbox.core.errors import WeightsError

__all__ = ["ONNX", "SAFETENSORS", "weights"]

ONNX = Path(__file__).with_name("yolo11n.onnx")
"""What ``Detector.load()`` runs."""

SAFETENSORS = Path(__file__).with_name("yolo11n.safetensors")
"""The same numbers, to train from: ``lucidbox train --weights``."""


def weights() -> Path:
    """The model file that is run where a user names none.

    Raises:
        WeightsError: it is not there: the copy of lucidbox is incomplete.
    """
    if not ONNX.is_file():
        raise WeightsError(
            f"{ONNX}: the bundled model is missing; install lucidbox again, or name a YOLO11 file with --weights"
        )
    return ONNX
