"""YOLO11's position-sensitive attention: C2PSA and its parts."""

import torch
from torch import Tensor, nn

from lucidbox.core.array_types import Float
from lucidbox.model.blocks import Block, ConvUnit

HEAD_SIZE = 64
KEY_SIZE = 32


class Attention(Block):
    """Multi-head self-attention over all cells (arXiv 1706.03762), with a convolution instead of position codes.

    Args:
        channels: channels in and out, a multiple of 64; one head for each 64.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_SIZE
        packed = channels + 2 * KEY_SIZE * self.heads
        self.query_key_value = ConvUnit(channels, packed, activation=nn.Identity)
        self.project = ConvUnit(channels, channels, activation=nn.Identity)
        self.position = ConvUnit(channels, channels, 3, groups=channels, activation=nn.Identity)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Each cell's weighted sum of all values, plus the position convolution of the values, projected."""
        batch, _, height, width = features.shape
        packed = self.query_key_value(features).reshape(batch, self.heads, -1, height * width)
        # Each b heads size cells.
        query, key, value = torch.split(packed, [KEY_SIZE, KEY_SIZE, HEAD_SIZE], dim=2)
        # Scaling the query instead of the product needs heads × size multiplications instead of cells².
        affinity = (query * KEY_SIZE**-0.5).transpose(2, 3) @ key
        mixed = value @ affinity.softmax(dim=3).transpose(2, 3)
        return self.project(mixed.reshape(features.shape) + self.position(value.reshape(features.shape)))


class AttentionBlock(Block):
    """Attention, then a feed-forward pair of 1×1 convolutions, each with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = Attention(channels)
        self.expand = ConvUnit(channels, 2 * channels)
        self.contract = ConvUnit(2 * channels, channels, activation=nn.Identity)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The input plus attention, plus feed-forward."""
        features = features + self.attention(features)
        return features + self.contract(self.expand(features))


class C2PSA(Block):
    """Split the channels in two, apply attention blocks to one half, merge both.

    Args:
        channels: channels in and out, a multiple of 128.
        repeats: number of attention blocks.
    """

    def __init__(self, channels: int, repeats: int) -> None:
        super().__init__()
        half = channels // 2
        self.split = ConvUnit(channels, 2 * half)
        self.merge = ConvUnit(2 * half, channels)
        self.repeats = nn.ModuleList(AttentionBlock(half) for _ in range(repeats))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The plain half and the attended half, merged."""
        plain, attended = self.split(features).chunk(2, dim=1)
        for block in self.repeats:
            attended = block(attended)
        return self.merge(torch.cat((plain, attended), dim=1))
