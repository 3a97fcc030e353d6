"""``explain``: the reasons for one detection, as a map over the picture with figures beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lucidbox.core.array_types import Float32, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.detector import Color, Detector, pixels_of
from lucidbox.draw.showing import as_jpeg, show
from lucidbox.explain.curves import beyond_place, blind_of, canvas_of, curves
from lucidbox.explain.drise import Masking
from lucidbox.explain.effort import Effort
from lucidbox.explain.faithfulness import Faithfulness, figures
from lucidbox.explain.fills import UNSEEN
from lucidbox.explain.methods import (
    DEFAULT_METHOD,
    METHODS,
    SIDE_METHOD,
    Heat,
    checked_method,
    heat_maps,
    network_of,
)
from lucidbox.explain.targets import Target, target_of, to_image, to_input

if TYPE_CHECKING:
    from lucidbox.model import Network


@dataclass(frozen=True, eq=False)
class Control:
    """The same question asked of the network with shuffled weights (arXiv 1810.03292), for all targets at once.

    Attributes:
        method, layer: as for :func:`explain`.
        predictor: the detector's.
        raw: the network's answer for the image.
        targets: what was explained.
        network: the network as it is.
    """

    method: str
    layer: str | None
    predictor: Predictor
    raw: RawPrediction
    targets: Sequence[Target]
    network: "Network"

    @cached_property
    def heats(self) -> list[Heat]:
        """A map for each target; made when first asked for."""
        from lucidbox.explain.hooks import shuffled

        made = heat_maps(self.method, self.predictor, self.raw, self.targets, shuffled(self.network), self.layer)
        return [reasons.heat for reasons in made]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The reasons for one detection.

    Attributes:
        detection: the one box.
        method: a key of :data:`lucidbox.explain.methods.METHODS`.
        layers: names of the layers that the map was read from; none of one that was searched for.
        target: the number that was explained.
        predictor: the detector's.
        raw: the network's answer for the image.
        heat: the map of the network's input, at the resolution of the layer, not scaled.
        control: what shuffled weights say; None where there are none to shuffle.
        row: which of the control's maps is this target's.
        unfinished: what was left undone when Ctrl-C came, in words; empty if nothing was.
    """

    detection: Detections
    method: str
    layers: tuple[str, ...]
    target: Target
    predictor: Predictor
    raw: RawPrediction
    heat: Heat
    control: Control | None = field(default=None, repr=False)
    row: int = 0
    unfinished: str = ""

    @cached_property
    def heatmap(self) -> Float32[np.ndarray, "h w"]:
        """The map in the picture's own pixels, 0 to 1; 0 everywhere if there are no reasons to be seen."""
        return to_image(self.heat, self.raw.letterbox)

    @property
    def is_empty(self) -> bool:
        """Whether there is no heat at all in the picture."""
        return not self.heatmap.any()

    @cached_property
    def faithfulness(self) -> Faithfulness:
        """Whether the map can be trusted; computed when first asked for, with 94 inferences."""
        engine, ordered = self.predictor.engine, METHODS[self.method].ordered
        control = None if self.control is None else self.control.heats[self.row]
        canvas, heat = canvas_of(engine, self.raw.pixels), to_input(self.heat, self.raw)
        (areas,) = curves(engine, canvas, heat, [self.target], ordered)
        blind = blind_of(engine, canvas_of(engine, self.raw.pixels, UNSEEN), self.target)
        beyond = beyond_place(engine, blind, heat, self.target, ordered)
        return figures(self.raw, self.detection, self.heat, areas, beyond, control)

    def captions(self) -> list[str]:
        """What was explained and how, and what the figures say."""
        side, score, limit = self.target.side, float(self.detection.scores[0]), self.predictor.limits.conf
        what = f"{self.detection.labels[0]} {f'{score:.2f}' if score >= 0.005 else f'{score:.0e}'}"
        if side:
            about = f"why is its {side} side there"
        elif score > limit:
            about = "why this box"
        else:
            about = f"not above {limit:g}; what speaks for it"
        place = "".join(f", layer {layer}" for layer in self.layers)
        undone = f"; {self.unfinished}" if self.unfinished else ""
        head = f"{what}: {about}? method {self.method}{place}{undone}"
        if self.is_empty:
            return [head, "the map is empty: nothing in this layer speaks for it; try another layer or method"]
        return [head, *self.faithfulness.sentences()]

    def draw(self) -> UInt8[np.ndarray, "h w 3"]:
        """Image with its box, heat map and overlay side by side, and below them the figures in plain words."""
        return self.draw_with(self.captions())

    def draw_with(self, lines: Sequence[str]) -> UInt8[np.ndarray, "h w 3"]:
        """:meth:`draw` with other words."""
        from lucidbox.explain.drawing import panel

        return panel(self.raw.image, self.detection, self.heatmap, lines)

    def show(self) -> None:
        """Show :meth:`draw` in the notebook, or in the system's viewer; raises as ``lucidbox.draw.show`` does."""
        show(self.draw())

    def _repr_jpeg_(self) -> bytes | None:
        return as_jpeg(self.draw())

    def to_dict(self) -> dict[str, Any]:
        """The detection, how it was explained, and the figures, as plain values for JSON."""
        figures = self.faithfulness
        return {
            **self.detection.to_dicts()[0],
            # Of what was missed the score may be next to nothing.
            "score": float(f"{self.detection.scores[0]:.4g}"),
            "method": self.method,
            "layers": list(self.layers),
            "side": self.target.side,
            "empty": self.is_empty,
            "inside": round(figures.inside, 4),
            "area": round(figures.area, 4),
            "pointing": figures.pointing,
            "deletion": round(figures.deletion, 4),
            "insertion": round(figures.insertion, 4),
            "beyond_place": round(figures.beyond_place, 4),
            "randomised": None if figures.randomised is None else round(figures.randomised, 4),
            "suspicious": figures.suspicious,
            "unfinished": self.unfinished,
        }


def explain(
    detector: Detector,
    picture: Any,
    detection: Detections,
    *,
    method: str | None = None,
    layer: str | None = None,
    side: str | None = None,
    network: "Network | None" = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
    color: Color = "rgb",
) -> Explanation:
    """Why this box?

    Args:
        detector: the one that found it.
        picture: what it was found in: anything that the detector takes.
        detection: one box, as in ``detections[0]``.
        method: a key of :data:`lucidbox.explain.methods.METHODS`; by default the best quick one.
        layer: name of a layer of the network, "own" for the one the head reads at the detection's level, or
            "early" for the backbone's at 8 pixels a cell.
        side: explain the place of this side of the box instead of the class's score.
        network: the detector's network, which is left as it is, for methods that need it. By default
            it is read from the weights file that the detector was loaded from.
        masking: how drise hides.
        effort: what other methods that search may spend.
        color: channel order of an array, as it was when the detector was called.

    Raises:
        ImageError: the picture cannot be read.
        OptionError: the detection is not of this picture, or the method, layer or side cannot be used.

    Example:
        >>> found = detector("street.jpg")
        >>> why = explain(detector, "street.jpg", found[0])
        >>> why.heatmap, why.faithfulness, why.draw()
    """
    return explain_each(
        detector,
        picture,
        detection,
        method=method,
        layer=layer,
        side=side,
        network=network,
        masking=masking,
        effort=effort,
        color=color,
    )[0]


def explain_each(
    detector: Detector,
    picture: Any,
    detections: Detections,
    *,
    method: str | None = None,
    layer: str | None = None,
    side: str | None = None,
    network: "Network | None" = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
    color: Color = "rgb",
) -> list[Explanation]:
    """:func:`explain` for several detections of one picture, which share a forward pass (drise: the masks).

    Raises:
        ImageError: the picture cannot be read.
        OptionError: there are no detections, or as for :func:`explain`.
    """
    if len(detections) == 0:
        raise OptionError("no detections to explain; lower --conf, or ask about a missed object with --at")
    method = method or (DEFAULT_METHOD if side is None else SIDE_METHOD)
    if checked_method(method, layer, side).network:
        network = network or network_of(detector, method)
    (raw,) = detector.predictor.infer([pixels_of(picture, color)])
    raw = raw.copy()  # the engine's arrays live until its next call, which the figures make
    return explain_targets(
        detector.predictor,
        raw,
        list(detections),
        [target_of(raw, detection, side) for detection in detections],
        method=method,
        layer=layer,
        network=network,
        masking=masking,
        effort=effort,
    )


def explain_targets(
    predictor: Predictor,
    raw: RawPrediction,
    detections: Sequence[Detections],
    targets: Sequence[Target],
    *,
    method: str = DEFAULT_METHOD,
    layer: str | None = None,
    network: "Network | None" = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> list[Explanation]:
    """:func:`explain_each` where the anchors are known: also of scores too low to be detections.

    A method that searches, stopped by Ctrl-C, keeps what it has: there may be fewer explanations than targets, and
    the last may be unfinished.
    """
    found = heat_maps(method, predictor, raw, targets, network, layer, masking, effort=effort)
    control = None
    if network is not None and METHODS[method].heat is not None:
        control = Control(method, layer, predictor, raw, targets, network)
    return [
        Explanation(
            detection,
            method,
            reasons.layers,
            target,
            predictor,
            raw,
            reasons.heat,
            control,
            row,
            reasons.unfinished,
        )
        for row, (detection, target, reasons) in enumerate(zip(detections, targets, found, strict=False))
    ]
