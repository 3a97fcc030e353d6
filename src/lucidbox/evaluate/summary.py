"""The result of an evaluation: the numbers, per class, as a table and as JSON."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.html_tables import html_table
from lucidbox.evaluate.curves import Curves, curves_of
from lucidbox.evaluate.evaluation import Matching, match_all
from lucidbox.evaluate.operating import OperatingPoint, best_f1, best_point, pooled_sweep
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.truth import Truth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ID_ZERO = (
    "an annotation has id 0; it is counted like any other here, while pycocotools takes its match for none "
    "and gives a lower number (--explain-gap shows it)"
)


@dataclass(frozen=True)
class ClassResult:
    """The numbers of one class; -1 where the class has no truth that counts.

    Attributes:
        category_id: id in the annotations; -1 if all classes were taken as one.
        name: its name.
        truths: objects that count (no crowds).
        detections: detections of the class, before any limit.
        AP: mean over IoU thresholds, first area range, largest detection limit.
        AP50: at IoU 0.5; -1 if that threshold is not measured.
        AP75: at IoU 0.75; the same.
        AR: mean recall over thresholds.
        AP_by_threshold: one for each IoU threshold.
        AP_by_area: area range name to AP.
        best: score threshold of best F1 at the lowest IoU threshold.
    """

    category_id: int
    name: str
    truths: int
    detections: int
    AP: float
    AP50: float
    AP75: float
    AR: float
    AP_by_threshold: tuple[float, ...]
    AP_by_area: dict[str, float]
    best: OperatingPoint


@dataclass(frozen=True, eq=False)
class Summary:
    """COCO's numbers and where they come from.

    Attributes:
        matching: every match, for further analysis.
        curves: precision, recall and score arrays, as pycocotools has them.

    Example:
        >>> summary = evaluate(truth, predictions)
        >>> summary.stats[0]      # AP
        >>> print(summary)        # the twelve lines that pycocotools prints
    """

    matching: Matching
    curves: Curves

    @property
    def protocol(self) -> Protocol:
        """The rules that were followed."""
        return self.matching.protocol

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What makes the numbers doubtful, with the likeliest cause, in sentences."""
        from lucidbox.evaluate.analysis.doubts import doubts

        return doubts(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or replaced by a default, and what makes the numbers doubtful, in sentences."""
        own = () if 0 not in self.matching.truth.annotation_ids else (ID_ZERO,)
        return self.matching.truth.notes + self.matching.predictions.notes + own + self.doubts

    @cached_property
    def rows(self) -> tuple["SummaryRow", ...]:
        """The lines of the table: for COCO's protocol the twelve, in pycocotools' order."""
        return _rows(self.protocol, self.curves)

    @cached_property
    def stats(self) -> Float[np.ndarray, " s"]:
        """The numbers: for COCO's protocol the twelve, in pycocotools' order."""
        return np.array([row.value for row in self.rows])

    @property
    def stat_names(self) -> tuple[str, ...]:
        """Short names of ``stats``: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl."""
        return tuple(row.name for row in self.rows)

    @cached_property
    def per_class(self) -> tuple[ClassResult, ...]:
        """Every evaluated class, in the order of category ids."""
        return _per_class(self.matching, self.curves)

    @cached_property
    def best(self) -> OperatingPoint:
        """The one score threshold for all classes of best F1, at the lowest IoU threshold."""
        return best_point(pooled_sweep(self.matching))

    def to_dict(self) -> dict[str, Any]:
        """``stats`` by short name, then ``per_class``, ``best``, counts and notes."""
        numbers: dict[str, Any] = {row.name: row.value for row in self.rows}
        numbers["per_class"] = [asdict(result) for result in self.per_class]
        numbers["best"] = asdict(self.best)
        numbers["images"] = len(self.matching.truth.image_ids)
        numbers["truths"] = len(self.matching.objects.rows)
        numbers["detections"] = len(self.matching.predictions)
        numbers["notes"] = list(self.notes)
        return numbers

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def plot(self) -> "Figure":
        """Precision over recall, as a figure that shows itself in notebooks; others are in ``analysis.plots``.

        Raises:
            OptionError: matplotlib is not installed.
        """
        from lucidbox.evaluate.analysis.plots import precision_recall, require_matplotlib

        require_matplotlib()
        return precision_recall(self)

    def _repr_html_(self) -> str:
        """The numbers, then classes with truths, best first, for notebooks."""
        found = sorted((result for result in self.per_class if result.truths), key=lambda result: -result.AP)
        rows = [(one.name, one.AP, one.AP50, one.AP75, one.AR, one.truths, one.detections) for one in found]
        head = ("class", "AP", "AP50", "AP75", "AR", "truths", "detections")
        numbers = html_table(self.stat_names, [self.stats.tolist()])
        return numbers + html_table(head, rows, notes="; ".join(self.notes))

    def __str__(self) -> str:
        """The table that pycocotools prints."""
        return "\n".join(row.line for row in self.rows)


@dataclass(frozen=True)
class SummaryRow:
    """One number of the table: its short name, its value, and the line that shows it."""

    name: str
    value: float
    line: str


def evaluate(truth: Truth, predictions: Predictions, protocol: Protocol = COCO) -> Summary:
    """COCO's detection metrics, equal to pycocotools' to the last digit.

    Args:
        truth: annotated objects.
        predictions: detections, in any order.
        protocol: thresholds, areas, limits, classes; COCO's own by default.

    Raises:
        DataError: a detection is on an image or of a category that the truth does not have
            (``predictions.restricted_to(truth)`` leaves those out, and says how many).
        OptionError: a class to evaluate is not in the truth.
    """
    return summarise(match_all(truth, predictions, protocol))


def summarise(matching: Matching) -> Summary:
    """The summary of an evaluation whose matches are known."""
    return Summary(matching, curves_of(matching))


def mean_of_measured(values: Float[np.ndarray, "..."]) -> float:
    """Mean of the numbers that are not -1; -1 if none is."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else -1.0


def _rows(protocol: Protocol, curves: Curves) -> tuple[SummaryRow, ...]:
    # Precision is given for the last limit; the first area range is the one for all sizes.
    last, sizes = len(protocol.max_detections) - 1, range(1, len(protocol.areas))
    rows = [_row(protocol, curves, "AP", None, 0, last)]
    rows += [_row(protocol, curves, "AP", iou, 0, last) for iou in (0.5, 0.75)]
    rows += [_row(protocol, curves, "AP", None, area, last) for area in sizes]
    rows += [_row(protocol, curves, "AR", None, 0, limit) for limit in range(last + 1)]
    rows += [_row(protocol, curves, "AR", None, area, last) for area in sizes]
    return tuple(rows)


def _row(protocol: Protocol, curves: Curves, kind: str, iou: float | None, area: int, limit: int) -> SummaryRow:
    thresholds = np.array(protocol.iou_thresholds)
    rows = np.arange(len(thresholds)) if iou is None else np.flatnonzero(thresholds == iou)
    array = curves.precision if kind == "AP" else curves.recall
    value = mean_of_measured(array[rows][..., [area], [limit]])
    shown = f"{iou:0.2f}" if iou else f"{thresholds[0]:0.2f}:{thresholds[-1]:0.2f}"
    area_name, most = protocol.areas[area].name, protocol.max_detections[limit]
    title = "Average Precision" if kind == "AP" else "Average Recall"
    line = f" {title:<18} ({kind}) @[ IoU={shown:<9} | area={area_name:>6s} | maxDets={most:>3d} ] = {value:0.3f}"
    suffix = area_suffix(area_name) if area else f"{iou * 100:.0f}" if iou else "" if kind == "AP" else str(most)
    return SummaryRow(kind + suffix, value, line)


def area_suffix(name: str) -> str:
    """What the short names of numbers end with in an area range: "s" as in APs, "-name" for ranges not COCO's."""
    return name[0] if name in ("small", "medium", "large") else f"-{name}"


def _per_class(matching: Matching, curves: Curves) -> tuple[ClassResult, ...]:
    protocol, starts = matching.protocol, matching.ranking.class_starts
    thresholds, points = np.array(protocol.iou_thresholds), best_f1(matching)
    ids = matching.category_ids or (-1,)
    results = []
    for index, name in enumerate(matching.class_names):
        precision, recall = curves.precision[:, :, index, :, -1], curves.recall[:, index, 0, -1]
        by_threshold = tuple(mean_of_measured(values) for values in precision[:, :, 0])
        at = {iou: [by_threshold[row] for row in np.flatnonzero(thresholds == iou)] for iou in (0.5, 0.75)}
        results.append(
            ClassResult(
                ids[index],
                name,
                int(matching.positives[0, index]),
                int(starts[index + 1] - starts[index]),
                mean_of_measured(precision[:, :, 0]),
                (at[0.5] or [-1.0])[0],
                (at[0.75] or [-1.0])[0],
                mean_of_measured(recall),
                by_threshold,
                {area.name: mean_of_measured(precision[:, :, row]) for row, area in enumerate(protocol.areas)},
                points[index],
            )
        )
    return tuple(results)
