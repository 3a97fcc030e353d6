"""Plots of an evaluation: curves, confusion matrix, classes, scores. Needs the extra ``plots``."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.errors import OptionError
from lucidbox.core.filesystem import atomic_path
from lucidbox.evaluate.analysis.confusion import Confusion, confusion
from lucidbox.evaluate.analysis.plot_labels import labels_of
from lucidbox.evaluate.operating import Sweep, outcomes_at, sweeps
from lucidbox.evaluate.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, PALE = "#1f2933", "#7b8794", "#cbd2d9"
BLUE, ORANGE = "#2f6fb3", "#d9822b"
# A legend over the thin lines of many classes needs a background.
LEGEND: dict[str, Any] = {"framealpha": 0.92, "edgecolor": "none", "facecolor": "white"}
# More class names than this are too small to read: the most confused classes are shown.
_MOST_CLASSES_IN_MATRIX = 30
_LETTER = 0.075  # inches for each letter of a tick's label


def save_plots(summary: Summary, folder: str | Path, score: float = 0.25) -> list[Path]:
    """Save all plots as PNG files in a folder; files of the same names are replaced.

    Args:
        summary: an evaluation.
        folder: is made if it does not exist.
        score: score threshold of the confusion matrix.

    Raises:
        OptionError: matplotlib is not installed.
        OutputError: a file cannot be written.
    """
    figures: dict[str, Callable[[], Figure]] = {
        "precision-recall.png": lambda: precision_recall(summary),
        "f1.png": lambda: f1_curves(summary),
        "classes.png": lambda: class_bars(summary),
        "scores.png": lambda: score_histogram(summary),
    }
    if not summary.protocol.class_agnostic:
        figures["confusion.png"] = lambda: confusion_matrix(confusion(summary.matching, score))
    require_matplotlib()
    written = []
    for name, draw in figures.items():
        path = Path(folder) / name
        figure = draw()
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=160)
        written.append(path)
    return written


def precision_recall(summary: Summary) -> "Figure":
    """Mean precision over recall at IoU 0.5, 0.75 and over all thresholds, with thin lines for single classes."""
    figure, axes = _figure(7.2, 5.4)
    thresholds, points = summary.protocol.iou_thresholds, np.array(summary.protocol.recall_points)
    curves = summary.curves.precision[:, :, :, 0, -1]
    known = curves[0, 0] > -1
    for index in np.flatnonzero(known):
        axes.plot(points, curves[0, :, index], color=PALE, linewidth=0.6, alpha=0.6, zorder=1)
    lines: list[tuple[str, np.ndarray, str]] = []
    for iou, colour in ((0.5, BLUE), (0.75, ORANGE)):
        if iou in thresholds:
            lines.append((f"IoU {iou}", curves[thresholds.index(iou)], colour))
    lines.append((f"mean of IoU {thresholds[0]:.2f} to {thresholds[-1]:.2f}", curves.mean(axis=0), INK))
    for label, curve, colour in lines:
        if known.any():
            mean = curve[:, known].mean(axis=1)
            axes.plot(points, mean, color=colour, linewidth=2.4, label=f"{label}: AP {mean.mean():.3f}", zorder=3)
    axes.plot([], [], color=PALE, label=f"single classes at IoU {thresholds[0]:g}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    _title(axes, "Precision over recall", f"mean of {int(known.sum())} classes with truths")
    axes.legend(loc="upper right" if summary.stats[0] < 0.5 else "lower left", **LEGEND)
    return figure


def f1_curves(summary: Summary) -> "Figure":
    """F1 over the score threshold: every class, and the mean with its best threshold."""
    figure, axes = _figure(7.2, 5.4)
    measured = [sweep for sweep in sweeps(summary.matching) if sweep.positives]
    scores = summary.matching.ranking.scores
    grid = np.linspace(np.min(scores, initial=0.0), np.max(scores, initial=1.0), 1001)
    curves = np.array([_at_thresholds(sweep, grid) for sweep in measured]).reshape(-1, len(grid))
    for curve in curves:
        axes.plot(grid, curve, color=PALE, linewidth=0.6, alpha=0.6)
    best_line = f"IoU {summary.protocol.iou_thresholds[0]:g}"
    if len(curves):
        mean = curves.mean(axis=0)
        best = int(np.argmax(mean))
        axes.plot(grid, mean, color=BLUE, linewidth=2.4, label="mean of classes")
        axes.plot(grid[best], mean[best], "o", color=BLUE, markersize=7)
        right = grid[best] < grid[0] + 0.7 * (grid[-1] - grid[0])
        axes.annotate(
            f"best mean F1 {mean[best]:.3f}\nat score {grid[best]:.3f}", (grid[best], mean[best]),
            xytext=(14 if right else -14, 14), textcoords="offset points", color=INK, fontsize=10,
            ha="left" if right else "right", bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none"},
        )  # fmt: skip
    axes.plot([], [], color=PALE, label="single classes")
    axes.set(xlabel="score threshold", ylabel="F1", xlim=(grid[0], grid[-1]), ylim=(0, 1.02))
    _title(axes, "F1 over the score threshold", best_line)
    axes.legend(loc="upper right", **LEGEND)
    return figure


def class_bars(summary: Summary) -> "Figure":
    """AP of every class that has truths, best first, with AP50 behind it."""
    results = sorted((result for result in summary.per_class if result.truths), key=lambda result: -result.AP)
    labels = labels_of([result.name for result in results], [result.category_id for result in results])
    figure, axes = _figure(6.2 + _LETTER * labels.width, max(3.2, 1.7 + 0.2 * len(results)))
    rows = np.arange(len(results))
    if any(result.AP50 >= 0 for result in results):
        axes.barh(rows, [result.AP50 for result in results], color=PALE, height=0.74, label="AP50")
    axes.barh(rows, [result.AP for result in results], color=BLUE, height=0.74, label="AP")
    for row, result in enumerate(results):
        axes.text(
            max(result.AP, result.AP50) + 0.008, row, f"{result.AP:.2f}  ({result.truths})",
            va="center", fontsize=7, color=GREY, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    axes.set_yticks(rows, labels.texts, fontsize=8, fontfamily=labels.fonts)
    mean = f"mean AP {summary.stats[0]:.3f}"
    axes.axvline(summary.stats[0], color=ORANGE, linewidth=1.2, zorder=0, label=mean)
    axes.set(xlim=(0, 1.12), ylim=(len(results) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    _title(axes, "AP by class", "AP, and in brackets the number of truths")
    # Outside the axes: with one or two classes there is no room beside the bars.
    figure.legend(frameon=False, loc="outside lower right", ncols=3)
    return figure


def score_histogram(summary: Summary) -> "Figure":
    """Histogram of the scores of right and of wrong detections."""
    figure, axes = _figure(7.2, 4.6)
    scores, outcomes = summary.matching.ranking.scores, outcomes_at(summary.matching)
    low, high = float(np.min(scores, initial=0.0)), float(np.max(scores, initial=1.0))
    bins = np.linspace(min(low, 0.0), max(high, low + 1e-6), 51)
    wrong = np.histogram(scores[outcomes.counted & ~outcomes.true], bins)[0]
    right = np.histogram(scores[outcomes.true], bins)[0]
    axes.stairs(wrong, bins, fill=True, color=ORANGE, alpha=0.45, label=f"wrong: {wrong.sum():,}")
    axes.stairs(right, bins, fill=True, color=BLUE, alpha=0.6, label=f"right: {right.sum():,}")
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="detections (log scale)", xlim=(bins[0], bins[-1]), ylim=(0, None))
    _title(axes, "Scores of right and wrong detections", f"IoU {summary.protocol.iou_thresholds[0]:g}")
    axes.legend(frameon=False)
    return figure


def confusion_matrix(result: Confusion) -> "Figure":
    """The class that each truth was detected as; shades are shares of the truths of a class."""
    counts, chosen, left_out = _legible(result)
    size = len(counts)
    labels = labels_of([result.names[row] for row in chosen], [result.category_ids[row] for row in chosen])
    beside = 0.9 + _LETTER * max(labels.width, len("(background)"))
    # The title and the two lines below it need room, even with few classes.
    figure, axes = _figure(max(beside + 0.27 * size, 5.4), max(beside + 0.6 + 0.27 * size, 4.4))
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(np.where(counts > 0, shares, np.nan), cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(range(size), [*labels.texts, "(missed)"], rotation=90, fontsize=8, fontfamily=labels.fonts)
    axes.set_yticks(range(size), [*labels.texts, "(background)"], fontsize=8, fontfamily=labels.fonts)
    axes.set(xlabel="detected as", ylabel="truth")
    axes.axhline(size - 1.5, color=GREY, linewidth=0.8)
    axes.axvline(size - 1.5, color=GREY, linewidth=0.8)
    axes.grid(visible=False)
    which = f"; the {len(chosen)} most confused of {len(result.names)} classes" if left_out else ""
    # Titles of the figure, because a small matrix is narrower than they are.
    figure.suptitle("Confusion", x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    figure.supxlabel(
        f"counts; shade: share of the truths\nscore ≥ {result.score:g}, IoU ≥ {result.iou:g}{which}",
        x=0.02, ha="left", fontsize=9, color=GREY,
    )  # fmt: skip
    return figure


def _legible(result: Confusion) -> tuple[np.ndarray, list[int], bool]:
    """The matrix of the classes shown, their indices, and whether a class that occurs is left out.

    Of more than 30 classes that occur the most confused are shown.
    """
    counts = result.counts
    classes = len(result.names)
    occurs = np.flatnonzero(counts[:classes].sum(axis=1) + counts[:, :classes].sum(axis=0))
    between = counts[:classes, :classes] * (1 - np.eye(classes, dtype=np.int64))
    mixed = between.sum(axis=0) + between.sum(axis=1)
    weight = mixed * 10**6 + counts[:classes].sum(axis=1)
    chosen = np.sort(occurs[np.argsort(-weight[occurs], kind="stable")[:_MOST_CLASSES_IN_MATRIX]])
    rows = np.append(chosen, classes)
    return counts[np.ix_(rows, rows)], chosen.tolist(), len(chosen) < len(occurs)


def _at_thresholds(sweep: Sweep, grid: Float[np.ndarray, " g"]) -> Float[np.ndarray, " g"]:
    """F1 when keeping scores at or above each threshold."""
    kept = np.searchsorted(-sweep.scores, -grid, side="right")
    return np.append(0.0, sweep.f1)[kept]


def require_matplotlib() -> None:
    """Raise an OptionError if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise OptionError("matplotlib is not installed; pip install 'lucidbox[plots]'")


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    # A Figure without pyplot uses no window system and no global state.
    figure = Figure(figsize=(width, height), layout="constrained")
    # Notebooks show figures that pyplot made; others show themselves by what IPython looks for in any value.
    vars(figure)["_repr_png_"] = partial(_png, figure)
    axes = figure.add_subplot()
    style_axes(axes)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    """The figure as the content of a PNG file, for a screen."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=80)
    return content.getvalue()


def style_axes(axes: Any) -> None:
    """Give axes of matplotlib the look of our plots: two pale spines, a pale grid, grey ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=GREY, labelcolor=INK)
    axes.grid(color="#eef1f4", linewidth=0.8)


def _title(axes: "Axes", title: str, subtitle: str) -> None:
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=22)
    axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        fontsize=9,
        color=GREY,
    )
