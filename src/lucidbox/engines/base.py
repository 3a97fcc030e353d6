"""The engine protocol: uint8 RGB pixels in, decoded boxes and class probabilities out."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import Float32, Shaped, UInt8
from lucidbox.core.errors import EngineError


class Prediction(NamedTuple):
    """A network's answer for a batch, before selection and suppression.

    Attributes:
        boxes: xyxy of every anchor, pixels of the network's input.
        scores: probability of each class at every anchor.
    """

    boxes: Float32[np.ndarray, "b a 4"]
    scores: Float32[np.ndarray, "b a c"]


def prediction_of(outputs: Mapping[str, np.ndarray], batch: int) -> Prediction:
    """Boxes and scores among the outputs of a graph whose metadata, maybe of another graph, promise them.

    Raises:
        EngineError: it has no such outputs, or in other shapes or types.
    """
    boxes, scores = outputs.get("boxes"), outputs.get("scores")
    if boxes is None or scores is None:
        raise EngineError(f"this graph gives {', '.join(outputs) or 'nothing'}; lucidbox's give boxes and scores")
    fits = boxes.ndim == scores.ndim == 3 and boxes.shape == (batch, scores.shape[1], 4) and len(scores) == batch
    if not fits or not boxes.dtype == scores.dtype == np.float32:
        raise EngineError(
            f"this graph gives boxes {boxes.shape} and scores {scores.shape} for {batch} pictures; lucidbox's give"
            " float32 of shape (pictures, anchors, 4) and (pictures, anchors, classes)"
        )
    return Prediction(boxes, scores)


@runtime_checkable
class Engine(Protocol):
    """Runs one network. Safe to call from several threads at once.

    Attributes:
        name: "openvino", "onnxruntime" or "torch".
        precision: of the arithmetic: "fp32", "bf16" or "fp16"; "int8+bf16" where a file computes its convolutions
            in int8 and the engine the rest in bf16.
    """

    name: str
    precision: str

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """Predict a batch of letterboxed RGB pictures, sides multiples of 32.

        The arrays returned may be reused by this thread's next call: copy what must live longer.
        """
        ...


@runtime_checkable
class Scalable(Engine, Protocol):
    """An engine that has a form which answers more pictures a second where several threads call it at once."""

    def for_many(self) -> Engine:
        """That form of it: the same answers, bit for bit, each of them later."""
        ...


def for_many(engine: Engine) -> Engine:
    """The engine in the form that answers most pictures a second; itself where it has no other."""
    return engine.for_many() if isinstance(engine, Scalable) else engine


def one_hot(
    scores: Float32[np.ndarray, "b k"], classes: Shaped[np.ndarray, "b k"], count: int
) -> Float32[np.ndarray, "b k c"]:
    """Each box's score in its class's column, 0 in all others."""
    dense = np.zeros((*scores.shape, count), np.float32)
    np.put_along_axis(dense, classes[..., None].astype(np.intp), scores[..., None], axis=2)
    return dense
