"""``lucidbox evaluate``: COCO's average precision of predictions, and why it is what it is."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import Failures, progress, say, say_note, tell, write_json
from lucidbox.cli.evaluate.arguments import add_arguments
from lucidbox.cli.options import add_verb, load_detector, tiles_of
from lucidbox.cli.tables import Column, table
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.evaluate import Predictions, Protocol, Truth
    from lucidbox.validate.model_run import ModelRun

DESCRIPTION = """\
COCO's average precision, equal to pycocotools to the last digit.

Annotations are a COCO JSON file (instances_val2017.json) or a data set in any format that "lucidbox data" reads
(data.yaml, data.toml, a folder); of several parts the one called val, or --part. What is evaluated is a COCO
result file, a list of {"image_id", "category_id", "bbox": [left, top, width, height], "score"}, what lucidbox
batch found (Parquet; images are matched by file name), or a model:
--weights runs it over the pictures with the settings that published accuracies are measured with (confidence
0.001, IoU 0.7, several labels an anchor, at most 300 boxes).

With --tracks: HOTA, DetA, AssA, MOTA, IDF1 and identity switches of tracks, equal to TrackEval's."""

EXAMPLES = """\
examples:
  lucidbox evaluate --annotations instances.json --predictions results.json
  lucidbox evaluate --annotations instances.json --predictions s3://bucket/found
  lucidbox evaluate --annotations instances.json --weights yolo11n.onnx --images val2017/
  lucidbox evaluate --annotations instances.json --weights yolo11n.onnx --images val2017/ --missed
  lucidbox evaluate --annotations instances.json --predictions results.json --per-class --errors
  lucidbox evaluate --annotations instances.json --predictions results.json --bootstrap 1000 --plots plots/
  lucidbox evaluate --annotations instances.json --compare before.json after.json   # exit code 3: worse
  lucidbox evaluate --annotations instances.json --weights --images aerial/ --tiles auto --compare-tiles
  lucidbox evaluate --annotations instances.json --predictions results.json --explain-gap
  lucidbox evaluate --tracks gt.txt --predictions mot.txt   # HOTA, MOTA, IDF1, switches
  lucidbox evaluate --annotations instances.json --predictions results.json --classes person,car --json ap.json
"""

WORSE = 3


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    add_arguments(add_verb(verbs, "evaluate", DESCRIPTION, EXAMPLES, run))


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, or compare; 0, 1 if pictures could not be read, or 3 if a comparison says no."""
    from lucidbox.cli.annotations import read_annotations
    from lucidbox.cli.evaluate.rules import check_combination, protocol_of
    from lucidbox.cli.evaluate.tracks import check_tracks, track_figures

    check_tracks(arguments)
    check_combination(arguments)
    _check_outputs(arguments)
    if arguments.tracks:
        text, document, notes = track_figures(arguments)
        _say_notes(notes)
        _show([text], document, arguments.json)
        return 0
    truth, root = read_annotations(arguments.annotations, arguments.part)
    protocol = protocol_of(arguments, truth)
    if arguments.compare:
        return _compare(arguments, truth, protocol)
    failures = Failures()
    model: ModelRun | None = None
    shifted: Predictions | None = None
    if arguments.weights is None:
        predictions = _load(arguments.predictions, arguments, truth, protocol)
    else:
        model = _model_run(arguments, truth, root, failures)
        if arguments.compare_tiles:
            return _compare_tiles(arguments, model, protocol) or (1 if failures.count else 0)
        if arguments.explain_gap:
            predictions, shifted = model.predictions_and_class_offset()
        else:
            predictions = model.predictions()
    if arguments.rule == "notebook":
        _notebook_rule(arguments, truth, predictions, protocol)
    else:
        _evaluate(arguments, truth, predictions, protocol, model, shifted)
    return 1 if failures.count else 0


def _load(uri: str, arguments: argparse.Namespace, truth: "Truth", protocol: "Protocol") -> "Predictions":
    """Predictions from a COCO result file, or from Parquet files of ``lucidbox batch``."""
    from lucidbox.core.detection_tables import is_table
    from lucidbox.evaluate import load_detections, load_predictions

    if is_table(uri):
        return load_detections(uri, truth, protocol, subset=arguments.subset, progress=progress("file"))
    return load_predictions(uri, truth, subset=arguments.subset)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Try all files that are to be written before anything is computed.

    Raises:
        OutputError: one of them cannot be written.
    """
    from lucidbox.core.filesystem import check_writable

    for path in (arguments.json if arguments.json != "-" else None, arguments.save_predictions):
        if path:
            check_writable(path)
    if arguments.plots:
        check_writable(Path(arguments.plots) / "classes.png")


def _model_run(arguments: argparse.Namespace, truth: "Truth", root: Path | None, failures: Failures) -> "ModelRun":
    """``--weights`` on ``--images``, or on the folder that the annotations name.

    Raises:
        OptionError: no images are named.
        DataError: images are missing.
    """
    from lucidbox.detect.tiles import tiling_of
    from lucidbox.sources import open_sources
    from lucidbox.validate.inference import files_of
    from lucidbox.validate.model_run import ModelRun

    folder = arguments.images or root
    if folder is None:
        raise OptionError("--weights needs --images: the folder of the annotated pictures, or hf:NAME:SPLIT")
    tiling = tiling_of(**tiles_of(arguments))
    streamed = str(folder).startswith("hf:")
    # Missing images are reported before the model is loaded, which takes seconds.
    files = {} if streamed else files_of(truth, Path(folder))
    chosen = {name: getattr(arguments, name) or "auto" for name in ("engine", "precision")}
    detector = load_detector(arguments, weights=arguments.weights or None, **chosen)
    return ModelRun(
        detector,
        truth,
        open_sources(folder) if streamed else files,
        batch=arguments.batch or 1,
        tiling=tiling,
        on_failure=failures,
        progress=progress(),
    )


def _evaluate(
    arguments: argparse.Namespace,
    truth: "Truth",
    predictions: "Predictions",
    protocol: "Protocol",
    model: "ModelRun | None",
    shifted: "Predictions | None",
) -> None:
    from lucidbox.cli.evaluate.analyses import add_analyses
    from lucidbox.cli.evaluate.report import class_table
    from lucidbox.evaluate import evaluate, save_predictions

    summary = evaluate(truth, predictions, protocol)
    document, sections = summary.to_dict(), [str(summary)]
    if arguments.per_class:
        sections.append(class_table(summary.per_class, summary.best))
    add_analyses(arguments, summary, model, shifted, document, sections)
    if model and (doubts := model.size_doubts(summary)):
        # The sizes say which scale it is that predictions seem to have.
        document["notes"] = [note for note in summary.notes if note not in summary.doubts] + [*doubts]
    _say_notes(document["notes"])
    _show(sections, document, arguments.json)  # before all else: no file that fails may cost the numbers
    if arguments.plots:
        from lucidbox.evaluate.analysis.plots import save_plots

        for path in save_plots(summary, arguments.plots):
            say(f"wrote {path}")
    if arguments.save_predictions:
        save_predictions(arguments.save_predictions, summary.matching.predictions)


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say_note(note)


def _show(sections: list[str], document: dict[str, Any], destination: str | None) -> None:
    """Print the tables; with ``--json -`` the JSON takes their place."""
    from lucidbox.core.filesystem import atomic_write

    if destination == "-":
        write_json(document, 1)
        return
    tell("\n\n".join(sections))
    if destination:
        atomic_write(destination, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _compare(arguments: argparse.Namespace, truth: "Truth", protocol: "Protocol") -> int:
    from lucidbox.cli.evaluate.report import comparison_table
    from lucidbox.evaluate import evaluate
    from lucidbox.evaluate.analysis.intervals import compare_paired

    notes, matchings = list(truth.notes), []
    for path in arguments.compare:
        summary = evaluate(truth, _load(path, arguments, truth, protocol), protocol)
        notes += [*summary.matching.predictions.notes, *summary.doubts]
        matchings.append(summary.matching)
    _say_notes(notes)
    resamples = 1000 if arguments.bootstrap is None else arguments.bootstrap
    result = compare_paired(matchings[0], matchings[1], resamples, arguments.seed)
    comparison = comparison_table(result, resamples, len(truth.image_ids))
    document = {"a": arguments.compare[0], "b": arguments.compare[1], **asdict(result), "notes": notes}
    _show([comparison], document, arguments.json)
    return WORSE if result.verdict == "worse" else 0


def _compare_tiles(arguments: argparse.Namespace, model: "ModelRun", protocol: "Protocol") -> int:
    """Whether tiles help: 0, or 3 if it does not show that they do."""
    from lucidbox.cli.evaluate.report import comparison_table, cost_line
    from lucidbox.evaluate.analysis.sizes_compared import compare_sizes

    whole, tiled = model.whole_and_tiled()
    resamples = 1000 if arguments.bootstrap is None else arguments.bootstrap
    result = compare_sizes(model.truth, whole, tiled, protocol, resamples, arguments.seed)
    _say_notes([*model.truth.notes, *tiled.notes])
    shown = comparison_table(result, resamples, len(model.truth.image_ids), ("whole", "tiled"))
    settings = {"tiles": arguments.tiles, **asdict(model.tiling)} if model.tiling else {}
    document = {**settings, **asdict(result), "cost": asdict(model.cost), "notes": list(tiled.notes)}
    _show([shown, cost_line(model.cost)], document, arguments.json)
    return 0 if result.verdict == "better" else WORSE


def _notebook_rule(
    arguments: argparse.Namespace, truth: "Truth", predictions: "Predictions", protocol: "Protocol"
) -> None:
    from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule

    result = evaluate_notebook_rule(truth, predictions, protocol.iou_thresholds, protocol.classes)
    _say_notes(result.notes)
    numbers = result.to_dict()
    _show([table([Column(width=14, align="<"), Column(text="{:.4f}")], numbers.items())], numbers, arguments.json)
