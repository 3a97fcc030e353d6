"""``optimised``: a map made for what the curves ask, by following changed pictures back through the network.

The map is an order of the picture's pixels. It starts as rectangles around the box's centre, and a smooth
correction of some hundred numbers is learnt: at each step a few shares of the curves are drawn, the pixels that
come first by that share are shown in, or hidden from, a part of the picture around the box, and the correction
moves so that what is shown brings more of the detection back, and what is hidden takes more of it away. Then as
much of the correction is taken as does best in the whole picture, none if nothing does better than the rectangles.

After the idea of extremal perturbations (Fong, Patrick and Vedaldi, arXiv 1910.08485), with an order in place of
one mask and both curves in place of one. Gradients pass a hard mask as if it were a sigmoid (straight-through
estimation, Bengio et al., arXiv 1308.3432).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lucidbox.core.array_types import Float, Float32, UInt8
from lucidbox.engines import Engine
from lucidbox.explain.curves import SHARES, Canvas, canvas_of, left_in, ranks_of
from lucidbox.explain.effort import Effort
from lucidbox.explain.fills import OTHER, PLAIN, USUAL
from lucidbox.explain.hooks import twin
from lucidbox.explain.place import as_heat, rectangles
from lucidbox.explain.targets import Target
from lucidbox.model.decoding import Decoder
from lucidbox.model.fuse import fuse
from lucidbox.model.network import Network

_FILLS = (USUAL, OTHER)
"""The pairs that are hidden and shown with, in turn, so that the map is not one fill's."""

_PICTURES = 2
"""Pictures a step of each kind: in which pixels are hidden, and in which they are shown."""

_WINDOW = 2.5
"""Sides of the part of the picture that is looked at, over the box's."""

_LEAST = 192
"""Pixels: that part's sides are not smaller, so that a small object keeps what is around it."""

_LIMIT = 224
"""Pixels: a part with a longer side is looked at in a smaller copy."""

_CELLS = 4
"""Numbers of the correction along a side of the box."""

_SOFTNESS = 0.2
"""Width of the sigmoid that gradients see in place of the step from hidden to shown, in quarters of a side."""

_RATE = 0.2
"""Learning rate of Adam, in the same unit."""

_LOW = 0.2
"""Probabilities are taken relative to the detection's own in the part, but at most five times as large."""

_INNER = SHARES[1:-1]

_ALL = sum(range(len(_INNER) + 1))
"""What the shares of a curve count together."""

_MATTERS = 0.03
"""Chance above which a share is one of those that matter."""

_AMOUNTS = (0.0, 0.3, 0.6, 1.0)
"""How much of what was learnt may be taken."""


class _View:
    """The part of a picture around a box, in a copy small enough to be asked about often.

    Args:
        network: fused, its parameters without gradients.
        pixels: the network's input.
        target: what is explained.
    """

    def __init__(self, network: Network, pixels: UInt8[np.ndarray, "h w 3"], target: Target) -> None:
        self.network, self.target = network, target
        self.decoder = Decoder(network.strides, network.bins)
        self.shape = pixels.shape[:2]
        left, top, right, bottom = target.box
        self.rows, self.columns = _part(top, bottom, self.shape[0]), _part(left, right, self.shape[1])
        sides = [part.stop - part.start for part in (self.rows, self.columns)]
        scale = min(1, _LIMIT / max(sides))
        self.size = sides if scale == 1 else [max(64, round(side * scale / 32) * 32) for side in sides]
        wide, high = self.size[1] / sides[1], self.size[0] / sides[0]
        origin = self.columns.start, self.rows.start
        self.box = torch.tensor(
            [
                *((left - origin[0]) * wide, (top - origin[1]) * high),
                *((right - origin[0]) * wide, (bottom - origin[1]) * high),
            ]
        )
        self.image = self.cut(_tensor(pixels))
        names = {name for fills in _FILLS for name in fills}
        self.fills = {name: self.cut(_tensor(PLAIN[name](pixels))) for name in names}
        with torch.no_grad():
            self.own = max(float(self.left([self.image])[0]), _LOW)

    def cut(self, whole: Float[Tensor, "k h w"]) -> Float[Tensor, "k h2 w2"]:
        """This part of a map of the whole input, at this view's size."""
        part = whole[:, self.rows, self.columns]
        return (
            part
            if list(part.shape[1:]) == self.size
            else functional.interpolate(part[None], self.size, mode="area")[0]
        )

    def left(self, images: Sequence[Float[Tensor, "3 h w"]]) -> Float[Tensor, " n"]:
        """What is left of the target in each image, as :func:`~lucidbox.explain.drise.left_of` has it."""
        boxes, scores = self.decoder(self.network(torch.stack(list(images))), *self.size)
        corner = torch.minimum(boxes[..., 2:], self.box[2:]) - torch.maximum(boxes[..., :2], self.box[:2])
        inside = corner.clamp(min=0).prod(dim=2)
        areas = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=2) + (self.box[2:] - self.box[:2]).prod()
        overlaps = inside / (areas - inside).clamp(min=1e-9)
        best: Float[Tensor, " n"] = (overlaps * scores[..., self.target.class_id]).max(dim=1).values
        return best

    def changed(self, shown: Float[Tensor, "h w"], fill: str) -> Float[Tensor, "3 h w"]:
        """The view's image where ``shown`` is 1, the fill where it is 0."""
        return self.image * shown + self.fills[fill] * (1 - shown)


def optimised(
    engine: Engine,
    network: Network,
    pixels: UInt8[np.ndarray, "h w 3"],
    targets: Sequence[Target],
    effort: Effort,
) -> list[tuple[Float32[np.ndarray, "h w"], int]]:
    """One map for each target.

    Args:
        engine: the detector's, which has the last word.
        network: in any mode, fused or not; left exactly as it is.
        pixels: the network's input.
        targets: detections, or what was missed.
        effort: steps and seed.

    Returns:
        For each target its map at the input's size, above 0, and the steps it took. Stopped by Ctrl-C there are
        fewer maps, and the last took fewer steps; with none at all the interrupt goes on.

    Raises:
        EngineError: torch has worked before this process was forked.
    """
    # A caller's inference_mode or no_grad is about the caller's own sums.
    with torch.inference_mode(False), torch.enable_grad():
        # A copy on the processor, wherever the network is: its pictures are small, and changed there.
        fixed = fuse(twin(network)).float().cpu()
        for parameter in fixed.parameters():
            parameter.requires_grad_(False)
        canvases = [canvas_of(engine, pixels, fills) for fills in _FILLS]
        learnt = []
        steps = iter(effort.progress(range(effort.steps * len(targets)), effort.steps * len(targets)))
        for target in targets:
            order = _Order(_View(fixed, pixels, target), engine, canvases, effort.seed)
            taken = 0
            try:
                while taken < effort.steps:
                    next(steps)
                    order.step(keep=2 * taken >= effort.steps)
                    taken += 1
            except KeyboardInterrupt:
                if taken:
                    learnt.append((order.heat(), taken))
                if not learnt:
                    raise
                break
            learnt.append((order.heat(), taken))
    return learnt


class _Order:
    """The order of one target's pixels while it is learnt: larger comes first."""

    def __init__(self, view: _View, engine: Engine, canvases: Sequence[Canvas], seed: int) -> None:
        self.view, self.engine, self.canvases = view, engine, canvases
        self.random = np.random.default_rng(seed)
        box, (height, width) = view.target.box, view.shape
        self.start = -torch.from_numpy(rectangles(height, width, box))
        self.chances = _chances(view, self.start)
        sides = max(box[2] - box[0], 16), max(box[3] - box[1], 16)
        # The correction reaches as far as the pixels that have a say.
        last = _INNER[max(int(np.flatnonzero(chances > _MATTERS).max()) for chances in self.chances)]
        span = float(np.clip(1.2 * np.sqrt(last * height * width / (sides[0] * sides[1])), 2, 3))
        self.places = _places(height, width, box, sides, span)
        cells = round(_CELLS * span)
        self.correction = torch.zeros(1, 1, cells, cells, requires_grad=True)
        self.optimiser = torch.optim.Adam([self.correction], lr=_RATE, betas=(0.8, 0.95))
        self.sum, self.kept = torch.zeros_like(self.correction), 0

    def step(self, keep: bool) -> None:
        """Move the correction once; ``keep``: it counts in the mean that becomes the map."""
        view = self.view
        order = self.values(self.correction)
        near = view.cut(order[None])[0]
        images, weights = [], []
        for shows, chances in enumerate(self.chances):
            # One from each of as many equal parts of the chances: fewer lucky draws.
            drawn = (self.random.permutation(_PICTURES) + self.random.random(_PICTURES)) / _PICTURES
            for turn, place in enumerate(np.searchsorted(np.cumsum(chances), drawn).clip(max=len(chances) - 1)):
                soft = torch.sigmoid((near - _threshold(order, _INNER[place])) / _SOFTNESS)
                first = _first(view, order, _INNER[place]) + soft - soft.detach()
                images.append(view.changed(first if shows else 1 - first, _FILLS[turn % len(_FILLS)][shows]))
                # Shares of the curves count by their distance to the next, which grows with their number.
                weights.append((1 if shows else -1) * (place + 1) / chances[place])
        worth = (view.left(images) * torch.tensor(weights)).sum() / (view.own * _ALL)
        # Asked for by name instead of backward(): no tensor's .grad is ever written but the correction's.
        (self.correction.grad,) = torch.autograd.grad(-worth, [self.correction])
        self.optimiser.step()
        if keep:
            self.sum += self.correction.detach()
            self.kept += 1

    def chosen(self) -> Float32[np.ndarray, "h w"]:
        """The order with as much of the learnt correction as does best."""
        mean = self.sum / self.kept if self.kept else self.correction.detach()
        with torch.no_grad():
            orders = [self.values(amount * mean).numpy() for amount in _AMOUNTS]
        return max(orders, key=self.worth)

    def worth(self, order: Float32[np.ndarray, "h w"]) -> float:
        """What is shown less what is hidden in the whole picture, over the shares that matter, pairs in turn."""
        ranks, total = ranks_of(as_heat(order, self.view.target.box), ordered=True), 0.0
        for shows, chances in enumerate(self.chances):
            places: list[int] = np.flatnonzero(chances > _MATTERS).tolist()
            pictures = []
            for place in places:
                canvas = self.canvases[place % len(self.canvases)]
                first = ranks < _INNER[place]
                pictures.append(canvas.show(~first) if shows else canvas.hide(first))
            left = np.array(left_in(self.engine, pictures, [self.view.target]), np.float64)[:, 0]
            total += float(left @ (np.array(places) + 1)) * (1 if shows else -1)
        return total

    def values(self, correction: Float[Tensor, "1 1 k k"]) -> Float[Tensor, "h w"]:
        """Every pixel of the input: minus its distance from the box's centre, corrected."""
        added = functional.grid_sample(correction, self.places, padding_mode="zeros", align_corners=False)
        return self.start + added[0, 0]

    def heat(self) -> Float32[np.ndarray, "h w"]:
        """The map so far."""
        return as_heat(self.chosen(), self.view.target.box)


def _chances(view: _View, order: Float[Tensor, "h w"]) -> list[Float[np.ndarray, " s"]]:
    """How often each inner share of the curves is drawn, hidden and shown: where the start leaves most to gain.

    Half of it is the area still to be won there, half how much the score changes around it: where nothing depends
    on the order, nothing is learnt.
    """
    chances = []
    with torch.no_grad():
        firsts = [_first(view, order, share) for share in _INNER]
        for shows in (False, True):
            images = [view.changed(first if shows else 1 - first, USUAL[shows]) for first in firsts]
            left = (
                torch.cat([view.left(images[start : start + 4]) for start in range(0, len(images), 4)]) / view.own
            )
            known = np.concatenate([[not shows], left.double().numpy(), [shows]])
            missing, change = np.abs(known[1:-1] - shows), np.abs(known[2:] - known[:-2])
            found = np.arange(1, len(known) - 1) * (missing + change) / 2
            # A little for what comes before the last share that matters, and for the first two always.
            last = max(2, int(np.flatnonzero(found > 0.05 * found.max()).max(initial=0)) + 1)
            found[:last] += 0.1 * found.max() + np.finfo(np.float64).tiny
            chances.append(found / found.sum())
    return chances


@torch.no_grad()
def _first(view: _View, order: Float[Tensor, "h w"], share: float) -> Float[Tensor, "h2 w2"]:
    """1 where a pixel is among the first by this share, 0 where it is not; parts of it in a smaller copy."""
    return view.cut((order > _threshold(order, share)).float()[None])[0]


def _threshold(order: Float[Tensor, "h w"], share: float) -> Float[Tensor, ""]:
    """The value above which this share of all pixels lies, by every fourth row and column: near enough."""
    sample = order.detach()[2::4, 2::4].flatten()
    count = min(max(1, int(share * sample.numel())), sample.numel())
    return sample.kthvalue(sample.numel() - count + 1).values


def _places(
    height: int, width: int, box: Sequence[float], sides: tuple[float, float], span: float
) -> Float[Tensor, "1 h w 2"]:
    """Where each pixel lies in the correction, ``span`` times the box's sides wide: x and y, -1 to 1 within."""
    x = (torch.arange(width) + 0.5 - (box[0] + box[2]) / 2) / (sides[0] * span / 2)
    y = (torch.arange(height) + 0.5 - (box[1] + box[3]) / 2) / (sides[1] * span / 2)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2)[None]


def _part(low: float, high: float, length: int) -> slice:
    """The part of a side that is looked at: multiples of 32 pixels, so that anchors keep their places."""
    beyond = max((high - low) * (_WINDOW - 1) / 2, (_LEAST - (high - low)) / 2)
    start = int(max(0, low - beyond) // 32 * 32)
    return slice(start, min(length, int(-(-min(length, high + beyond) // 32) * 32)))


def _tensor(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255
