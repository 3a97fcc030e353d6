"""Images of a training: its curves over the epochs, and its detections beside the truth."""

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError
from lucidbox.core.filesystem import atomic_path
from lucidbox.draw.annotate import draw
from lucidbox.draw.fonts import text_mask
from lucidbox.evaluate.analysis.plots import BLUE, GREY, INK, ORANGE, require_matplotlib, style_axes
from lucidbox.save.encode import save_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSSES = {"boxes": BLUE, "classes": ORANGE, "distributions": INK, "teacher": GREY}
"""Columns of losses, and their colours in the plot."""

MOST_PICTURES = 16

_FEW = 30  # up to so many epochs each has a dot
_PAIRS_IN_ROW, _CELL, _GAP, _HEAD = 2, 400, 12, 22  # the last three in pixels


def training_curves(metrics: Path, path: Path) -> None:
    """Plot losses, AP and learning rate over the epochs, if the file has these columns.

    Args:
        metrics: a ``metrics.csv`` with the columns epoch and any of :data:`LOSSES`, ap, ap50 (0 to 1), rate.
        path: the PNG to write; an older one is replaced.

    Raises:
        OptionError: matplotlib is not installed.
        DataError: the file cannot be read, or has no row.
        OutputError: the PNG cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    columns = _read(metrics)
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    losses, accuracy, rate = figure.subplots(1, 3)
    used = {name: colour for name, colour in LOSSES.items() if np.any(columns.get(name, np.zeros(1)) != 0)}
    _panel(losses, columns, used, "Loss", "mean over each epoch, gains applied")
    best = _best(columns)
    _panel(accuracy, columns, {"ap": BLUE, "ap50": ORANGE}, "Accuracy", best, {"ap": "AP", "ap50": "AP50"})
    _panel(rate, columns, {"rate": BLUE}, "Learning rate", "at the end of each epoch")
    losses.set_ylim(bottom=0)
    accuracy.set_ylim(0, max(accuracy.get_ylim()[1], 0.1))  # values near 0 are not magnified
    rate.set_ylim(bottom=0)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def prediction_sheet(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    truths: Sequence[Detections],
    predictions: Sequence[Detections],
    path: Path,
) -> None:
    """Write one image of up to 16 pairs: truth on the left, prediction on the right.

    Args:
        pictures: RGB, of any sizes; the first 16 are shown.
        truths: true boxes of each, in its pixels; scores are not shown.
        predictions: detections in each, in its pixels. All are drawn: choose by score first.
        path: the new file; its suffix determines the format.

    Raises:
        OutputError: it cannot be written.
    """
    pairs = [_pair(*entry) for entry in islice(zip(pictures, truths, predictions, strict=True), MOST_PICTURES)]
    rows = [_row(pairs[start : start + _PAIRS_IN_ROW]) for start in range(0, len(pairs), _PAIRS_IN_ROW)]
    save_image(path, np.vstack([_head(), *rows]))


def _pair(
    picture: UInt8[np.ndarray, "h w 3"], truth: Detections, found: Detections
) -> UInt8[np.ndarray, "rows columns 3"]:
    """An image twice, as large as a cell allows; drawn on at that size, so that labels can be read."""
    height, width = picture.shape[:2]
    factor = _CELL / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    scale = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    drawn = []
    for boxes, scored in ((truth, False), (found, True)):
        moved = Detections(boxes.boxes * scale, boxes.scores, boxes.classes, boxes.names)
        drawn.append(_padded(draw(small, moved, show_scores=scored), size[1]))
    return np.hstack(drawn)


def _padded(image: UInt8[np.ndarray, "_ _ 3"], height: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image in the middle of a white cell of full width and this height, with a gap to the right and below."""
    left = (_CELL - image.shape[1]) // 2
    right = _CELL - image.shape[1] - left + _GAP
    below = height - image.shape[0] + _GAP
    return np.pad(image, ((0, below), (left, right), (0, 0)), constant_values=255)


def _row(pairs: list[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "rows columns 3"]:
    """Pairs side by side, as high as the highest; a row that is not full is filled up with white."""
    height = max(pair.shape[0] for pair in pairs)
    width = _PAIRS_IN_ROW * 2 * (_CELL + _GAP)
    row = np.full((height, width, 3), 255, np.uint8)
    for number, pair in enumerate(pairs):
        row[: pair.shape[0], number * pair.shape[1] : (number + 1) * pair.shape[1]] = pair
    return row


def _head() -> UInt8[np.ndarray, "rows columns 3"]:
    """The line of column titles."""
    cells = []
    for word in ("truth", "prediction"):
        ink = text_mask(word, 15)[:_HEAD, :_CELL]
        cell = np.full((_HEAD + _GAP // 2, _CELL + _GAP), 255, np.uint8)
        cell[: ink.shape[0], : ink.shape[1]] -= ink
        cells.append(cell)
    return np.repeat(np.hstack(cells * _PAIRS_IN_ROW)[..., None], 3, axis=2)


def _read(path: Path) -> dict[str, Float[np.ndarray, " epochs"]]:
    """The columns of a table of numbers; values that are not finite become NaN, and are not drawn."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names, *rows = csv.reader(file)
        table = np.array(rows, np.float64).reshape(-1, len(names))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # no header, cells that are no numbers, lines of other lengths
        raise DataError(f"{path}: not a table of numbers: {error}") from error
    if not len(table) or "epoch" not in names:
        raise DataError(f"{path}: no epoch in it yet")
    columns = dict(zip(names, table.T, strict=True))
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in columns.items()}


def _best(columns: dict[str, Float[np.ndarray, " epochs"]]) -> str:
    precision = columns.get("ap", np.full(1, np.nan))
    if np.isnan(precision).all():
        return "not validated"
    best = int(np.nanargmax(precision))
    return f"best AP {precision[best]:.3f} in epoch {columns['epoch'][best]:.0f}"


def _panel(
    axes: "Axes",
    columns: dict[str, Float[np.ndarray, " epochs"]],
    colours: dict[str, str],
    title: str,
    subtitle: str,
    labels: dict[str, str] | None = None,
) -> None:
    """Plot one line for each of these columns that exists."""
    from matplotlib.ticker import MaxNLocator

    epochs = columns["epoch"]
    for name, colour in colours.items():
        values = columns.get(name, np.full(len(epochs), np.nan))
        known = np.isfinite(values)  # epochs that were not validated are no gaps in the line
        if known.any():
            marker = "o" if known.sum() <= _FEW else ""
            label = (labels or {}).get(name, name)
            axes.plot(epochs[known], values[known], color=colour, marker=marker, markersize=4, label=label)
    style_axes(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if epochs[0] == epochs[-1]:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
    axes.set_xlabel("epoch", color=INK)
    axes.set_title(f"{title}: {subtitle}", loc="left", fontsize=10, color=INK)
    if len(axes.lines) > 1:
        axes.legend(frameon=False)
