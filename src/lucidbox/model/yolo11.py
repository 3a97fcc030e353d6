"""YOLO11 as published, in its five sizes: backbone, neck, head.

P2 to P5 are the field's names for the pyramid's levels: level n has one cell for 2ⁿ input pixels.
Every layer that an explanation or a test can use is a module with a fixed name (``backbone.mix_p5``,
``neck.top_down_p3``, ...): ``network.get_submodule(name)`` and a forward hook give its output.
``lucidbox.weights.keys.LAYERS`` lists them by published number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lucidbox.core.array_types import Float
from lucidbox.core.errors import OptionError
from lucidbox.model.attention import C2PSA
from lucidbox.model.blocks import SPPF, Block, Bottleneck, C3k, C3k2, ConvUnit
from lucidbox.model.network import BINS, STRIDES, Logits, Network, join_levels


@dataclass(frozen=True)
class NetworkSize:
    """One size of YOLO11.

    Attributes:
        depth: multiplies the published two repeats of every repeated block.
        width: multiplies every number of channels.
        widest: limit of the published number of channels, before ``width``.
        link: the block in the chains of the shallow and middle :class:`C3k2`.
    """

    depth: float
    width: float
    widest: int
    link: Callable[[int], Block]

    @property
    def repeats(self) -> int:
        """Repeats of every repeated block."""
        return max(round(2 * self.depth), 1)

    def channels(self, published: int) -> int:
        """A published number of channels in this size: a multiple of 8."""
        return math.ceil(min(published, self.widest) * self.width / 8) * 8

    def mix(
        self, inputs: int, outputs: int, link: Callable[[int], Block] | None = None, ratio: float = 0.5
    ) -> C3k2:
        """A :class:`C3k2` of this size's depth; ``link`` replaces this size's own."""
        return C3k2(inputs, outputs, self.repeats, link or self.link, ratio)


SIZES = {
    "n": NetworkSize(depth=0.50, width=0.25, widest=1024, link=Bottleneck),
    "s": NetworkSize(depth=0.50, width=0.50, widest=1024, link=Bottleneck),
    "m": NetworkSize(depth=0.50, width=1.00, widest=512, link=C3k),
    "l": NetworkSize(depth=1.00, width=1.00, widest=512, link=C3k),
    "x": NetworkSize(depth=1.00, width=1.50, widest=512, link=C3k),
}


class Pyramid(NamedTuple):
    """Feature maps with one cell for 8, 16 and 32 input pixels."""

    p3: Float[Tensor, "b c3 h3 w3"]
    p4: Float[Tensor, "b c4 h4 w4"]
    p5: Float[Tensor, "b c5 h5 w5"]


class Backbone(nn.Module):
    """Pixels to features, halving the resolution five times."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (size.channels(published) for published in (64, 128, 256, 512, 1024))
        self.stem = ConvUnit(3, c1, 3, stride=2)
        self.down_p2 = ConvUnit(c1, c2, 3, stride=2)
        self.mix_p2 = size.mix(c2, c3, ratio=0.25)
        self.down_p3 = ConvUnit(c3, c3, 3, stride=2)
        self.mix_p3 = size.mix(c3, c4, ratio=0.25)
        self.down_p4 = ConvUnit(c4, c4, 3, stride=2)
        self.mix_p4 = size.mix(c4, c4, link=C3k)
        self.down_p5 = ConvUnit(c4, c5, 3, stride=2)
        self.mix_p5 = size.mix(c5, c5, link=C3k)
        self.pool_p5 = SPPF(c5)
        self.attend_p5 = C2PSA(c5, size.repeats)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Pyramid:
        """Features of three resolutions."""
        p2 = self.mix_p2(self.down_p2(self.stem(images)))
        p3 = self.mix_p3(self.down_p3(p2))
        p4 = self.mix_p4(self.down_p4(p3))
        p5 = self.attend_p5(self.pool_p5(self.mix_p5(self.down_p5(p4))))
        return Pyramid(p3, p4, p5)


class Neck(nn.Module):
    """Combines the levels: top down (arXiv 1612.03144), then bottom up (arXiv 1803.01534)."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        c3, c4, c5 = (size.channels(published) for published in (256, 512, 1024))
        self.top_down_p4 = size.mix(c5 + c4, c4)
        self.top_down_p3 = size.mix(c4 + c4, c3)
        self.down_p4 = ConvUnit(c3, c3, 3, stride=2)
        self.bottom_up_p4 = size.mix(c3 + c4, c4)
        self.down_p5 = ConvUnit(c4, c4, 3, stride=2)
        self.bottom_up_p5 = size.mix(c4 + c5, c5, link=C3k)

    def forward(self, features: Pyramid) -> Pyramid:
        """Mixed features of the same three resolutions."""
        p4 = self.top_down_p4(torch.cat((double(features.p5), features.p4), dim=1))
        p3 = self.top_down_p3(torch.cat((double(p4), features.p3), dim=1))
        p4 = self.bottom_up_p4(torch.cat((self.down_p4(p3), p4), dim=1))
        p5 = self.bottom_up_p5(torch.cat((self.down_p5(p4), features.p5), dim=1))
        return Pyramid(p3, p4, p5)


def double(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """The features at twice the resolution, cells repeated."""
    return interpolate(features, scale_factor=2.0, mode="nearest")


class Separable(Block):
    """A depthwise 3×3 convolution, then a 1×1 one across channels (arXiv 1704.04861)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = ConvUnit(inputs, inputs, 3, groups=inputs)
        self.pointwise = ConvUnit(inputs, outputs)

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Mixed over neighbours, then over channels."""
        return self.pointwise(self.depthwise(features))


class Branch(Block):
    """Two units and a plain 1×1 convolution that predicts."""

    def __init__(self, first: Block, second: Block, predict: nn.Conv2d) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.predict = predict

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b numbers h w"]:
        """Logits of every cell."""
        logits: Tensor = self.predict(self.second(self.first(features)))
        return logits


class Head(nn.Module):
    """A branch for boxes and one for classes at each level."""

    def __init__(self, levels: tuple[int, ...], classes: int) -> None:
        super().__init__()
        box_width = max(16, levels[0] // 4, 4 * BINS)
        # Beyond 100 classes the branch grows no further: the published rule.
        class_width = max(levels[0], min(classes, 100))
        self.box_branches = nn.ModuleList(
            Branch(
                ConvUnit(channels, box_width, 3),
                ConvUnit(box_width, box_width, 3),
                biased(nn.Conv2d(box_width, 4 * BINS, 1), 1.0),
            )
            for channels in levels
        )
        self.class_branches = nn.ModuleList(
            Branch(
                Separable(channels, class_width),
                Separable(class_width, class_width),
                biased(nn.Conv2d(class_width, classes, 1), prior_logit(classes, stride)),
            )
            for channels, stride in zip(levels, STRIDES, strict=True)
        )

    def forward(self, features: Pyramid) -> Logits:
        """Logits of every cell of every level."""
        return join_levels(
            [branch(level) for branch, level in zip(self.box_branches, features, strict=True)],
            [branch(level) for branch, level in zip(self.class_branches, features, strict=True)],
        )


def prior_logit(classes: int, stride: int) -> float:
    """Class bias of an untrained network: five objects in a 640×640 image, over all classes and cells."""
    return math.log(5 / classes / (640 / stride) ** 2)


def biased(convolution: nn.Conv2d, bias: float) -> nn.Conv2d:
    """The convolution with all biases set to one number."""
    assert convolution.bias is not None
    nn.init.constant_(convolution.bias, bias)
    return convolution


class Yolo11(Network):
    """The published YOLO11.

    Args:
        size: a key of :data:`SIZES`.
        classes: number of classes.
    """

    def __init__(self, size: str, classes: int) -> None:
        super().__init__()
        self.architecture = f"yolo11{size}"
        self.classes = classes
        self.options = {}
        row = SIZES[size]
        self.backbone = Backbone(row)
        self.neck = Neck(row)
        self.head = Head(tuple(row.channels(published) for published in (256, 512, 1024)), classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Logits:
        """Logits of RGB images with values 0 to 1.

        Raises:
            OptionError: height or width is no multiple of 32.
        """
        height, width = images.shape[2:]
        if height % 32 or width % 32:
            raise OptionError(f"image of {height}×{width} pixels; height and width must be multiples of 32")
        logits: Logits = self.head(self.neck(self.backbone(images)))
        return logits
