"""What was measured, as one picture: where a picture's time goes, and how close streams come to their bound."""

from collections.abc import Sequence
from pathlib import Path

from lucidbox.benchmark.measuring import STAGES, Measurement
from lucidbox.core.errors import EngineError, OutputError
from lucidbox.core.filesystem import atomic_path, check_writable


def check_plot(path: Path) -> None:
    """Try, before the measuring, whether a figure can be written.

    Raises:
        EngineError: matplotlib is not installed.
        OutputError: the file cannot be written, or its form is unknown.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EngineError("--plot needs matplotlib; pip install 'lucidbox[plots]'") from error
    if path.suffix.lower().lstrip(".") not in Figure().canvas.get_supported_filetypes():
        raise OutputError(f"{path}: no form that can be drawn; end it in .png, .svg or .pdf")
    check_writable(path)


def plot(measured: Sequence[Measurement], labels: Sequence[str], path: Path) -> None:
    """Write a figure; its suffix says the form (.png, .svg, .pdf). See :func:`check_plot`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.6 + 0.5 * len(measured)), layout="constrained")
    stages, rates = figure.subplots(1, 2)
    left = [0.0] * len(measured)
    for stage in STAGES:
        widths = [one.stages[stage].p50 if stage in one.stages else 0.0 for one in measured]
        stages.barh(labels, widths, left=left, label=stage)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    stages.set_xlabel("median milliseconds a picture, one after the other")
    stages.legend(fontsize="small")
    rates.barh(labels, [one.bound.p50 for one in measured], color="lightgrey", label="bound")
    errors = [
        [one.stream_rate.p50 - one.stream_rate.p10 for one in measured],
        [one.stream_rate.p90 - one.stream_rate.p50 for one in measured],
    ]
    rates.barh(
        labels, [one.stream_rate.p50 for one in measured], height=0.5, xerr=errors, label="stream, p10 to p90"
    )
    rates.set_xlabel("pictures a second, several at once")
    rates.legend(fontsize="small")
    for axes in (stages, rates):
        axes.invert_yaxis()
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
