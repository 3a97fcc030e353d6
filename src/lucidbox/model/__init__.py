"""Networks in torch: built by name, decoded, fused. Needs the extra ``train``.

Public modules besides the names below: ``network`` (what all networks share), ``yolo11``, ``notebook``.

Example:
    >>> network = build("yolo11n", classes=80).eval()
    >>> predictions = Detecting(fuse(network))(images)
"""

import torch

from lucidbox.core.errors import OptionError
from lucidbox.model.decoding import DecodedPredictions, Decoder, Detecting, anchor_points
from lucidbox.model.fuse import fuse
from lucidbox.model.network import Logits, Network
from lucidbox.model.notebook import Notebook
from lucidbox.model.profile import ParameterCount, gflops, parameters
from lucidbox.model.yolo11 import SIZES, Yolo11

__all__ = [
    "ARCHITECTURES", "DecodedPredictions", "Decoder", "Detecting", "Logits", "Network", "ParameterCount",
    "anchor_points", "build", "decoding", "fuse", "gflops", "network", "parameters", "yolo11",
]  # fmt: skip

ARCHITECTURES = (*(f"yolo11{size}" for size in SIZES), "notebook")
"""Every name that :func:`build` knows."""


@torch.inference_mode(False)  # what is made in that mode could never be trained
def build(name: str, classes: int = 80, **options: int) -> Network:
    """An untrained network in training mode.

    Args:
        name: one of :data:`ARCHITECTURES`.
        classes: number of classes.
        options: of ``notebook`` ``base_channels``, 64 by default; of the others ``class_width``, the channels
            inside their class branches, by default as published for this number of classes.

    Raises:
        OptionError: unknown name or option, or a number that no network can have.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"architecture {name!r} is unknown; use one of {', '.join(ARCHITECTURES)}")
    if classes < 1:
        raise OptionError(f"{classes} classes; a network needs at least one")
    known, least = ("base_channels", 2) if name == "notebook" else ("class_width", 1)
    if unknown := sorted(options.keys() - {known}):
        raise OptionError(f"{name} has no option {', '.join(unknown)}; it has {known}")
    if options.get(known, least) < least:
        raise OptionError(f"{known} {options[known]}; it must be at least {least}")
    if name == "notebook":
        return Notebook(classes, options.get(known, 64))
    return Yolo11(name.removeprefix("yolo11"), classes, options.get(known))
