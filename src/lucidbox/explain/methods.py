"""Every way to explain, behind one interface: a scene and targets in, a heat map for each target out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lucidbox.detector import Detector
from lucidbox.errors import OptionError
from lucidbox.explain.drise import Masking, drise
from lucidbox.explain.eigencam import eigencam
from lucidbox.explain.gradcam import gradcam
from lucidbox.explain.odam import odam
from lucidbox.explain.scene import Scene, Target
from lucidbox.shapes import Float32

if TYPE_CHECKING:
    from lucidbox.explain.hooks import Recording
    from lucidbox.model import Network

OWN_LEVEL = "own"
"""Stands for the layer that the head reads at the detection's own level."""

FINEST_LEVEL = "p3"
"""Stands for the layer that the head reads at P3: the last one that has a say in the notebook's class score."""

SMOOTHING = 0.1
"""Width of ODAM's Gaussian as a share of the box's sides: large objects may be explained more coarsely."""

Heat = Float32[np.ndarray, "_ _"]
"""A map of the whole network input at the resolution of a layer, not scaled, nothing below 0."""


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        summary: what it shows, in a few words.
        layer: where it looks unless told otherwise: a name, :data:`OWN_LEVEL` or :data:`FINEST_LEVEL`; None
            for a black box.
        sides: whether it can explain a side of a box.
        heat: the map of one target from a recording of a layer; None for a black box.
    """

    summary: str
    layer: str | None
    sides: bool
    heat: "Callable[[Recording, str, Target], Heat] | None"


def _class_gradcam(recording: "Recording", layer: str, target: Target) -> Heat:
    gradients = recording.gradients(recording.class_score(target.class_id), layer)
    return gradcam(recording.activations(layer), gradients)


def _gradcam(recording: "Recording", layer: str, target: Target) -> Heat:
    return gradcam(recording.activations(layer), recording.gradients(recording.score(target), layer))


def _odam(recording: "Recording", layer: str, target: Target) -> Heat:
    activations = recording.activations(layer)
    stride = recording.width / activations.shape[2]
    left, top, right, bottom = target.box
    sigma = SMOOTHING * (bottom - top) / stride, SMOOTHING * (right - left) / stride
    return odam(activations, recording.gradients(recording.score(target), layer), sigma)


def _eigencam(recording: "Recording", layer: str, target: Target) -> Heat:
    return eigencam(recording.activations(layer))


METHODS = {
    "odam": Method("each cell's own say in one detection, gradient times activation", OWN_LEVEL, True, _odam),
    "gradcam": Method("channels weighed by their say in one detection", OWN_LEVEL, True, _gradcam),
    "gradcam-class": Method(
        "channels weighed by their say in a class, all over P3", FINEST_LEVEL, False, _class_gradcam
    ),
    "eigencam": Method("what a layer responds to most, whatever the detection", OWN_LEVEL, False, _eigencam),
    "drise": Method("what the detection needs, found by hiding parts; any engine", None, False, None),
}

DEFAULT = "odam"
"""The method measured most faithful: docs/explain.md."""


def checked_method(name: str, layer: str | None, side: str | None) -> Method:
    """The method of a name, if it can do what is asked.

    Raises:
        OptionError: the method is unknown, or has no use for the layer or side.
    """
    if name not in METHODS:
        raise OptionError(f"method {name!r} is unknown; choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    if side is not None and not method.sides:
        able = ", ".join(key for key, one in METHODS.items() if one.sides)
        raise OptionError(f"method {name} cannot explain one side of a box; choose one of {able}")
    if layer is not None and method.heat is None:
        raise OptionError(f"method {name} looks at no layer; leave --layer out")
    return method


def heat_maps(
    name: str,
    scene: Scene,
    targets: Sequence[Target],
    network: "Network | None",
    layer: str | None = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
) -> list[Heat]:
    """A map for each target, from one forward pass (of drise: from the same masked pictures).

    Args:
        name: a key of :data:`METHODS`.
        scene: the picture.
        targets: what to explain in it.
        network: the detector's network; drise needs none.
        layer: name of a layer, "own" for the one the head reads at the target's level, None for the
            method's default.
        masking: of drise.

    Raises:
        OptionError: the method or layer is unknown, cannot do this, or there is no network.
    """
    sides = {target.side for target in targets} - {None}
    method = checked_method(name, layer, next(iter(sides), None))
    if method.heat is None:
        return list(drise(scene.detector.engine, scene.pixels, targets, masking))
    if network is None:
        raise OptionError(no_network(name))
    from lucidbox.explain.hooks import record

    chosen = layer or method.layer
    assert chosen is not None
    recording = record(network, scene.pixels, layers_for(network, chosen))
    return [method.heat(recording, recording.layer_for(target), target) for target in targets]


def layers_for(network: "Network", layer: str) -> tuple[str, ...]:
    """The names of the layers that must be recorded."""
    from lucidbox.explain.hooks import level_layers

    levels = {OWN_LEVEL: level_layers(network), FINEST_LEVEL: level_layers(network)[:1]}
    return levels.get(layer, (layer,))


def network_of(detector: Detector) -> "Network | None":
    """The network of a detector that remembers its weights file; None for one that has only an engine."""
    path = getattr(detector, "weights", None)
    if path is None:
        return None
    stated = Path(path).stat()
    return _read_network(Path(path), stated.st_mtime_ns, stated.st_size)


@lru_cache(maxsize=1)
def _read_network(path: Path, changed: int, size: int) -> "Network":
    """Kept between calls; the time of change and the size tell that a file is no longer the one read."""
    from lucidbox import weights

    return weights.network(weights.read(path))


def no_network(name: str) -> str:
    """Why a method cannot run, and what can."""
    able = ", ".join(key for key, one in METHODS.items() if one.heat is None)
    return (
        f"method {name} follows scores back through the network, and this detector has only an engine: pass"
        " network=lucidbox.weights.network(lucidbox.weights.read(FILE)),"
        f" or choose {able}, which runs on any engine"
    )
