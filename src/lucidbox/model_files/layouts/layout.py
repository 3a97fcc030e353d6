"""How a model that lucidbox did not write takes pixels and answers, as frozen values."""

from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["yolo", "yolo-objectness", "yolox", "end-to-end", "detr-logits", "detr-boxes"]
"""What the numbers of a model's answer mean; :data:`LAYOUTS` says it in words."""

LAYOUTS: dict[str, str] = {
    "yolo": "b 4+c a: centre x, y, width, height in input pixels, and a probability a class (YOLOv8, 9, 11, 12)",
    "yolo-objectness": "b a 5+c: the same with the probability of an object before the classes (YOLOv5, 6, 7)",
    "yolox": "b a 5+c: centre offsets and logarithms of sides in cells, objectness, classes (YOLOX, undecoded)",
    "end-to-end": "b n 6: xyxy in input pixels, score, class (suppression inside; YOLOv10, YOLO26)",
    "detr-logits": "boxes b n 4: cx, cy, w, h from 0 to 1; logits b n c (DETR, RF-DETR, Hugging Face)",
    "detr-boxes": "labels b n, boxes b n 4, scores b n, with the input orig_target_sizes (RT-DETR, D-FINE)",
}
"""Every kind, and what its answer is, by whom it is used."""

assert set(LAYOUTS) == set(get_args(Kind))

Anchor = Literal["centre", "top-left", "stretch"]
Rounding = Literal["nearest", "down"]
Activation = Literal["none", "sigmoid", "softmax"]
NumberType = Literal["float32", "float16", "uint8"]
Triple = tuple[float, float, float]
NO_MEAN, NO_DEVIATION = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Placement:
    """How an image is fitted into the network's input.

    Attributes:
        anchor: "centre" and "top-left" keep the image's shape and pad the rest; "stretch" fills the input.
        rounding: of the resized sides to whole pixels.
        padding: grey value of the rest.
    """

    anchor: Anchor = "centre"
    rounding: Rounding = "nearest"
    padding: int = 114


@dataclass(frozen=True)
class Pixels:
    """How pixels are written into the network's input: ``(value * scale - mean) / deviation``.

    Attributes:
        input: the input's name.
        channels_first: "b 3 h w" instead of "b h w 3".
        bgr: blue first.
        scale: what values from 0 to 255 are multiplied by.
        mean: subtracted from each channel, in the model's own order of channels.
        deviation: what each channel is divided by, in the same order.
        type: of the input's numbers.
    """

    input: str
    channels_first: bool = True
    bgr: bool = False
    scale: float = 1 / 255
    mean: Triple = NO_MEAN
    deviation: Triple = NO_DEVIATION
    type: NumberType = "float32"


@dataclass(frozen=True)
class Layout:
    """How a model takes pixels and what its answer means.

    Attributes:
        kind: what the numbers of the answer mean.
        pixels: how pixels are written into its input.
        placement: where an image lies in its input.
        outputs: names of the outputs that are read: the one, or boxes and logits, or labels, boxes and scores.
        activation: what makes probabilities of the class numbers.
        columns: the column of each class, where they are not all columns in order.
        transposed: the yolo kind as "b a 4+c".
        normalised: boxes are shares of the input's sides instead of pixels.
        sizes_input: name of the second input, which takes width and height of what boxes are to be scaled to.
        mask_input: name of the second input that marks the pixels that are not padding.

    Example:
        >>> Layout("yolo", Pixels("images"), outputs=("output0",))
    """

    kind: Kind
    pixels: Pixels
    placement: Placement = field(default=Placement())
    outputs: tuple[str, ...] = ()
    activation: Activation = "none"
    columns: tuple[int, ...] | None = None
    transposed: bool = False
    normalised: bool = False
    sizes_input: str | None = None
    mask_input: str | None = None

    @property
    def suppresses(self) -> bool:
        """Whether suppression is inside the graph."""
        return self.kind == "end-to-end"

    @property
    def needs_suppression(self) -> bool:
        """Whether the answer holds many boxes of one object; networks of the DETR family give one."""
        return self.kind.startswith("yolo")
