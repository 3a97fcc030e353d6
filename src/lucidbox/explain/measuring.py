"""How far methods can be trusted on a data set: their figures over detections that are right."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, ImageError
from lucidbox.core.matching import match_boxes
from lucidbox.core.progress import Progress, no_progress
from lucidbox.detector import Detector
from lucidbox.evaluate.truth import Truth
from lucidbox.explain.batch import GAUSSIAN, image_figures, networks_of
from lucidbox.explain.drise import Masking
from lucidbox.explain.effort import Effort
from lucidbox.explain.faithfulness import Faithfulness
from lucidbox.explain.methods import QUICK_METHODS
from lucidbox.images.reading import read_image

if TYPE_CHECKING:
    from lucidbox.model import Network

CONFIDENCE = 0.5
"""Score above which detections are measured."""

_THRESHOLD = 0.5
"""IoU with an object of its class from which a detection is right."""


@dataclass(frozen=True)
class MeasuredMethods:
    """Means of one method's figures over detections.

    Attributes:
        method: a key of :data:`~lucidbox.explain.methods.METHODS`, or :data:`~lucidbox.explain.batch.GAUSSIAN`.
        detections: how many.
        inside, pointing, deletion, insertion: as in :class:`~lucidbox.explain.faithfulness.Faithfulness`.
        beats_gaussian: share of detections for which insertion minus deletion is higher than that of a
            Gaussian centred in the box; None for the Gaussian itself.
        randomised: None where no network could be shuffled.
        flagged: share of maps that say no more than where the box is.
    """

    method: str
    detections: int
    inside: float
    pointing: float
    deletion: float
    insertion: float
    beats_gaussian: float | None
    randomised: float | None
    flagged: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, 4 decimals."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in vars(self).items()}


def right_detections(
    detector: Detector,
    truth: Truth,
    files: Mapping[int, Path],
    on_failure: Callable[[ImageError], None],
    conf: float = CONFIDENCE,
    image_ids: Sequence[int] | None = None,
) -> Iterator[tuple[Path, Detections]]:
    """Each picture's detections above ``conf`` that match an object, best first, each object taken once.

    ``image_ids`` are the pictures to take, in this order; by default all.
    """
    places = {image_id: index for index, image_id in enumerate(truth.image_ids.tolist())}
    for image_id in places if image_ids is None else image_ids:
        index = places[image_id]
        try:
            found = detector(files[image_id], conf=conf)
        except ImageError as error:
            on_failure(error)
            continue
        assert isinstance(found, Detections)
        rows = np.flatnonzero((truth.images == index) & ~truth.crowds)
        right = _matched(found, truth, rows)
        if right:
            yield files[image_id], found[right]


def _matched(found: Detections, truth: Truth, rows: Int[np.ndarray, " n"]) -> list[int]:
    """Rows of the detections that overlap a free object of their class by :data:`_THRESHOLD`."""
    labels = np.array([truth.category_names[index] for index in truth.categories[rows]], str)
    same_class = np.array(found.labels, str)[:, None] == labels
    boxes = xywh_to_xyxy(truth.boxes_xywh[rows])
    return match_boxes(found.boxes.astype(np.float64), boxes, same_class, _THRESHOLD)[0]


def sampled(
    groups: Iterable[tuple[Path, Detections]], count: int | None, seed: int = 0
) -> list[tuple[Path, Detections]]:
    """All of them, or ``count`` detections drawn at random; those of one picture stay together."""
    listed = list(groups)
    places = [(group, row) for group, (_, found) in enumerate(listed) for row in range(len(found))]
    if count is None or count >= len(places):
        return listed
    drawn = np.random.default_rng(seed).choice(len(places), count, replace=False)
    chosen: dict[int, list[int]] = {}
    for group, row in sorted(places[index] for index in drawn):
        chosen.setdefault(group, []).append(row)
    return [(listed[group][0], listed[group][1][rows]) for group, rows in chosen.items()]


def measure_methods(
    detector: Detector,
    network: "Network | None",
    groups: Sequence[tuple[Path, Detections]],
    methods: Sequence[str] = QUICK_METHODS,
    *,
    layer: str | None = None,
    masking: Masking = Masking(),  # noqa: B008 - frozen
    effort: Effort = Effort(),  # noqa: B008 - frozen
    progress: Progress = no_progress,
) -> list[MeasuredMethods]:
    """The figures of a Gaussian in the box and of each method, averaged over detections.

    Args:
        detector: that found them.
        network: the detector's; some methods need none.
        groups: pictures and what is to be explained in them.
        methods: keys of :data:`~lucidbox.explain.methods.METHODS`.
        layer: as for :func:`~lucidbox.explain.explain`; None for each method's default.
        masking: how drise hides.
        effort: what other methods that search may spend.
        progress: shows how many images are done.

    Raises:
        DataError: there is nothing to measure.
        OptionError: a method or the layer cannot be used.
    """
    if not groups:
        raise DataError("no detection matches an annotated object: nothing to measure")
    networks = networks_of(network)
    rows: dict[str, list[Faithfulness]] = {method: [] for method in (GAUSSIAN, *methods)}
    for path, found in progress(groups, len(groups)):
        raw = detector.predictor.infer([read_image(path)])[0].copy()
        figures = image_figures(detector.predictor, raw, found, networks, tuple(rows), layer, masking, effort)
        for method, figured in figures.items():
            rows[method] += figured
    return [averaged(method, figured, rows[GAUSSIAN]) for method, figured in rows.items()]


def averaged(method: str, rows: Sequence[Faithfulness], gaussian: Sequence[Faithfulness]) -> MeasuredMethods:
    """The means of one method's figures; those of the Gaussian are of the same detections."""
    known = [row.randomised for row in rows if row.randomised is not None]
    better = [one.gained > other.gained for one, other in zip(rows, gaussian, strict=True)]
    return MeasuredMethods(
        method=method,
        detections=len(rows),
        inside=float(np.mean([row.inside for row in rows])),
        pointing=float(np.mean([row.pointing for row in rows])),
        deletion=float(np.mean([row.deletion for row in rows])),
        insertion=float(np.mean([row.insertion for row in rows])),
        beats_gaussian=None if method == GAUSSIAN else float(np.mean(better)),
        randomised=float(np.mean(known)) if known else None,
        flagged=float(np.mean([row.suspicious for row in rows])),
    )
