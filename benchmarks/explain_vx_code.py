"""VX-CODE's idea, as a baseline for ``search``: patches chosen greedily, with the interactions of pairs.

Written from the abstracts and reviews of Yamauchi, Kera and Kawamoto, "Explaining Object Detectors via Collective
Contribution of Pixels" (CVPR 2026, arXiv 2412.00666), and of MoXI (Sumiyasu, Kawamoto and Kera, CVPR 2024, arXiv
2401.03785), which it extends to detectors; nothing of their code was used. Patches of a grid are players, and a
set of them is worth what is left of the detection (IoU × probability):

    insertion  starts with nothing shown; a patch's Shapley value in the context of those already chosen is what is
               gained by showing it, and the pair is chosen that gains most together: values and interaction
    deletion   starts with all shown, and takes away the pair whose loss is largest

Where we had to decide: all pairs of a step would cost thousands of inferences, so pairs are made of the few
patches with the best values of their own; the last order of values ranks the patches that the inferences do not
reach; and one map is made of both orders by their mean rank, since it is judged on both curves.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from lucidbox.detect.letterbox import PADDING
from lucidbox.detect.predictor import RawPrediction
from lucidbox.engines import Engine
from lucidbox.explain.drise import left_of
from lucidbox.explain.targets import Target

BATCH = 4
"""Changed pictures that share one inference."""

CANDIDATES = 4
"""Patches of the best values of their own, of which pairs are made."""


def vx_code(
    engine: Engine, raw: RawPrediction, target: Target, inferences: int = 600, grid: int = 8
) -> np.ndarray:
    """The map of one detection: h w, float32, hottest first.

    Args:
        engine: any.
        raw: its answer for the picture.
        target: the detection.
        inferences: pictures that it may be asked about, half of them in each direction.
        grid: patches along each side of the picture.
    """
    patches = _patches(*raw.pixels.shape[:2], grid)
    places = np.zeros(grid * grid)
    for showing in (True, False):
        order = _greedy(Game(engine, raw.pixels, target, patches, showing), inferences // 2)
        places[order] += np.arange(len(order))
    return (1 - places / (2 * len(places))).astype(np.float32)[patches]


def _patches(height: int, width: int, grid: int) -> np.ndarray:
    """The number of each pixel's patch."""
    rows, columns = (np.arange(length) * grid // length for length in (height, width))
    return rows[:, None] * grid + columns


class Game:
    """What sets of patches are worth.

    Args:
        engine: any.
        pixels: the network's input.
        target: the detection.
        patches: the number of each pixel's patch.
        showing: patches of a set are shown and all others hidden; or these hidden and all others shown.
    """

    def __init__(
        self, engine: Engine, pixels: np.ndarray, target: Target, patches: np.ndarray, showing: bool
    ) -> None:
        self._engine, self._pixels, self._target = engine, pixels, target
        self._patches, self._showing = patches, showing
        self.count = int(patches.max()) + 1
        self.asked = 0

    def worth(self, sets: Sequence[Sequence[int]]) -> np.ndarray:
        """What is left of the detection for each set; where its patches are hidden, minus that."""
        worths = []
        for start in range(0, len(sets), BATCH):
            pictures = np.stack([self._picture(chosen) for chosen in sets[start : start + BATCH]])
            answer = self._engine(pictures)
            worths += [left_of(b, s, [self._target])[0] for b, s in zip(answer.boxes, answer.scores, strict=True)]
        self.asked += len(sets)
        return np.array(worths) * (1 if self._showing else -1)

    def _picture(self, chosen: Sequence[int]) -> np.ndarray:
        among = np.isin(self._patches, chosen)
        return np.where((among if self._showing else ~among)[..., None], self._pixels, np.uint8(PADDING))


def _greedy(game: Game, inferences: int) -> list[int]:
    """All patches, first chosen first."""
    chosen: list[int] = []
    rest = list(range(game.count))
    while rest and game.asked + len(rest) <= inferences:
        # What is worth most together with those chosen has the largest value in their context.
        alone = game.worth([[*chosen, patch] for patch in rest])
        rest = [rest[index] for index in np.argsort(-alone, kind="stable")]
        pairs = list(itertools.combinations(rest[:CANDIDATES], 2))
        if not pairs or game.asked + len(pairs) > inferences:
            break
        # The worth of a pair is both values and their interaction.
        together = game.worth([[*chosen, *pair] for pair in pairs])
        best = pairs[int(together.argmax())]
        chosen += best
        rest = [patch for patch in rest if patch not in best]
    return chosen + rest
