"""The network of the "YOLOv11 from scratch" notebook series, so that its checkpoints can be loaded.

The state dict has the notebook's names and shapes, hence the short module names here; blocks of the same
structure as in :mod:`lucidbox.model.blocks` exist twice only because of these names. Unlike the published
network: torch's default batch norm, plain bottlenecks, squeeze-and-excitation (arXiv 1709.01507) instead of
attention, full convolutions in the heads, one head module for each level.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lucidbox.core.array_types import Float
from lucidbox.model.blocks import Block, ConvUnit
from lucidbox.model.network import BINS, Logits, Network, join_levels

_unit = partial(ConvUnit, eps=1e-5, momentum=0.1)


class LevelLogits(NamedTuple):
    """Raw output of one level, as maps.

    Attributes:
        boxes: distribution logits; sides left, top, right, bottom slowest, bins fastest.
        classes: one logit for each class.
    """

    boxes: Float[Tensor, "b 4*bins h w"]
    classes: Float[Tensor, "b c h w"]


class NotebookBottleneck(Block):
    """Two 3×3 convolutions at half the channels, with or without a shortcut."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = _unit(channels, channels // 2, 3)
        self.cv2 = _unit(channels // 2, channels, 3)
        self.shortcut = shortcut

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The result of the convolutions, plus the input if there is a shortcut."""
        refined = self.cv2(self.cv1(features))
        return features + refined if self.shortcut else refined


class NotebookC3k2(Block):
    """The notebook's C3k2: a chain of two bottlenecks on one half of the channels, everything merged."""

    def __init__(self, inputs: int, outputs: int, shortcut: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.cv1 = _unit(inputs, 2 * half)
        self.cv2 = _unit(4 * half, outputs)
        self.bottlenecks = nn.ModuleList(NotebookBottleneck(half, shortcut) for _ in range(2))

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Every stage of the chain, merged."""
        stages = list(self.cv1(features).chunk(2, dim=1))
        for pair in self.bottlenecks:
            stages.append(pair(stages[-1]))
        return self.cv2(torch.cat(stages, dim=1))


class NotebookSPPF(Block):
    """The notebook's SPPF: a 5×5 maximum applied three times."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = _unit(channels, channels // 2)
        self.cv2 = _unit(4 * (channels // 2), channels)
        self.pool = nn.MaxPool2d(kernel_size=5, stride=1, padding=2)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map and its three poolings, merged."""
        scales = [self.cv1(features)]
        for _ in range(3):
            scales.append(self.pool(scales[-1]))
        return self.cv2(torch.cat(scales, dim=1))


class NotebookC2PSA(Block):
    """The notebook's C2PSA: half of the channels are refined, then weighted by functions of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.cv1 = _unit(channels, 2 * half)
        self.cv2 = _unit(2 * half, channels)
        weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(half, half // 4),
            nn.SiLU(),
            nn.Linear(half // 4, half),
            nn.Sigmoid(),
        )
        self.attention = nn.ModuleList([weigh])
        self.bottlenecks = nn.ModuleList([NotebookBottleneck(half, shortcut=True)])

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The plain half and the weighted half, merged."""
        plain, refined = self.cv1(features).chunk(2, dim=1)
        refined = self.bottlenecks[0](refined)
        weights = self.attention[0](refined)
        return self.cv2(torch.cat((plain, refined * weights[:, :, None, None]), dim=1))


class NotebookBackbone(nn.Module):
    """Pixels to features of three resolutions."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.stem = _unit(3, base, 3, 2)
        self.stage1 = self._stage(base)
        self.stage2 = self._stage(2 * base)
        self.stage3 = self._stage(4 * base)
        self.stage4 = self._stage(8 * base).append(NotebookSPPF(16 * base))

    @staticmethod
    def _stage(inputs: int) -> nn.Sequential:
        return nn.Sequential(_unit(inputs, 2 * inputs, 3, 2), NotebookC3k2(2 * inputs, 2 * inputs, shortcut=True))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Features with one cell for 8, 16 and 32 pixels."""
        p3 = self.stage2(self.stage1(self.stem(images)))
        p4 = self.stage3(p3)
        return p3, p4, self.stage4(p4)


class NotebookFPN(nn.Module):
    """The notebook's FPN: finer levels receive features of coarser ones."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.lateral_p5 = _unit(16 * base, 8 * base)
        self.lateral_p4 = _unit(8 * base, 4 * base)
        self.fpn_p4 = NotebookC3k2(16 * base, 8 * base, shortcut=False)
        self.fpn_p3 = NotebookC3k2(8 * base, 4 * base, shortcut=False)

    def forward(self, p3: Tensor, p4: Tensor, p5: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed P3 and P4."""
        p4 = self.fpn_p4(torch.cat((interpolate(self.lateral_p5(p5), size=p4.shape[2:]), p4), dim=1))
        p3 = self.fpn_p3(torch.cat((interpolate(self.lateral_p4(p4), size=p3.shape[2:]), p3), dim=1))
        return p3, p4


class NotebookPAN(nn.Module):
    """The notebook's PAN: coarser levels receive features of finer ones."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.down_p3 = _unit(4 * base, 4 * base, 3, 2)
        self.down_p4 = _unit(8 * base, 8 * base, 3, 2)
        self.pan_p4 = NotebookC3k2(12 * base, 8 * base, shortcut=False)
        self.pan_p5 = NotebookC3k2(24 * base, 16 * base, shortcut=False)

    def forward(self, p3: Tensor, p4: Tensor, p5: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed P4 and P5."""
        p4 = self.pan_p4(torch.cat((self.down_p3(p3), p4), dim=1))
        p5 = self.pan_p5(torch.cat((self.down_p4(p4), p5), dim=1))
        return p4, p5


class BinNumbers(nn.Module):
    """The bins' numbers, which the notebook's checkpoints contain; decoding does not use them.

    Reading a checkpoint (:mod:`lucidbox.weights`) refuses other numbers, because they would have no effect.
    """

    project: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("project", torch.arange(BINS, dtype=torch.float32))


class NotebookHead(nn.Module):
    """Class and box logits of one level."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.cls_branch = self._branch(channels, classes)
        self.reg_branch = self._branch(channels, 4 * BINS)
        self.dfl = BinNumbers()

    @staticmethod
    def _branch(channels: int, outputs: int) -> nn.Sequential:
        units = (_unit(channels, channels, 3) for _ in range(2))
        return nn.Sequential(*units, nn.Conv2d(channels, outputs, 1))

    def forward(self, features: Float[Tensor, "b c h w"]) -> LevelLogits:
        """Logits of every cell."""
        return LevelLogits(self.reg_branch(features), self.cls_branch(features))


class Notebook(Network):
    """The notebook's network.

    Args:
        classes: number of classes.
        base_channels: channels after the first convolution; all others are multiples of it.
    """

    def __init__(self, classes: int, base_channels: int) -> None:
        super().__init__()
        self.architecture = "notebook"
        self.classes = classes
        self.options = {"base_channels": base_channels}
        self.backbone = NotebookBackbone(base_channels)
        self.fpn = NotebookFPN(base_channels)
        self.pan = NotebookPAN(base_channels)
        self.c2psa = NotebookC2PSA(16 * base_channels)
        self.head_p3 = NotebookHead(4 * base_channels, classes)
        self.head_p4 = NotebookHead(8 * base_channels, classes)
        self.head_p5 = NotebookHead(16 * base_channels, classes)

    def levels(self, images: Float[Tensor, "b 3 h w"]) -> tuple[LevelLogits, LevelLogits, LevelLogits]:
        """Logits of P3, P4 and P5 as maps, for RGB images with values 0 to 1."""
        p3, p4, p5 = self.backbone(images)
        p3, p4 = self.fpn(p3, p4, p5)
        p4, p5 = self.pan(p3, p4, p5)
        return self.head_p3(p3), self.head_p4(p4), self.head_p5(self.c2psa(p5))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Logits:
        """Logits of all levels, one column for each anchor."""
        boxes, classes = zip(*self.levels(images), strict=True)
        return join_levels(boxes, classes)
