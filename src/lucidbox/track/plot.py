"""Counts over time, as one picture: objects in view, over lines and in zones. Needs the extra ``plots``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lucidbox.core.filesystem import atomic_path
from lucidbox.evaluate.analysis.plots import INK, require_matplotlib, style_axes
from lucidbox.track.summary import CountsOverTime


def plot_counts(counts: CountsOverTime, path: Path) -> None:
    """Write a figure; its suffix says the form (.png, .svg, .pdf).

    Raises:
        OptionError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    parts: list[tuple[str, Mapping[str, Sequence[int]]]] = [("objects in view", {"all": counts.objects})]
    parts += [("crossed so far", counts.lines)] * bool(counts.lines)
    parts += [("objects in zones", counts.zones)] * bool(counts.zones)
    figure = Figure(figsize=(9, 0.6 + 2.2 * len(parts)), layout="constrained")
    rows: Any = figure.subplots(len(parts), 1, sharex=True, squeeze=False)
    for axes, (title, series) in zip(rows[:, 0], parts, strict=True):
        style_axes(axes)
        axes.set_axisbelow(True)
        for name, values in series.items():
            axes.stairs(
                values,
                [counts.step * edge for edge in range(len(values) + 1)],
                label=name,
                linewidth=1.8,
                baseline=None,
            )
        axes.set_ylim(0, max(1, *(max(values, default=0) for values in series.values())) * 1.08)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.yaxis.get_major_locator().set_params(integer=True)
        if len(series) > 1 or title != "objects in view":
            axes.legend(fontsize="small", frameon=False)
    rows[-1, 0].set_xlabel("seconds")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
