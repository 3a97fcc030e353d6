"""``lucidbox evaluate``: COCO's average precision of predictions, and why it is what it is."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lucidbox.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.evaluate import Predictions, Protocol, Summary, Truth

DESCRIPTION = """\
COCO's average precision, equal to pycocotools to the last digit.

Annotations are a COCO JSON file (instances_val2017.json); predictions a COCO result file: a list of
{"image_id", "category_id", "bbox": [left, top, width, height], "score"}."""

EXAMPLES = """\
examples:
  lucidbox evaluate --annotations instances.json --predictions results.json
  lucidbox evaluate --annotations instances.json --predictions results.json --per-class --errors
  lucidbox evaluate --annotations instances.json --predictions results.json --bootstrap 1000 --plots plots/
  lucidbox evaluate --annotations instances.json --compare before.json after.json   # exit code 3: worse
  lucidbox evaluate --annotations instances.json --predictions results.json --explain-gap
  lucidbox evaluate --annotations instances.json --predictions results.json --classes person,car --json ap.json
"""

WORSE = 3


def register(subparsers: Any) -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "evaluate",
        help="COCO's average precision of predictions",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is evaluated")
    what.add_argument("--annotations", required=True, metavar="JSON", help="COCO annotation file")
    given = what.add_mutually_exclusive_group(required=True)
    given.add_argument("--predictions", metavar="JSON", help="COCO result file")
    given.add_argument(
        "--compare", nargs=2, metavar=("A", "B"),
        help="two result files: is B better than A? Paired bootstrap; exit code 3 if it is worse",
    )  # fmt: skip
    what.add_argument(
        "--subset", action="store_true",
        help="leave out, and count, detections on pictures or categories that the annotations do not have",
    )  # fmt: skip
    _add_rules(parser.add_argument_group("rules (COCO's by default)"))
    _add_outputs(parser.add_argument_group("what is shown and written"))
    parser.set_defaults(run=run)


def _add_rules(group: Any) -> None:
    group.add_argument("--iou-thresholds", metavar="T,T", help="0.5,0.55 … 0.95")
    group.add_argument("--max-detections", metavar="N,N", help="per picture and class: 1,10,100")
    group.add_argument(
        "--areas", metavar="NAME:LOW:HIGH,…",
        help="object sizes in square pixels, the first for all: all:0:1e10,small:0:1024",
    )  # fmt: skip
    group.add_argument("--classes", metavar="A,B", help="category names or ids to evaluate, comma between")
    group.add_argument("--class-agnostic", action="store_true", help="take all classes for one")
    group.add_argument(
        "--rule", choices=("notebook",),
        help="notebook: the seed notebook's simplified rule, to see the difference",
    )  # fmt: skip


def _add_outputs(group: Any) -> None:
    group.add_argument(
        "--per-class", action="store_true", help="AP of every class and its score threshold of best F1"
    )
    group.add_argument("--errors", action="store_true", help="which types of error cost how much AP50 (TIDE)")
    group.add_argument(
        "--bootstrap", type=int, nargs="?", const=1000, metavar="N",
        help="95 %% confidence intervals from N resamples of the pictures (1000)",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=0, help="of the bootstrap's random numbers (0)")
    group.add_argument("--explain-gap", action="store_true", help="score under the deviations other tools have")
    group.add_argument(
        "--json", metavar="FILE", help="write the numbers: AP, AP50, …, ARl, per_class, …; - for standard output"
    )
    group.add_argument("--plots", metavar="DIR", help="draw curves, confusion matrix, classes, scores")
    group.add_argument(
        "--save-predictions", metavar="FILE", help="write the evaluated detections as a COCO result file"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, or compare; 0, or 3 if the second predictions are worse."""
    from lucidbox.evaluate import load_predictions, load_truth

    truth = load_truth(arguments.annotations)
    protocol = _protocol(arguments, truth)
    if arguments.compare:
        return _compare(arguments, truth, protocol)
    predictions = load_predictions(arguments.predictions, truth, subset=arguments.subset)
    if arguments.rule == "notebook":
        return _notebook_rule(arguments, truth, predictions, protocol)
    return _evaluate(arguments, truth, predictions, protocol)


def _protocol(arguments: argparse.Namespace, truth: "Truth") -> "Protocol":
    from lucidbox.evaluate import COCO

    changes: dict[str, Any] = {}
    if arguments.iou_thresholds:
        changes["iou_thresholds"] = _numbers("--iou-thresholds", arguments.iou_thresholds, float)
    if arguments.max_detections:
        changes["max_detections"] = _numbers("--max-detections", arguments.max_detections, int)
    if arguments.areas:
        changes["areas"] = tuple(_area(text) for text in arguments.areas.split(","))
    if arguments.classes:
        changes["classes"] = tuple(_category(text.strip(), truth) for text in arguments.classes.split(","))
    return replace(COCO, class_agnostic=arguments.class_agnostic, **changes)


def _numbers(option: str, text: str, kind: Callable[[str], Any]) -> tuple[Any, ...]:
    try:
        return tuple(kind(one) for one in text.split(","))
    except ValueError:
        raise OptionError(f"{option} {text}: expected numbers with commas between") from None


def _area(text: str) -> Any:
    from lucidbox.evaluate import AreaRange

    try:
        name, low, high = text.split(":")
        return AreaRange(name, float(low), float(high))
    except ValueError:
        raise OptionError(f"--areas {text}: expected NAME:LOW:HIGH, as in small:0:1024") from None


def _category(text: str, truth: "Truth") -> int:
    from lucidbox.labels import class_ids

    ids = truth.category_ids.tolist()
    if text not in truth.category_names and text.isdecimal() and int(text) in ids:
        return int(text)
    if text.isdecimal() and text not in truth.category_names:
        raise OptionError(f"--classes {text}: {truth.source} has no category of that id")
    try:
        return int(ids[class_ids([text], truth.category_names)[0]])
    except OptionError as error:
        raise OptionError(str(error).replace("the model", truth.source)) from None


def _evaluate(
    arguments: argparse.Namespace, truth: "Truth", predictions: "Predictions", protocol: "Protocol"
) -> int:
    from lucidbox.evaluate import evaluate, save_predictions
    from lucidbox.evaluate.report import class_table

    summary = evaluate(truth, predictions, protocol)
    document, sections = summary.to_dict(), [str(summary)]
    if arguments.per_class:
        sections.append(class_table(summary.per_class))
    _add_analyses(arguments, summary, document, sections)
    _say_notes(summary.notes)
    if arguments.plots:
        from lucidbox.evaluate.plots import save_plots

        for path in save_plots(summary, arguments.plots):
            print(f"wrote {path}", file=sys.stderr)
    if arguments.save_predictions:
        save_predictions(arguments.save_predictions, summary.matching.predictions)
    _show(sections, document, arguments.json)
    return 0


def _add_analyses(
    arguments: argparse.Namespace, summary: "Summary", document: dict[str, Any], sections: list[str]
) -> None:
    """Why the number is what it is: each analysis asked for becomes a table and an entry of the JSON."""
    from lucidbox.evaluate import report

    matching = summary.matching
    if arguments.errors:
        from lucidbox.evaluate.errors_tide import explain_errors

        errors = explain_errors(matching)
        document["errors"] = asdict(errors)
        sections.append(report.error_table(errors))
    if arguments.bootstrap is not None:
        from lucidbox.evaluate.bootstrap import bootstrap

        intervals = bootstrap(matching, arguments.bootstrap, arguments.seed)
        document["bootstrap"] = [asdict(one) for one in intervals]
        sections.append(report.interval_table(intervals, arguments.bootstrap, len(matching.truth.image_ids)))
    if arguments.explain_gap:
        from lucidbox.evaluate.gap import NAMES, explain_gap

        _refuse(arguments, "--explain-gap", ("iou_thresholds", "max_detections", "areas", "class_agnostic"))
        gap = explain_gap(matching.truth, matching.predictions, matching.protocol.classes)
        document["gap"] = [{"name": one.name, **dict(zip(NAMES, one.measured, strict=True))} for one in gap]
        sections.append(report.gap_table(gap))


def _say_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        print(f"lucidbox: note: {note}", file=sys.stderr)


def _show(sections: list[str], document: dict[str, Any], destination: str | None) -> None:
    """Print the tables; with ``--json -`` the JSON takes their place."""
    from lucidbox.files import atomic_write

    if destination == "-":
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return
    if destination:
        atomic_write(destination, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print("\n\n".join(sections))


def _compare(arguments: argparse.Namespace, truth: "Truth", protocol: "Protocol") -> int:
    from lucidbox.evaluate import load_predictions
    from lucidbox.evaluate.bootstrap import compare
    from lucidbox.evaluate.evaluation import match_all
    from lucidbox.evaluate.report import comparison_table

    _refuse(arguments, "--compare", ("per_class", "errors", "explain_gap", "plots", "save_predictions", "rule"))
    _say_notes(truth.notes)
    matchings = []
    for path in arguments.compare:
        predictions = load_predictions(path, truth, subset=arguments.subset)
        _say_notes(predictions.notes)
        matchings.append(match_all(truth, predictions, protocol))
    resamples = 1000 if arguments.bootstrap is None else arguments.bootstrap
    result = compare(matchings[0], matchings[1], resamples, arguments.seed)
    table = comparison_table(result, resamples, len(truth.image_ids))
    document = {"a": arguments.compare[0], "b": arguments.compare[1], **asdict(result)}
    _show([table], document, arguments.json)
    return WORSE if result.verdict == "worse" else 0


def _notebook_rule(
    arguments: argparse.Namespace, truth: "Truth", predictions: "Predictions", protocol: "Protocol"
) -> int:
    from lucidbox.evaluate.notebook_rule import evaluate_notebook_rule

    analyses = ("per_class", "errors", "bootstrap", "explain_gap", "plots", "save_predictions")
    _refuse(arguments, "--rule notebook", (*analyses, "max_detections", "areas", "class_agnostic"))
    _say_notes(truth.notes + predictions.notes)
    numbers = evaluate_notebook_rule(truth, predictions, protocol.iou_thresholds, protocol.classes).to_dict()
    _show(["\n".join(f"{name:14} {value:.4f}" for name, value in numbers.items())], numbers, arguments.json)
    return 0


def _refuse(arguments: argparse.Namespace, option: str, others: tuple[str, ...]) -> None:
    """An option that would be silently without effect is an error instead."""
    for name in others:
        if getattr(arguments, name) not in (None, False):
            raise OptionError(f"--{name.replace('_', '-')} has no meaning with {option}; leave one of them out")
