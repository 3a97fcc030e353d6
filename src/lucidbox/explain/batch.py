"""Several methods over the detections of one picture; what they have in common is computed once.

The figures are those of :attr:`lucidbox.explain.explanation.Explanation.faithfulness`. Shared are the forward
passes, the shuffled weights, the ends of the curves, and the curves of detections that have the same map.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lucidbox.core.detections import Detections
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.engines import Engine
from lucidbox.explain.curves import Canvas, blind_of, canvas_of, curves, gained
from lucidbox.explain.drise import Masking
from lucidbox.explain.effort import Effort
from lucidbox.explain.faithfulness import Faithfulness, figures
from lucidbox.explain.fills import UNSEEN
from lucidbox.explain.methods import METHODS, Heat, heat_maps, recorded
from lucidbox.explain.place import centred_gaussian
from lucidbox.explain.targets import Target, target_of, to_input

if TYPE_CHECKING:
    from lucidbox.model import Network

GAUSSIAN = "(gaussian)"
"""Stands for the map that knows the box and nothing of the network."""


class Networks(NamedTuple):
    """A network and its control; None where only an engine is there.

    Attributes:
        own: the detector's.
        shuffled: the same with shuffled weights: one for all pictures.
    """

    own: "Network | None"
    shuffled: "Network | None"


def networks_of(network: "Network | None") -> Networks:
    """A network beside the same with shuffled weights."""
    if network is None:
        return Networks(None, None)
    from lucidbox.explain.hooks import shuffled

    return Networks(network, shuffled(network))


def image_figures(
    predictor: Predictor,
    raw: RawPrediction,
    found: Detections,
    networks: Networks,
    methods: Sequence[str],
    layer: str | None = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> dict[str, list[Faithfulness]]:
    """Figures of each method for each detection of one picture.

    Args:
        predictor: the detector's.
        raw: the network's answer for the image.
        found: what is explained in it.
        networks: some methods need none.
        methods: keys of :data:`~lucidbox.explain.methods.METHODS`, or :data:`GAUSSIAN`.
        layer: as for :func:`~lucidbox.explain.explain`; None for each method's default.
        masking: how drise hides.
        effort: what other methods that search may spend.

    Raises:
        OptionError: a method or the layer cannot be used.
    """
    engine, targets = predictor.engine, [target_of(raw, detection) for detection in found]
    canvas, (height, width) = canvas_of(engine, raw.pixels), raw.pixels.shape[:2]
    ours = [method for method in methods if method != GAUSSIAN]
    maps = {}
    if GAUSSIAN in methods:
        maps[GAUSSIAN] = [centred_gaussian(height, width, target.box) for target in targets]
    maps |= method_maps(predictor, raw, targets, networks.own, ours, layer, masking, effort)
    seeing = [method for method in ours if METHODS[method].heat is not None]
    controls = method_maps(predictor, raw, targets, networks.shuffled, seeing, layer)
    unseen = canvas_of(engine, raw.pixels, UNSEEN)
    blind = [blind_of(engine, unseen, target) for target in targets]
    rows = {}
    for method, heats in maps.items():
        ordered = method != GAUSSIAN and METHODS[method].ordered
        enlarged = [to_input(heat, raw) for heat in heats]
        areas = _areas(engine, canvas, enlarged, targets, ordered)
        guessed = _areas(engine, unseen, enlarged, targets, ordered)
        beyond = [gained(one) - of.gain for one, of in zip(guessed, blind, strict=True)]
        others = controls.get(method, [None] * len(targets))
        rows[method] = [figures(raw, *parts) for parts in zip(found, heats, areas, beyond, others, strict=True)]
    return rows


def method_maps(
    predictor: Predictor,
    raw: RawPrediction,
    targets: Sequence[Target],
    network: "Network | None",
    methods: Sequence[str],
    layer: str | None = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> dict[str, list[Heat]]:
    """A map for each target by each method; those that follow the network share a forward pass."""
    seeing = [method for method in methods if METHODS[method].heat is not None]
    recording = recorded(seeing, raw, network, layer) if network is not None and seeing else None
    maps = {}
    for method in methods:
        made = heat_maps(method, predictor, raw, targets, network, layer, masking, recording, effort)
        maps[method] = [reasons.heat for reasons in made]
    return maps


def _areas(
    engine: Engine, canvas: Canvas, heats: Sequence[Heat], targets: Sequence[Target], ordered: bool
) -> list[tuple[float, float]]:
    """Areas under the curves of each target's map; targets with the same map share its inferences."""
    alike: dict[bytes, list[int]] = {}
    for row, heat in enumerate(heats):
        alike.setdefault(heat.tobytes(), []).append(row)
    areas: dict[int, tuple[float, float]] = {}
    for rows in alike.values():
        found = curves(engine, canvas, heats[rows[0]], [targets[row] for row in rows], ordered)
        areas.update(zip(rows, found, strict=True))
    return [areas[row] for row in range(len(targets))]
