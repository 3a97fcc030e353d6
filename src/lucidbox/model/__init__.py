"""Networks in torch: built by name, decoded, fused. Needs the extra ``train``.

Public modules besides the names below: ``network`` (what all networks share), ``yolo11``, ``notebook``.

Example:
    >>> network = build("yolo11n", classes=80).eval()
    >>> predictions = Detecting(fuse(network))(images)
"""

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


def build(name: str, classes: int = 80, **options: int) -> Network:
    """An untrained network in training mode.

    Args:
        name: one of :data:`ARCHITECTURES`.
        classes: number of classes.
        options: ``base_channels`` of ``notebook``, 64 by default; other architectures have none.

    Raises:
        OptionError: unknown name or option, or a number that no network can have.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"architecture {name!r} is unknown; use one of {', '.join(ARCHITECTURES)}")
    if classes < 1:
        raise OptionError(f"{classes} classes; a network needs at least one")
    known = {"base_channels"} if name == "notebook" else set()
    if unknown := sorted(options.keys() - known):
        raise OptionError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    if name != "notebook":
        return Yolo11(name.removeprefix("yolo11"), classes)
    base_channels = options.get("base_channels", 64)
    if base_channels < 2:
        raise OptionError(f"base_channels {base_channels}; it must be at least 2")
    return Notebook(classes, base_channels)
