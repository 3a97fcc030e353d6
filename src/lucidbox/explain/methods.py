"""Every way to explain, behind one interface: an answer and targets in, a heat map for each target out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import Float32
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.detector import Detector
from lucidbox.explain.drise import Masking, drise
from lucidbox.explain.effort import Effort
from lucidbox.explain.eigencam import eigencam
from lucidbox.explain.gradcam import gradcam
from lucidbox.explain.odam import odam
from lucidbox.explain.place import as_heat, rectangles
from lucidbox.explain.search import search_until_stopped
from lucidbox.explain.targets import Target, to_unit

if TYPE_CHECKING:
    from lucidbox.explain.hooks import Recording
    from lucidbox.model import Network

OWN_LEVEL = "own"
"""Stands for the layer that the head reads at the detection's own level."""

FINEST_LEVEL = "p3"
"""Stands for the layer that the head reads at P3: the last one that has a say in the notebook's class score."""

EARLY = "early"
"""Stands for the layer of the backbone with a cell for 8 pixels: it sees shapes, and what lies around them."""

SMOOTHING = 0.1
"""Width of ODAM's Gaussian as a share of the box's sides: large objects may be explained more coarsely."""

Heat = Float32[np.ndarray, "_ _"]
"""A map of the whole network input at the resolution of a layer, not scaled, nothing below 0."""


@dataclass(frozen=True)
class Method:
    """One way to explain: it reads a layer, or it searches by asking about changed pictures.

    Attributes:
        summary: what it shows, in a few words.
        layer: where it looks by default: :data:`OWN_LEVEL` or :data:`FINEST_LEVEL`; None for one that searches.
        sides: whether it can explain a side of a box.
        network: whether it needs the network; otherwise any engine will do.
        heat: the map of one target from a recording of a layer; None for one that searches.
        search: the maps of targets; None for one that reads a layer.
        ordered: whether all of its heat, however little, is in a meaningful order.
    """

    summary: str
    layer: str | None = None
    sides: bool = False
    network: bool = True
    heat: "Callable[[Recording, str, Target], Heat] | None" = None
    search: "Callable[[Asked], list[Reasons]] | None" = None
    ordered: bool = False


class Reasons(NamedTuple):
    """A map, and how it came about.

    Attributes:
        heat: of the network's input.
        layers: names of the layers that it was read from; none of one that was searched for.
        unfinished: what was left undone when Ctrl-C came, in words; empty if nothing was.
    """

    heat: Heat
    layers: tuple[str, ...] = ()
    unfinished: str = ""


class Asked(NamedTuple):
    """What a method that searches is given.

    Attributes:
        predictor: the detector's.
        raw: the network's answer for the image.
        targets: what to explain in it.
        network: the detector's; None where only an engine is there.
        masking: of drise.
        effort: of the others.
    """

    predictor: Predictor
    raw: RawPrediction
    targets: Sequence[Target]
    network: "Network | None"
    masking: Masking
    effort: Effort


def _class_gradcam(recording: "Recording", layer: str, target: Target) -> Heat:
    gradients = recording.gradients(recording.class_score(target.class_id), layer)
    return gradcam(recording.activations(layer), gradients)


def _gradcam(recording: "Recording", layer: str, target: Target) -> Heat:
    return gradcam(recording.activations(layer), recording.gradients(recording.score(target), layer))


def _odam(recording: "Recording", layer: str, target: Target) -> Heat:
    gradients = recording.gradients(recording.score(target), layer)
    activations = recording.activations(layer)
    return odam(activations, gradients, _widths(activations, recording.width, target))


def _widths(activations: Float32[np.ndarray, "k h w"], width: int, target: Target) -> tuple[float, float]:
    """Vertical and horizontal width of the smoothing, in cells."""
    stride = width / activations.shape[2]
    left, top, right, bottom = target.box
    return SMOOTHING * (bottom - top) / stride, SMOOTHING * (right - left) / stride


def _eigencam(recording: "Recording", layer: str, target: Target) -> Heat:
    return eigencam(recording.activations(layer))


def _odam_box(recording: "Recording", layer: str, target: Target) -> Heat:
    heat = _odam(recording, layer, target)
    width = recording.width
    height = round(heat.shape[0] * width / heat.shape[1])
    whole = to_unit(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR))
    return as_heat(np.sqrt(whole) - rectangles(height, width, target.box), target.box)


def _optimised(asked: Asked) -> list[Reasons]:
    from lucidbox.explain.optimised import optimised

    assert asked.network is not None
    learnt = optimised(asked.predictor.engine, asked.network, asked.raw.pixels, asked.targets, asked.effort)
    steps = asked.effort.steps
    return [
        Reasons(heat, unfinished="" if taken == steps else f"stopped after {taken} of {steps} steps")
        for heat, taken in learnt
    ]


def _search(asked: Asked) -> list[Reasons]:
    engine, effort = asked.predictor.engine, asked.effort
    found: list[Reasons] = []
    for target in asked.targets:
        try:
            heat, stopped = search_until_stopped(
                engine, asked.raw, target, effort.inferences, effort.seed, effort.progress
            )
        except KeyboardInterrupt:
            if not found:
                raise
            break
        found.append(Reasons(heat, unfinished="stopped before all inferences were made" if stopped else ""))
        if stopped:
            break
    return found


def _drise(asked: Asked) -> list[Reasons]:
    return [
        Reasons(heat) for heat in drise(asked.predictor.engine, asked.raw.pixels, asked.targets, asked.masking)
    ]


METHODS = {
    "odam-box": Method("odam and the place in the box together", OWN_LEVEL, heat=_odam_box, ordered=True),
    "odam": Method("each cell's own say in one detection, gradient times activation", OWN_LEVEL, True, heat=_odam),
    "optimised": Method(
        "what, shown first, brings it back and, hidden first, takes it away: learnt in seconds",
        search=_optimised,
        ordered=True,
    ),
    "search": Method(
        "the same found by asking, 600 inferences; any engine", network=False, search=_search, ordered=True
    ),
    "gradcam": Method("channels weighed by their say in one detection", OWN_LEVEL, True, heat=_gradcam),
    "gradcam-class": Method(
        "channels weighed by their say in a class, all over P3", FINEST_LEVEL, heat=_class_gradcam
    ),
    "eigencam": Method("what a layer responds to most, whatever the detection", OWN_LEVEL, heat=_eigencam),
    "drise": Method("what the detection needs, found by hiding parts; any engine", network=False, search=_drise),
}

SIDE_METHOD = "odam"
"""The default for a side of a box."""

DEFAULT_METHOD = "odam-box"
"""The best of those that take at most half a second: docs/explanation/explain.md."""

QUICK_METHODS = tuple(name for name, method in METHODS.items() if method.search is None or name == "drise")
"""Those that a data set is measured with unless others are named; drise takes its time for all of a picture's."""

BEST_METHOD = "search"
"""Its maps most often say more than where the box is, for those who can wait: docs/explanation/explain.md."""


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
    if layer is not None and method.layer is None:
        raise OptionError(f"method {name} looks at no layer; leave --layer out")
    return method


def heat_maps(
    name: str,
    predictor: Predictor,
    raw: RawPrediction,
    targets: Sequence[Target],
    network: "Network | None",
    layer: str | None = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    recording: "Recording | None" = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> list[Reasons]:
    """A map for each target, from one forward pass (of drise: from the same masked pictures).

    A method that searches, stopped by Ctrl-C, returns the maps it has, if it has any.

    Args:
        name: a key of :data:`METHODS`.
        predictor: the detector's; drise asks its engine.
        raw: the network's answer for the image.
        targets: what to explain in it.
        network: the detector's network; some need none.
        layer: name of a layer, "own" for the one the head reads at the target's level, "early" for the
            backbone's at 8 pixels a cell, None for the method's default.
        masking: of drise.
        recording: of this network, if several methods share one (:func:`recorded`).
        effort: of methods that search, but drise.

    Raises:
        OptionError: the method or layer is unknown, cannot do this, or there is no network.
    """
    sides = {target.side for target in targets} - {None}
    method = checked_method(name, layer, next(iter(sides), None))
    if network is None and method.network:
        raise OptionError(no_network(name))
    if method.search is not None:
        return method.search(Asked(predictor, raw, targets, network, masking, effort))
    assert network is not None
    assert method.heat is not None
    recording = recording or recorded([name], raw, network, layer)
    wanted = method.layer if layer is None else layer
    assert wanted is not None
    reasons = []
    for target in targets:
        name = recording.own_layer(target) if wanted == OWN_LEVEL else layers_for(network, wanted)[0]
        reasons.append(Reasons(method.heat(recording, name, target), (name,)))
    return reasons


def recorded(
    names: Sequence[str], raw: RawPrediction, network: "Network", layer: str | None = None
) -> "Recording":
    """One forward pass that keeps all that these methods look at; those that search look at nothing.

    Raises:
        OptionError: the layer does not exist, or puts out no single map.
    """
    from lucidbox.explain.hooks import record

    wanted = [METHODS[name].layer if layer is None else layer for name in names]
    layers = {found for place in wanted if place is not None for found in layers_for(network, place)}
    return record(network, raw.pixels, sorted(layers))


def layers_for(network: "Network", layer: str) -> tuple[str, ...]:
    """The names of the layers that a name or one of its placeholders stands for."""
    if layer not in (OWN_LEVEL, FINEST_LEVEL, EARLY):
        return (layer,)
    from lucidbox.explain.hooks import landmarks

    marks = landmarks(network)
    return {OWN_LEVEL: marks.levels, FINEST_LEVEL: marks.levels[:1], EARLY: (marks.early,)}[layer]


def network_of(detector: Detector, method: str = DEFAULT_METHOD) -> "Network":
    """The network of a detector that remembers its weights file.

    Raises:
        OptionError: it has only an engine, its file has changed into something else, or torch is missing.
    """
    path = getattr(detector, "weights", None)
    if path is None:
        raise OptionError(no_network(method))
    try:
        stated = Path(path).stat()
        return _read_network(Path(path), stated.st_mtime_ns, stated.st_size)
    except OSError as error:
        raise OptionError(f"{path}: cannot be read again for its network: {error.strerror}") from error
    except WeightsError as error:
        raise OptionError(f"{error}; method {method} needs the network itself, {ABLE}") from error
    except ImportError as error:
        raise OptionError(f"method {method} needs torch: pip install 'lucidbox[train]'; {ABLE}") from error


@lru_cache(maxsize=1)
def _read_network(path: Path, changed: int, size: int) -> "Network":
    """Kept between calls; the time of change and the size tell that a file is no longer the one read."""
    from lucidbox import weights

    return weights.network(weights.read(path))


ABLE = f"on any engine: {', '.join(key for key, one in METHODS.items() if not one.network)}"
"""Which methods remain where there is no network."""


def no_network(name: str) -> str:
    """Why a method cannot run, and what can."""
    return (
        f"method {name} follows scores back through the network, and this detector has only an engine: pass"
        f" network=lucidbox.weights.network(lucidbox.weights.read(FILE)), or choose another, {ABLE}"
    )
