"""The options of ``lucidbox evaluate``: the rules that they ask for, and which exclude one another."""

import argparse
from dataclasses import replace
from typing import Any

from lucidbox.cli.options import comma_separated
from lucidbox.core.class_names import class_ids
from lucidbox.core.errors import OptionError
from lucidbox.evaluate import COCO, AreaRange, Protocol, Truth
from lucidbox.evaluate.analysis.intervals import check_resampling

_MODEL_OPTIONS = (
    "images", "layout", "names", "size", "engine", "precision", "batch", "missed", "tiles", "tile_overlap",
    "compare_tiles",
)  # fmt: skip
_WITHOUT_EFFECT = {
    "--compare": ("per_class", "errors", "explain_gap", "plots", "save_predictions", "rule"),
    "--rule notebook": (
        "per_class", "errors", "bootstrap", "explain_gap", "plots", "save_predictions", "missed",
        "max_detections", "areas", "class_agnostic",
    ),
    "--tiles": ("missed", "explain_gap"),
    "--compare-tiles": ("per_class", "errors", "plots", "save_predictions", "rule"),
    "--explain-gap": ("iou_thresholds", "max_detections", "areas", "class_agnostic"),
    "--errors": ("class_agnostic",),
    # Detections on what the annotations lack are left out, and counted, in any case.
    "--weights": ("subset",),
}  # fmt: skip


def check_combination(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict one another or would have no effect, before anything is read or run.

    Raises:
        OptionError: names the options.
    """
    if arguments.weights is None:
        for name in _MODEL_OPTIONS:
            if _given(arguments, name):
                raise OptionError(f"--{name.replace('_', '-')} runs a model and needs --weights")
    for option, others in _WITHOUT_EFFECT.items():
        if _given(arguments, option.split()[0].removeprefix("--").replace("-", "_")):
            for name in filter(lambda one: _given(arguments, one), others):
                shown = name.replace("_", "-")
                raise OptionError(f"--{shown} has no meaning with {option}; leave one of them out")
    if arguments.compare_tiles and arguments.tiles is None:
        raise OptionError("--compare-tiles needs --tiles: auto, or a number of pixels")
    if arguments.batch is not None and arguments.batch < 1:
        raise OptionError(f"--batch {arguments.batch} is less than 1")
    if str(arguments.images).startswith("hf:") and (arguments.batch not in (None, 1) or arguments.missed):
        raise OptionError("--batch and --missed need pictures in a folder, not a streamed data set")
    check_resampling(1000 if arguments.bootstrap is None else arguments.bootstrap, arguments.seed)
    if arguments.plots:
        from lucidbox.evaluate.analysis.plots import require_matplotlib

        require_matplotlib()


def protocol_of(arguments: argparse.Namespace, truth: Truth) -> Protocol:
    """The rules that the options ask for.

    Raises:
        OptionError: an option is malformed, a class unknown, or an analysis needs other rules.
    """
    changes: dict[str, Any] = {}
    if arguments.iou_thresholds is not None:
        changes["iou_thresholds"] = comma_separated("--iou-thresholds", arguments.iou_thresholds, float)
    if arguments.max_detections is not None:
        changes["max_detections"] = comma_separated("--max-detections", arguments.max_detections, int)
    if arguments.areas is not None:
        changes["areas"] = tuple(_area(text) for text in arguments.areas.split(","))
    if arguments.classes is not None:
        changes["classes"] = _categories(arguments.classes, truth)
    protocol = replace(COCO, class_agnostic=arguments.class_agnostic, **changes)
    for name in ("errors", "missed"):
        if _given(arguments, name) and 0.5 not in protocol.iou_thresholds:
            raise OptionError(f"--{name} looks at IoU 0.5, which --iou-thresholds must have")
    return protocol


def _given(arguments: argparse.Namespace, name: str) -> bool:
    value = getattr(arguments, name)
    return value is not None and value is not False


def _area(text: str) -> AreaRange:
    try:
        name, low, high = text.split(":")
        return AreaRange(name, float(low), float(high))
    except ValueError:
        raise OptionError(f"--areas {text}: expected NAME:LOW:HIGH, as in small:0:1024") from None


def _categories(text: str, truth: Truth) -> tuple[int, ...]:
    """Ids of the categories that are wanted, each once."""
    ids = truth.category_ids.tolist()
    try:
        return tuple(dict.fromkeys(ids[index] for index in class_ids(text, truth.category_names, ids)))
    except OptionError as error:
        raise OptionError(f"--classes: {str(error).replace('the model', truth.source)}") from None
