"""Compares what two models find in the same images: their boxes are matched.

Does not know: files of data sets, printing, exit codes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError
from lucidbox.core.matching import match_detections
from lucidbox.detect.nms import Limits
from lucidbox.detector import Detector
from lucidbox.evaluate import CocoEvaluator
from lucidbox.validate.inference import LIMITS
from lucidbox.validate.pairs import matched_by_name, shared_limits


@dataclass(frozen=True)
class Tolerances:
    """How far two model files may be apart and still agree.

    Attributes:
        boxes: pixels of the picture by which any side of any matched box may have moved.
        scores: by which any matched box's score may have moved. An unmatched box whose score is no further above
            the confidence threshold, or above the last box's of a full picture, is explained by that, and not
            counted.
        unmatched: boxes of either that the other lacks.
        ap: difference of average precision.
    """

    boxes: float = 1.0
    scores: float = 0.01
    unmatched: int = 0
    ap: float = 0.005


@dataclass(frozen=True)
class Differences:
    """Median, 99th percentile and maximum of how far something moved."""

    median: float
    percentile_99: float
    maximum: float


@dataclass(frozen=True)
class Parity:
    """What two model files found in the same pictures.

    Attributes:
        pictures: number of them.
        detections: boxes of the first and of the second.
        matched: boxes that both found.
        boxes: pixels by which the side moved furthest, of each matched box.
        scores: by which their scores moved.
        unmatched: boxes of the first and of the second that the other lacks.
        marginal: further such boxes, which barely had the score they needed.
        ap: average precision of both; None without annotations.
    """

    pictures: int
    detections: tuple[int, int]
    matched: int
    boxes: Differences
    scores: Differences
    unmatched: tuple[int, int]
    marginal: int
    ap: tuple[float, float] | None = None

    def disagreements(self, tolerances: Tolerances) -> list[str]:
        """Each tolerance that is exceeded, in words; none if the two agree."""
        found = []
        # Written so that a NaN disagrees.
        if not self.boxes.maximum <= tolerances.boxes:
            found.append(f"a box moved by {self.boxes.maximum:.3g} px, more than {tolerances.boxes:g}")
        if not self.scores.maximum <= tolerances.scores:
            found.append(f"a score moved by {self.scores.maximum:.3g}, more than {tolerances.scores:g}")
        if sum(self.unmatched) > tolerances.unmatched:
            found.append(f"{sum(self.unmatched)} boxes are found by one only, more than {tolerances.unmatched}")
        if self.ap and not abs(self.ap[0] - self.ap[1]) <= tolerances.ap:
            found.append(f"AP differs by {abs(self.ap[0] - self.ap[1]):.4f}, more than {tolerances.ap:g}")
        return found


@dataclass
class Collector:
    """Gathers pairs of answers, picture by picture.

    Attributes:
        limits: what counted as a detection.
        margin: scores this little above the one needed explain an unmatched box.
    """

    limits: Limits
    margin: float
    pictures: int = 0
    moved: list[float] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0, 0])
    unmatched: list[int] = field(default_factory=lambda: [0, 0])
    marginal: int = 0

    def add(self, first: Detections, second: Detections) -> None:
        """Match one picture's boxes."""
        rows, partners = match_detections(first, second)
        self.pictures += 1
        self.moved += np.abs(first.boxes[rows] - second.boxes[partners]).max(axis=1, initial=0).tolist()
        self.changed += np.abs(first.scores[rows] - second.scores[partners]).tolist()
        sides = ((first, rows, second), (second, partners, first))
        for side, (found, taken, other) in enumerate(sides):
            alone = np.delete(found.scores, taken)
            marginal = int((alone <= self._least(other) + self.margin).sum())
            self.counts[side] += len(found)
            self.unmatched[side] += len(alone) - marginal
            self.marginal += marginal

    def _least(self, found: Detections) -> float:
        """The score that a box needed in this picture: the last one's, where no more boxes were allowed."""
        full = len(found) == self.limits.max_det
        return max(self.limits.conf, float(found.scores.min())) if full else self.limits.conf

    def parity(self, ap: tuple[float, float] | None) -> Parity:
        """All pictures together.

        Raises:
            DataError: neither found anything, so nothing was compared.
        """
        if not any(self.counts):
            raise DataError(
                f"nothing was found above {self.limits.conf:g} in {self.pictures} pictures, so nothing is"
                " compared; give other pictures or a lower --conf"
            )
        return Parity(
            self.pictures,
            (self.counts[0], self.counts[1]),
            len(self.moved),
            _spread(self.moved),
            _spread(self.changed),
            (self.unmatched[0], self.unmatched[1]),
            self.marginal,
            ap,
        )


def compare_detectors(
    pair: tuple[Detector, Detector],
    pictures: Iterable[tuple[int, UInt8[np.ndarray, "_ _ 3"]]],
    margin: float,
    evaluators: tuple[CocoEvaluator, CocoEvaluator] | None = None,
) -> Parity:
    """Run both over the pictures.

    Args:
        pair: from :func:`lucidbox.validate.pairs.load_pair`.
        pictures: numbers, of the truth if there is one, and pixels.
        margin: see :class:`Collector`.
        evaluators: of one truth; they are given what validation's limits keep, or what the graphs' do.

    Raises:
        DataError: nothing was found, or a picture is not in the truth.
        EngineError: a network answers with something that is not a number.
    """
    collector = Collector(pair[0].limits, margin)
    suppressed = any(detector.info and detector.info.suppression for detector in pair)
    limits = shared_limits(pair, pair[0].limits)
    validation = shared_limits(pair, LIMITS)
    for number, image in pictures:
        answers = []
        for side, detector in enumerate(pair):
            (raw,) = detector.predictor.infer([image])
            # Models may state thresholds of their own: those of the first count for both.
            answers.append(detector.predictor.finish(raw, limits[side]))
            if evaluators:
                counted = answers[-1] if suppressed else detector.predictor.finish(raw, validation[side])
                evaluators[side].add(number, counted)
        collector.add(*matched_by_name(answers[0], answers[1]))
    return collector.parity(evaluators and (_ap(evaluators[0]), _ap(evaluators[1])))


def _ap(evaluator: CocoEvaluator) -> float:
    """COCO's first number."""
    return float(evaluator.summary().stats[0])


def _spread(values: list[float]) -> Differences:
    if not values:
        return Differences(0.0, 0.0, 0.0)
    median, percentile, maximum = np.percentile(values, [50, 99, 100]).tolist()
    return Differences(median, percentile, maximum)
