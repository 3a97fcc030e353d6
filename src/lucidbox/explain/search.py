"""``search``: a map for what the curves ask, found by asking any engine about a few hundred changed pictures.

The map is an order of the picture's pixels (:mod:`lucidbox.explain.orders`). It is judged as the curves judge it:
the pixels that come first by a share are hidden, or only they are shown, and what hiding them keeps of the
detection and showing them loses of it is summed over the shares. Three steps, none of which looks into a network:

1. Three nested shapes around the box are compared at all shares. Where all of them leave next to nothing to be
   won, as in hiding more than all of a small object, nothing is asked again; where few shares are left, they are
   asked about with more fills: what is better with one fill only is mostly chance.
2. The best shape is changed at random, a few of its numbers at a time, and a change that is better is kept.
3. The order is corrected by a smooth map: random corrections are added and taken away, each at a random share;
   what the score makes of them is fitted by a ridge regression, and of a few steps that way the best is kept.

No torch here. The third step is an evolution strategy with antithetic samples (Salimans et al., arXiv 1703.03864).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32, UInt8
from lucidbox.core.progress import Progress, no_progress
from lucidbox.detect.predictor import RawPrediction
from lucidbox.engines import Engine
from lucidbox.explain.curves import SHARES
from lucidbox.explain.drise import left_of
from lucidbox.explain.fills import PLAIN
from lucidbox.explain.orders import SHAPES, Correction, around, nested
from lucidbox.explain.place import as_heat
from lucidbox.explain.targets import Target

_FILLS = (("grey", "blur"), ("blur", "mean"), ("mean", "grey"))
"""Pairs of fills to hide and to show with, in turn from share to share, so that the map is not one fill's."""

_BATCH = 8
"""Changed pictures that share one inference."""

_SETTLED = 0.03
"""What is left to be won at a share, of the detection's score, below which it is not asked about again."""

_QUESTIONS = 24
"""Where few shares are left, each is asked about with several fills, up to so many inferences for an order."""

_SHAPING = 0.35
"""Part of the inferences that the second step may take."""

_PATIENCE = 12
"""Changes of the shape in a row that were no better, after which the third step begins."""

_CHANGE = 0.35
"""Standard deviation of a shape's changes."""

_CELLS = (1.0, 1.5, 2.0, 2.5, 3.0)
"""Widths of the correction's cells, in quarters of the box: the smallest that needs no more than :data:`_MOST`."""

_MOST = 70
"""Numbers of the correction: more would need more inferences to be fitted."""

_PAIRS = 8
"""Random corrections that a round needs at least."""

_SIZES = (0.8, 0.56)
"""Standard deviation of the random corrections in each round of the third step, in quarters of the box."""

_STEPS = (0.4, 0.8, 1.6)
"""Lengths of the steps that are tried, as multiples of that."""

_RIDGE = 0.3
"""Of the regression, for each sample; the corrections' numbers have variance 1."""


class _Point(NamedTuple):
    """A place on one of the two curves.

    Attributes:
        place: of the share, among the curves' inner shares.
        shows: only the first pixels are shown; otherwise they are hidden.
        fills: which of :data:`_FILLS` stands in for what is hidden.
    """

    place: int
    shows: bool
    fills: int


_INNER = SHARES[1:-1]

_WEIGHTS = (SHARES[2:] - SHARES[:-2]) / 2
"""By the trapezoidal rule."""


def search(
    engine: Engine,
    raw: RawPrediction,
    target: Target,
    inferences: int = 600,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Float32[np.ndarray, "h w"]:
    """The map of one target.

    Args:
        engine: any; it is asked for pictures of the input's own size only.
        raw: its answer for the picture.
        target: a detection, or what was missed; sides of boxes are taken as detections.
        inferences: how many changed pictures it may be asked about; the first step's 66 are asked in any case.
        seed: of what is drawn at random: the same seed, the same map.
        progress: shows how many are done.

    Returns:
        Heat at the input's size, all of it above 0 and in order.
    """
    return search_until_stopped(engine, raw, target, inferences, seed, progress)[0]


def search_until_stopped(
    engine: Engine,
    raw: RawPrediction,
    target: Target,
    inferences: int,
    seed: int,
    progress: Progress,
) -> tuple[Float32[np.ndarray, "h w"], bool]:
    """The map of :func:`search`, and whether Ctrl-C came before it was finished.

    Stopped after the first step, it is the map as far as it was found; before, the interrupt goes on.
    """
    asking = _Asking(engine, raw, target, inferences, progress)
    searching = _Searching(asking, target, seed)
    try:
        searching.reshape(int(_SHAPING * inferences))
        searching.correct()
        asking.finish()
        stopped = False
    except KeyboardInterrupt:
        stopped = True  # what was found so far is a map
    return as_heat(searching.order, target.box), stopped


class _Asking:
    """An engine that is asked what is left of a target where the first pixels of orders are hidden, or only shown.

    Args:
        engine, raw, target, inferences, progress: of :func:`search`.
    """

    def __init__(
        self, engine: Engine, raw: RawPrediction, target: Target, inferences: int, progress: Progress
    ) -> None:
        self._engine, self._pixels, self._target = engine, raw.pixels, target
        self._fills = {name: fill(raw.pixels) for name, fill in PLAIN.items()}
        self._whole = max(float(left_of(raw.boxes, raw.scores, [target])[0]), float(np.finfo(np.float32).tiny))
        self._steps = iter(progress(range(inferences), inferences))
        self.shape = raw.pixels.shape[:2]
        self.remaining = inferences

    def left(self, asked: Iterable[tuple[Float32[np.ndarray, "h w"], _Point]]) -> Float[np.ndarray, " n"]:
        """Parts of the detection's score that are left, one for each order and point."""
        left: list[float] = []
        pictures = (self._picture(order, point) for order, point in asked)
        while batch := list(islice(pictures, _BATCH)):
            answer = self._engine(np.stack(batch))
            for boxes, scores in zip(answer.boxes, answer.scores, strict=True):
                left.append(float(left_of(boxes, scores, [self._target])[0]) / self._whole)
                self.remaining -= 1
                next(self._steps, None)
        return np.array(left)

    def finish(self) -> None:
        """Let the progress end: the last inferences may have been too few for anything."""
        for _ in self._steps:
            pass

    def _picture(self, order: Float32[np.ndarray, "h w"], point: _Point) -> UInt8[np.ndarray, "h w 3"]:
        count = min(max(round(_INNER[point.place] * order.size), 1), order.size - 1)
        first = (order >= np.partition(order.ravel(), order.size - count)[order.size - count]).astype(np.uint8)
        fill = self._fills[_FILLS[point.fills][point.shows]]
        under, over = (fill, self._pixels) if point.shows else (self._pixels, fill)
        picture: UInt8[np.ndarray, "h w 3"] = cv2.copyTo(over, first, under.copy())
        return picture


def _points(places: Sequence[tuple[int, bool]], fills: int) -> list[_Point]:
    """So many fills at each place, not the same ones at all."""
    return [
        _Point(place, shows, (place + shows + turn) % len(_FILLS))
        for place, shows in places
        for turn in range(fills)
    ]


class _Searching:
    """The search for one map; made, it has compared the first shapes.

    Attributes:
        order: the best so far.
        losses: what it leaves to be won at each point that is still asked about.
    """

    def __init__(self, asking: _Asking, target: Target, seed: int) -> None:
        self._asking, self._random = asking, np.random.default_rng(seed)
        self._places = around(asking.shape[0], asking.shape[1], target.box)
        self._points = _points([(place, shows) for place in range(len(_INNER)) for shows in (False, True)], 1)
        shapes = [np.array(shape, np.float64) for shape in SHAPES.values()]
        orders = [nested(self._places, shape) for shape in shapes]
        losses = np.array([self._losses(order) for order in orders])
        first, unsettled = self._points, losses.max(axis=0) > _SETTLED
        open_ = [point[:2] for point, whether in zip(first, unsettled, strict=True) if whether]
        self._points = _points(open_, max(1, min(len(_FILLS), _QUESTIONS // max(1, len(open_)))))
        if len(self._points) > len(open_) and asking.remaining >= len(shapes) * len(self._points):
            losses = np.array([self._losses(order) for order in orders])
        else:
            self._points = _points(open_, 1)
            losses = losses[:, unsettled]
        best = int(np.argmin(losses @ self._weights()))
        self._shape, self.order, self.losses = shapes[best], orders[best], losses[best]

    def _losses(self, order: Float32[np.ndarray, "h w"]) -> Float[np.ndarray, " p"]:
        """What the order leaves to be won at each point: kept though hidden, or lost though shown."""
        left = self._asking.left((order, point) for point in self._points)
        return np.where([point.shows for point in self._points], 1 - left, left)

    def _weights(self) -> Float[np.ndarray, " p"]:
        return _WEIGHTS[[point.place for point in self._points]]

    def reshape(self, inferences: int) -> None:
        """Change the shape's numbers at random and keep what is better."""
        stop, vain = self._asking.remaining - inferences, 0
        while self._asking.remaining - len(self._points) >= max(stop, 0) and vain < _PATIENCE and self._points:
            changes = self._random.standard_normal(len(self._shape)) * _CHANGE
            shape = self._shape + changes * (self._random.random(len(changes)) < 0.5)
            vain = 0 if self._keep(nested(self._places, shape)) else vain + 1
            if vain == 0:
                self._shape = shape

    def _keep(self, order: Float32[np.ndarray, "h w"]) -> bool:
        """Take another order if the area that it leaves to be won is smaller."""
        losses = self._losses(order)
        if (losses - self.losses) @ self._weights() >= 0:
            return False
        self.order, self.losses = order, losses
        return True

    def correct(self) -> None:
        """Add smooth corrections in the direction that random ones point to."""
        grids = (Correction(self._places, cell) for cell in _CELLS)
        grid = next((grid for grid in grids if grid.size <= _MOST), Correction(self._places, _CELLS[-1]))
        trials = len(_STEPS) * len(self._points)
        for round_, size in enumerate(_SIZES):
            pairs = (self._asking.remaining // (len(_SIZES) - round_) - trials) // 2
            if pairs < _PAIRS or not self._points:
                continue  # what is left is for the next round
            direction = grid(self._direction(grid, size, pairs))
            base = self.order
            for step in _STEPS:
                self._keep(base + np.float32(step * size) * direction)

    def _direction(self, grid: Correction, size: float, pairs: int) -> Float[np.ndarray, " k"]:
        """How the order is to be corrected; its numbers have a mean square of 1."""
        # Points where more is to be won are asked about more often, and weigh the less for it.
        chances = self._weights() * (0.1 + np.clip(self.losses, 0, 1))
        chances = 0.9 * chances / chances.sum() + 0.1 / len(chances)
        drawn = self._random.choice(len(chances), pairs, p=chances)
        tried = self._random.standard_normal((pairs, grid.size))
        fills = self._random.integers(len(_FILLS), size=pairs).tolist()

        def asked() -> Iterator[tuple[Float32[np.ndarray, "h w"], _Point]]:
            for row, index, fill in zip(tried, drawn, fills, strict=True):
                change = np.float32(size) * grid(row)
                for order in (self.order + change, self.order - change):
                    yield order, self._points[index]._replace(fills=fill)

        left = self._asking.left(asked()).reshape(-1, 2)
        signs = np.where([self._points[index].shows for index in drawn], 1, -1)
        gains = signs * (left[:, 0] - left[:, 1]) * self._weights()[drawn] / chances[drawn]
        square = tried.T @ tried + _RIDGE * pairs * np.eye(grid.size)
        found = np.linalg.solve(square, tried.T @ gains)
        return found / max(float(np.sqrt(np.mean(found**2))), float(np.finfo(np.float32).tiny))
