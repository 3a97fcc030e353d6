"""Building blocks of YOLO11, with the names that the field uses.

Every block maps a feature map ``b c h w`` to another, and none works in place: a hook on any block receives
exactly what later layers receive, and explanations can differentiate through it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lucidbox.core.array_types import Float


class Block(nn.Module):
    """A module from one feature map to one feature map."""

    if TYPE_CHECKING:

        def __call__(self, features: Tensor) -> Tensor:
            """Like nn.Module's, which is annotated to return Any."""
            ...


class ConvUnit(Block):
    """Convolution without bias, batch norm, SiLU; "same" padding.

    The batch norm is called ``bn`` as in published networks and in the seed's notebook.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the square kernel.
        stride: step of the kernel.
        groups: channel groups; ``inputs`` of them make it depthwise.
        activation: applied last.
        eps: the batch norm's epsilon.
        momentum: weight of a new batch in the batch norm's running statistics.
    """

    conv: nn.Conv2d
    bn: nn.Module  # an identity once fused

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: type[nn.Module] = nn.SiLU,
        eps: float = 1e-3,
        momentum: float = 0.03,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=eps, momentum=momentum)
        self.activation = activation()

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h_out w_out"]:
        """Convolved, normalised, activated."""
        norm = self.bn
        if self.training and isinstance(norm, nn.BatchNorm2d) and not norm.training:
            output: Tensor = self.activation(convolve_scaled(self.conv, norm, features))
        else:
            output = self.activation(norm(self.conv(features)))
        return output


def convolve_scaled(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, features: Float[Tensor, "b c_in h w"]
) -> Float[Tensor, "b c_out h_out w_out"]:
    """A convolution and a norm whose statistics are frozen, both in training, as one convolution.

    The sixth part of a training step's time is saved.
    """
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    output: Tensor = conv._conv_forward(features, conv.weight * scale[:, None, None, None], bias)
    return output


class Bottleneck(Block):
    """Two 3×3 convolutions around a shortcut.

    Args:
        channels: channels in and out.
        ratio: channels between the two, as a share of ``channels``.
    """

    def __init__(self, channels: int, ratio: float = 0.5) -> None:
        super().__init__()
        hidden = int(channels * ratio)
        self.first = ConvUnit(channels, hidden, 3)
        self.second = ConvUnit(hidden, channels, 3)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The input plus the result of the two convolutions."""
        return features + self.second(self.first(features))


class C3k(Block):
    """Cross-stage partial block: two bottlenecks at half width beside a plain path (arXiv 1911.11929).

    ``first`` is before the bottlenecks, ``second`` is the plain path, ``merge`` joins both.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.first = ConvUnit(channels, hidden)
        self.second = ConvUnit(channels, hidden)
        self.merge = ConvUnit(2 * hidden, channels)
        self.repeats = nn.ModuleList(Bottleneck(hidden, ratio=1.0) for _ in range(2))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Both paths, merged."""
        deep = self.first(features)
        for bottleneck in self.repeats:
            deep = bottleneck(deep)
        return self.merge(torch.cat((deep, self.second(features)), dim=1))


class C3k2(Block):
    """Split the channels in two, apply a chain of blocks to one half, merge both halves and every block's output.

    Args:
        inputs: channels in.
        outputs: channels out.
        repeats: number of blocks in the chain.
        link: makes a block from its number of channels: :class:`Bottleneck` or :class:`C3k`.
        ratio: channels of a half, as a share of ``outputs``.
    """

    def __init__(
        self, inputs: int, outputs: int, repeats: int, link: Callable[[int], Block], ratio: float = 0.5
    ) -> None:
        super().__init__()
        half = int(outputs * ratio)
        self.split = ConvUnit(inputs, 2 * half)
        self.merge = ConvUnit((2 + repeats) * half, outputs)
        self.repeats = nn.ModuleList(link(half) for _ in range(repeats))

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Every stage of the chain, merged."""
        stages = list(self.split(features).chunk(2, dim=1))
        for link in self.repeats:
            stages.append(link(stages[-1]))
        return self.merge(torch.cat(stages, dim=1))


class SPPF(Block):
    """Spatial pyramid pooling (arXiv 1406.4729): a 5×5 maximum, applied three times, covers 5, 9 and 13 cells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.reduce = ConvUnit(channels, hidden)
        self.merge = ConvUnit(4 * hidden, channels)
        self.pool = nn.MaxPool2d(kernel_size=5, stride=1, padding=2)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map and its three poolings, merged."""
        scales = [self.reduce(features)]
        for _ in range(3):
            scales.append(self.pool(scales[-1]))
        return self.merge(torch.cat(scales, dim=1))
