"""Tensors of networks that were saved inside a wrapper, or with their norms folded into their convolutions."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lucidbox.weights.contents import Tensors

if TYPE_CHECKING:
    from torch import nn

STEM = "backbone.stem.conv.weight"
"""The convolution that takes the image, in every architecture of ours."""

_PUBLISHED_STEM = "model.0.conv.weight"
_COUNTER = "n_averaged"  # torch's AveragedModel counts its updates in a tensor of this name


def unwrapped(tensors: Tensors) -> Tensors:
    """The same tensors without the name that a wrapper (``module.``, ``_orig_mod.``, ``model.``) puts before all.

    A published network saved as its bare list of layers gets the ``model.`` back.
    """
    tensors = {name: array for name, array in tensors.items() if name != _COUNTER}
    if _PUBLISHED_STEM.removeprefix("model.") in tensors:
        return {f"model.{name}": array for name, array in tensors.items()}
    for stem in (_PUBLISHED_STEM, STEM):
        prefix = next((name.removesuffix(stem) for name in tensors if name.endswith(f".{stem}")), "")
        if prefix and stem not in tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): array for name, array in tensors.items()}
    return tensors


def with_norms(tensors: Tensors, network: "nn.Module") -> Tensors:
    """The same tensors, where each convolution with a bias in a norm's place has a norm again, which only adds it.

    Args:
        tensors: by our names.
        network: of their kind; may be empty.
    """
    from torch import nn

    made = dict(tensors)
    for name, module in network.named_modules():
        bias = name.removesuffix("bn") + "conv.bias"
        if isinstance(module, nn.BatchNorm2d) and bias in made and f"{name}.weight" not in made:
            made |= {f"{name}.{part}": array for part, array in _plain_norm(made.pop(bias), module.eps).items()}
    return made


def _plain_norm(bias: Any, eps: float) -> Tensors:
    """A batch norm that only adds a bias: (x - 0) / √(1 - eps + eps) · 1 + bias."""
    bias = bias.astype(np.float32) if bias.dtype == np.float16 else bias  # which cannot hold 1 - eps
    return {
        "weight": np.ones_like(bias),
        "bias": bias,
        "running_mean": np.zeros_like(bias),
        "running_var": np.full_like(bias, 1 - eps),
        "num_batches_tracked": np.array(0, np.int64),
    }
