"""Fold batch norms into the convolutions before them: the same function in fewer steps."""

import copy
from typing import TypeVar

import torch
from torch import nn

from lucidbox.model.blocks import ConvUnit

_Module = TypeVar("_Module", bound=nn.Module)


def fuse(network: _Module) -> _Module:
    """A copy for inference (evaluation mode) without batch norms; the original does not change.

    Fusing a second time changes nothing. The copy's convolutions have biases, so its state dict has other names:
    load weights first, then fuse.
    """
    fused = copy.deepcopy(network)
    for unit in fused.modules():
        if isinstance(unit, ConvUnit) and isinstance(unit.bn, nn.BatchNorm2d):
            unit.conv, unit.bn = fold(unit.conv, unit.bn), nn.Identity()
    return fused.eval()


@torch.no_grad()
def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution equal to a convolution without bias followed by a batch norm in evaluation mode.

    The norm computes (x - mean) · scale + bias with scale = weight / √(variance + eps); kernels are multiplied by
    the scale. Computed in float64 and rounded once.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert convolution.bias is None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    folded = copy.deepcopy(convolution)
    folded.weight.copy_(convolution.weight.double() * scale[:, None, None, None])
    folded.bias = nn.Parameter(bias.to(convolution.weight), requires_grad=convolution.weight.requires_grad)
    return folded
