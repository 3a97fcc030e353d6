"""Results of evaluations as text tables for a terminal."""

from collections.abc import Sequence

from lucidbox.core.text import printable
from lucidbox.evaluate.analysis.errors import ErrorReport
from lucidbox.evaluate.analysis.intervals import Comparison, Interval
from lucidbox.evaluate.analysis.variants import MetricVariant
from lucidbox.evaluate.operating import OperatingPoint
from lucidbox.evaluate.summary import ClassResult
from lucidbox.validate.false_negatives import REASONS, THRESHOLD, Missed

_VERDICTS = {
    "better": "B is better than A",
    "worse": "B is worse than A",
    "no difference": "no difference that these pictures could show",
}


def class_table(classes: Sequence[ClassResult], together: OperatingPoint) -> str:
    """Every class, best first, with its score threshold of best F1, and the best for all together.

    Where nothing is measured there is a –.
    """
    width = max([5, *(len(printable(one.name)) for one in classes)])
    lines = [f"{'class':{width}} truths     AP   AP50   AP75     AR   best F1  at score  precision  recall"]
    for one in sorted(classes, key=lambda one: -one.AP):
        name = printable(one.name)
        if not one.truths:
            lines.append(f"{name:{width}} {0:6d}      –")
            continue
        numbers = " ".join(
            f"{value:6.3f}" if value >= 0 else "     –" for value in (one.AP, one.AP50, one.AP75, one.AR)
        )
        lines.append(f"{name:{width}} {one.truths:6d} {numbers}   {_point(one.best)}")
    lines.append(f"{'all, one threshold':{width + 37}} {_point(together)}")
    return "\n".join(lines)


def _point(best: OperatingPoint) -> str:
    return f"{best.f1:7.3f}  {best.score:8.3f}  {best.precision:9.3f} {best.recall:7.3f}"


def error_table(report: ErrorReport) -> str:
    """What mending each type of error would add, in AP points."""
    lines = [f"AP50 {report.AP50 * 100:.2f}; mending one type of error alone (TIDE, Bolya et al. 2020) would add:"]
    lines += [
        f"  {one.kind:22} {one.cost * 100:+7.2f} points   {one.count:9,d} times"
        for one in (*report.costs, *report.totals)
    ]
    return "\n".join(lines)


def interval_table(intervals: Sequence[Interval], resamples: int, pictures: int) -> str:
    """Numbers and their confidence intervals."""
    lines = [f"95 % confidence, {resamples} resamples of {pictures} pictures:"]
    lines += [f"  {one.name:5} {one.value:.4f}   {one.low:.4f} to {one.high:.4f}" for one in intervals]
    return "\n".join(lines)


def comparison_table(result: Comparison, resamples: int, pictures: int) -> str:
    """Two sets of predictions side by side, and the verdict."""
    lines = [f"{'':6} {'A':>7} {'B':>7} {'B - A':>8}   95 % interval of B - A"]
    for first, second, change in zip(result.first, result.second, result.differences, strict=True):
        lines.append(
            f"{change.name:6} {first.value:7.4f} {second.value:7.4f} {change.value:+8.4f}   "
            f"{change.low:+.4f} to {change.high:+.4f}"
        )
    lines.append(f"{_VERDICTS[result.verdict]} ({resamples} paired resamples of {pictures} pictures)")
    return "\n".join(lines)


def missed_table(missed: Sequence[Missed], most: int = 20) -> str:
    """How many objects were missed for which reason, and the first of them."""
    counts = {reason: sum(one.reason == reason for one in missed) for reason in REASONS}
    lines = [f"{len(missed)} objects that no detection was matched with at IoU {THRESHOLD}:"]
    lines += [f"  {reason:13} {count:6}  {REASONS[reason]}" for reason, count in counts.items()]
    lines.append(f"the first {min(most, len(missed))} (all of them: --json):")
    lines.append("  picture annotation class          reason         score    IoU  suppressed by (score)")
    for one in missed[:most]:
        by = "" if one.suppressor is None else f"{list(one.suppressor)} ({one.suppressor_score})"
        score, iou = ("–" if value is None else f"{value:.4f}" for value in (one.score, one.iou))
        lines.append(
            f"  {one.image_id:7} {one.annotation_id:10} {printable(one.label):14} {one.reason:13} {score:>7}"
            f" {iou:>6}  {by}".rstrip()
        )
    return "\n".join(lines)


def gap_table(deviations: Sequence[MetricVariant]) -> str:
    """AP under each deviation, and how far it is from COCO's, in points; – where the rule defines none."""
    width = max(len(one.name) for one in deviations)
    lines = [f"{'scored with':{width}}     AP   change   AP50   AP75    APs    APm    APl   seen in"]
    for one in deviations:
        change = (one.numbers[0] - deviations[0].numbers[0]) * 100
        first, *others = ("     –" if value is None else f"{value * 100:6.2f}" for value in one.measured)
        lines.append(f"{one.name:{width}} {first}  {change:+7.2f} {' '.join(others)}   {one.seen_in}")
    return "\n".join(lines)
