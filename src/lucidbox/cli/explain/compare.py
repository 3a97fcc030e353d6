"""``lucidbox explain --compare``: what each of two models looked at, in one place of one picture."""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lucidbox.cli.console import tell, write_json
from lucidbox.cli.explain import method_options, numbers, only_class
from lucidbox.cli.explain.report import output_folder
from lucidbox.cli.options import load_detector
from lucidbox.core.array_types import UInt8
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.class_names import class_ids
from lucidbox.core.errors import OptionError
from lucidbox.core.file_names import safe_name
from lucidbox.core.filesystem import atomic_write
from lucidbox.core.text import printable
from lucidbox.detect.predictor import RawPrediction
from lucidbox.detector import Detector
from lucidbox.explain.drawing import stacked
from lucidbox.explain.explanation import Explanation, explain_targets
from lucidbox.explain.faithfulness import map_overlap
from lucidbox.explain.methods import METHODS, network_of
from lucidbox.explain.near_anchors import FITTING, as_detection, near_anchors
from lucidbox.explain.targets import target_at, target_of
from lucidbox.images.reading import read_image
from lucidbox.save.encode import save_image


class Place(NamedTuple):
    """What both models are asked about.

    Attributes:
        box: xyxy, pixels of the picture.
        label: name of the class.
    """

    box: tuple[float, ...]
    label: str


def compare_command(arguments: argparse.Namespace) -> int:
    """Print what both say and how much of their heat they share, and write one panel.

    Returns:
        0, or 130 if Ctrl-C left a map unfinished.
    """
    picture = read_image(arguments.picture)
    models = []
    for weights in arguments.compare:
        detector = load_detector(argparse.Namespace(**vars(arguments) | {"weights": weights}), conf=arguments.conf)
        models.append((weights, detector, detector.predictor.infer([picture])[0].copy()))
    place = _place(arguments, models[0][1], models[0][2])
    with output_folder(arguments) as folder:
        explained = [_explained(arguments, detector, raw, place) for _, detector, raw in models]
        first, second = explained
        shared = map_overlap(first.heatmap, second.heatmap)
        summary = f"the maps share {shared:.0%} of their heat"
        words = [
            [f"{Path(weights).name}: {one.captions()[0]}", *one.captions()[1:]]
            for (weights, _, _), one in zip(models, explained, strict=True)
        ]
        panels: list[UInt8[np.ndarray, "h w 3"]] = [
            one.draw_with(lines) for one, lines in zip(explained, words, strict=True)
        ]
        record = {
            "place": {"box": [round(side, 2) for side in place.box], "label": place.label},
            "shared_heat": round(shared, 4),
            "models": [
                {"weights": str(weights), **one.to_dict()}
                for (weights, _, _), one in zip(models, explained, strict=True)
            ],
        }
        if arguments.json:
            write_json(record, 1)
        else:
            for lines in words:
                tell("\n  ".join(map(printable, lines)))
            tell(summary)
        save_image(folder / f"compare-{safe_name(place.label)}-panel.png", stacked(panels, [summary]))
        atomic_write(folder / "compare.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        if not arguments.json:
            tell(printable(f"saved in {folder}"))
    return 130 if any(one.unfinished for one in explained) else 0


def _place(arguments: argparse.Namespace, detector: Detector, raw: RawPrediction) -> Place:
    """The place and class asked for: given, or those of a detection of the first model.

    Raises:
        OptionError: there is no such detection.
    """
    if arguments.at:
        return Place(numbers(arguments.at), arguments.class_name)
    found = detector.predictor.finish(raw)
    rows = np.arange(len(found))
    if arguments.class_name:
        rows = rows[np.isin(found.classes, class_ids([arguments.class_name], found.names))]
    number = 1 if arguments.box is None else arguments.box
    if not 1 <= number <= len(rows):
        raise OptionError(
            f"--compare: {arguments.compare[0]} finds {len(rows)} such objects here, so there is no box {number};"
            " lower --conf, or give the place with --at and --class"
        )
    row = int(rows[number - 1])
    return Place(tuple(found.boxes[row].tolist()), found.labels[row])


def _explained(arguments: argparse.Namespace, detector: Detector, raw: RawPrediction, place: Place) -> Explanation:
    """Why this model found, or missed, the object."""
    options = method_options(arguments)
    class_id = only_class(place.label, detector.names)
    found = detector.predictor.finish(raw)
    overlaps = pairwise_iou(np.array([place.box]), found.boxes.astype(np.float64))[0] * (found.classes == class_id)
    if len(found) and overlaps.max() >= FITTING:
        shown = found[int(overlaps.argmax())]
        target = target_of(raw, shown)
    else:
        best = near_anchors(raw, detector.names, place.box, class_id, detector.limits)[0]
        shown = as_detection(best, class_id, detector.names)
        target = target_at(raw, best.anchor, class_id)
    method = options["method"]
    network = network_of(detector, method) if METHODS[method].network else None
    return explain_targets(detector.predictor, raw, [shown], [target], network=network, **options)[0]
