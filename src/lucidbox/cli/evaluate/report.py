"""Results of evaluations as text tables for a terminal."""

from collections.abc import Sequence

from lucidbox.cli.tables import Column, line, table
from lucidbox.core.text import printable
from lucidbox.evaluate.analysis.errors import ErrorReport
from lucidbox.evaluate.analysis.intervals import Comparison, Interval
from lucidbox.evaluate.analysis.variants import MetricVariant
from lucidbox.evaluate.operating import OperatingPoint
from lucidbox.evaluate.summary import ClassResult
from lucidbox.validate.false_negatives import REASONS, THRESHOLD, Missed
from lucidbox.validate.model_run import Cost

VERDICTS = {
    "better": "{1} is better than {0}",
    "worse": "{1} is worse than {0}",
    "no difference": "no difference that these pictures could show",
}

OPERATING_POINT = (
    Column("best F1", 7, "{:.3f}", gap=3),
    Column("at score", 8, "{:.3f}", gap=2),
    Column("precision", 9, "{:.3f}", gap=2),
    Column("recall", 7, "{:.3f}"),
)


def class_table(classes: Sequence[ClassResult], together: OperatingPoint) -> str:
    """Every class, best first, with its score threshold of best F1, and the best one for all classes together.

    A – stands where nothing is measured.
    """
    measures = [Column(title, 6, "{:.3f}") for title in ("AP", "AP50", "AP75", "AR")]
    width = max([5, *(len(printable(one.name)) for one in classes)])
    columns = [Column("class", width, align="<"), Column("truths", 6), *measures, *OPERATING_POINT]
    rows: list[tuple[object, ...]] = []
    for one in sorted(classes, key=lambda one: -one.AP):
        name = printable(one.name)
        if one.truths:
            measured = (value if value >= 0 else None for value in (one.AP, one.AP50, one.AP75, one.AR))
            rows.append((name, one.truths, *measured, *_point(one.best)))
        else:
            rows.append((name, 0, None))
    indent = sum(column.gap + column.width for column in columns[1:6]) + OPERATING_POINT[0].gap
    every = f"{'all, one threshold':{width + indent}}{line(OPERATING_POINT, _point(together))}"
    return f"{table(columns, rows)}\n{every}"


def _point(best: OperatingPoint) -> tuple[float, ...]:
    return best.f1, best.score, best.precision, best.recall


def error_table(report: ErrorReport) -> str:
    """What correcting each type of error would add, in AP points."""
    columns = [
        Column(width=22, align="<"),
        Column(width=14, text="{:+.2f} points"),
        Column(width=15, text="{:,d} times", gap=3),
    ]
    rows = ((one.kind, one.cost * 100, one.count) for one in (*report.costs, *report.totals))
    return (
        f"AP50 {report.AP50 * 100:.2f}; mending one type of error alone (TIDE, Bolya et al. 2020) would add:\n"
        f"{table(columns, rows, indent=2)}"
    )


def interval_table(intervals: Sequence[Interval], resamples: int, pictures: int) -> str:
    """Numbers and their confidence intervals."""
    columns = [Column(width=5, align="<"), Column(text="{:.4f}"), Column(gap=3)]
    rows = ((one.name, one.value, f"{one.low:.4f} to {one.high:.4f}") for one in intervals)
    return f"95 % confidence, {resamples} resamples of {pictures} pictures:\n{table(columns, rows, indent=2)}"


def comparison_table(result: Comparison, resamples: int, pictures: int, titles: Sequence[str] = ("A", "B")) -> str:
    """Two sets of predictions side by side, and the verdict."""
    first, second = titles
    columns = [
        Column(width=6, align="<"),
        Column(first, 7, "{:.4f}"),
        Column(second, 7, "{:.4f}"),
        Column(f"{second} - {first}", 8, "{:+.4f}", gap=2),
        Column(f"95 % interval of {second} - {first}", gap=3, align="<"),
    ]
    rows = [
        (change.name, first.value, second.value, change.value, f"{change.low:+.4f} to {change.high:+.4f}")
        for first, second, change in zip(result.first, result.second, result.differences, strict=True)
    ]
    verdict = f"{VERDICTS[result.verdict].format(*titles)} ({resamples} paired resamples of {pictures} pictures)"
    return f"{table(columns, rows)}\n{verdict}"


def cost_line(cost: Cost) -> str:
    """What tiles cost, for a person."""
    images = max(cost.images, 1)
    whole, tiled = (seconds / images * 1000 for seconds in (cost.whole_seconds, cost.tiled_seconds))
    return (
        f"cost: {cost.views / images:.1f} views a picture instead of 1; from letterbox to boxes {tiled:.1f} ms a"
        f" picture instead of {whole:.1f} ({tiled / max(whole, 1e-9):.1f} times)"
    )


def missed_table(missed: Sequence[Missed], most: int = 20) -> str:
    """How many objects were missed for each reason, and the first of them."""
    counts = ((reason, sum(one.reason == reason for one in missed), REASONS[reason]) for reason in REASONS)
    by_reason = [Column(width=13, align="<"), Column(width=6), Column(align="<", gap=2)]
    columns = [
        Column("picture", 7),
        Column("annotation", 10),
        Column("class", 14, align="<"),
        Column("reason", 13, align="<"),
        Column("score", 7, "{:.4f}"),
        Column("IoU", 6, "{:.4f}"),
        Column("suppressed by (score)", align="<", gap=2),
    ]
    rows: list[tuple[object, ...]] = []
    for one in missed[:most]:
        by = () if one.suppressor is None else (f"{list(one.suppressor)} ({one.suppressor_score})",)
        rows.append((one.image_id, one.annotation_id, printable(one.label), one.reason, one.score, one.iou, *by))
    return "\n".join(
        [
            f"{len(missed)} objects that no detection was matched with at IoU {THRESHOLD}:",
            table(by_reason, counts, indent=2),
            f"the first {min(most, len(missed))} (all of them: --json):",
            table(columns, rows, indent=2),
        ]
    )


def gap_table(variants: Sequence[MetricVariant]) -> str:
    """AP under each deviation, and its difference from COCO's, in points; – where the rule defines none."""
    columns = [
        Column("scored with", max(len(one.name) for one in variants), align="<"),
        Column("AP", 6, "{:.2f}"),
        Column("change", 7, "{:+.2f}", gap=2),
        *(Column(title, 6, "{:.2f}") for title in ("AP50", "AP75", "APs", "APm", "APl")),
        Column("seen in", align="<", gap=3),
    ]
    rows = []
    for one in variants:
        change = (one.numbers[0] - variants[0].numbers[0]) * 100
        first, *others = (None if value is None else value * 100 for value in one.measured)
        rows.append((one.name, first, change, *others, one.seen_in))
    return table(columns, rows)
