"""The model that comes with lucidbox: YOLO11n, trained by ``lucidbox train`` from random weights; MODEL_CARD.md.

Knows: where its files are. Does not know: anything else.
"""

from pathlib import Path

from lucidbox.core.errors import WeightsError

_FOLDER = Path(__file__).parent

ONNX = _FOLDER / "yolo11n.onnx"
"""What ``Detector.load()`` runs."""

SAFETENSORS = _FOLDER / "yolo11n.safetensors"
"""The same numbers, to train on from: ``lucidbox train --weights``."""


def weights() -> Path:
    """The file that is run where a user names none.

    Raises:
        WeightsError: it is not there: an incomplete copy of lucidbox.
    """
    if not ONNX.is_file():
        raise WeightsError(
            f"{ONNX}: the bundled model is missing; install lucidbox again, or name a YOLO11 file with --weights"
        )
    return ONNX
