"""The command line's arguments of ``lucidbox evaluate``. Imports nothing that its help can do without."""

from typing import Any

from lucidbox.cli.options import TILES, add_flag, add_option, add_options


def add_arguments(parser: Any) -> None:
    """Add what is evaluated, by which rules, and what is shown of it."""
    what = parser.add_argument_group("what is evaluated")
    truth = what.add_mutually_exclusive_group(required=True)
    add_option(truth, "--annotations")
    truth.add_argument("--tracks", metavar="FILE", help="true tracks of a video, as MOT text")
    add_option(what, "--part", help="part of a data set of several, such as train (val)")
    given = what.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--predictions", metavar="FILE|URI",
        help="COCO result file, or Parquet of lucidbox batch: a file, or a folder of them, by path or address;"
            " with --tracks MOT text",
    )  # fmt: skip
    given.add_argument(
        "--compare", nargs=2, metavar=("A", "B"),
        help="two result files: is B better than A? Paired bootstrap; exit code 3 if it is worse",
    )  # fmt: skip
    add_option(
        given, "--weights", nargs="?", const="",
        help="a model to run, of lucidbox or another tool; without FILE the one that comes with lucidbox",
    )  # fmt: skip
    add_flag(
        what,
        "--subset",
        "leave out, and count, detections on pictures or categories that the annotations do not have; with "
        "--weights this is done in any case",
    )
    model = parser.add_argument_group("running a model")
    add_option(model, "--images", metavar="DIR|hf:NAME", help="where the annotated pictures are")
    add_options(model, "--layout", "--names")
    add_option(model, "--size", metavar="N")
    add_option(model, "--engine", default=None)
    add_option(model, "--precision", default=None)
    add_option(model, "--batch", help="pictures padded to one shape (1)")
    add_options(model, *TILES)
    add_flag(
        model,
        "--compare-tiles",
        "do --tiles help here, for which objects, at what cost? Paired bootstrap; exit code 3 if they do not",
    )
    add_flag(model, "--missed", "why each missed object was missed")
    _add_rules(parser.add_argument_group("rules (COCO's by default)"))
    _add_outputs(parser.add_argument_group("what is shown and written"))


def _add_rules(group: Any) -> None:
    group.add_argument("--iou-thresholds", metavar="T,T", help="0.5,0.55 … 0.95")
    group.add_argument("--max-detections", metavar="N,N", help="per picture and class: 1,10,100")
    group.add_argument(
        "--areas", metavar="NAME:LOW:HIGH,…",
        help="object sizes in square pixels, the first for all: all:0:1e10,small:0:1024",
    )  # fmt: skip
    add_option(group, "--classes", help="category names or ids to evaluate, comma between")
    add_flag(group, "--class-agnostic", "take all classes for one")
    add_flag(group, "--mot-challenge", "count true tracks of class 1 alone, and none on classes 2, 7, 8 and 12")
    group.add_argument(
        "--rule", choices=("notebook",),
        help="notebook: the seed notebook's simplified rule, to see the difference",
    )  # fmt: skip


def _add_outputs(group: Any) -> None:
    add_flag(group, "--per-class", "AP of every class and its score threshold of best F1")
    add_flag(group, "--errors", "which types of error cost how much AP50 (TIDE)")
    group.add_argument(
        "--bootstrap", type=int, nargs="?", const=1000, metavar="N",
        help="95 %% confidence intervals from N resamples of the pictures (1000)",
    )  # fmt: skip
    add_option(group, "--seed", default=0, help="of the bootstrap's random numbers (0)")
    add_flag(group, "--explain-gap", "score under the deviations other tools have")
    add_option(
        group, "--json", action="store", nargs="?", const="-", metavar="FILE",
        help="the numbers as JSON: AP, AP50, …, ARl, per_class, …; on standard output if no file is named",
    )  # fmt: skip
    group.add_argument("--plots", metavar="DIR", help="draw curves, confusion matrix, classes, scores")
    group.add_argument(
        "--save-predictions", metavar="FILE",
        help="write the evaluated detections as a COCO result file; boxes with 3 decimals, scores with 5",
    )  # fmt: skip
