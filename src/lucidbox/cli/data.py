"""``lucidbox data``: check, count, split, convert and show data sets."""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.progress import bar
from lucidbox.core.errors import OptionError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.datasets import Conversion, Reading, Split, Statistics

FORMS = """\
data sets (DATA):
  a COCO JSON (its pictures are looked for beside it, or named by --images), a YOLO data.yaml, a TOML with
  [train] and [val], each annotations = "instances.json" and images = "folder"; or a folder with one of these
"""

EXAMPLES = """\
examples:
  lucidbox data check instances_val2017.json --images val2017
  lucidbox data stats yolo/data.yaml
  lucidbox data split instances.json parts --parts train=0.8,val=0.2 --seed 1
  lucidbox data convert coco/ yolo --to yolo
  lucidbox data show data.toml --save sheet.png

exit codes:
  0 done; 1 check found problems, or convert left something out; 2 wrong usage or bad input
"""


def register(subparsers: Any) -> None:
    """Add the verb and its sub-verbs."""
    from lucidbox.cli import data_show

    parser = subparsers.add_parser(
        "data",
        help="check, count, split, convert and show data sets",
        description="Work on data sets of pictures with boxes. What is there is never changed.",
        epilog=FORMS + "\n" + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _register_check(verbs)
    _register_stats(verbs)
    _register_split(verbs)
    _register_convert(verbs)
    data_show.register(verbs)


def _add_verb(verbs: Any, name: str, summary: str, description: str, examples: str, run: Any) -> Any:
    """A sub-verb with what all have: DATA and --images."""
    parser = verbs.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"{FORMS}\nexamples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", type=Path, help="the data set; see below")
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder of the pictures of a COCO JSON")
    parser.set_defaults(run=run)
    return parser


def _register_check(verbs: Any) -> None:
    check = _add_verb(
        verbs,
        "check",
        "list every problem; change nothing",
        "List every problem of annotations and pictures, one a line: place, field, what is wrong.\n"
        "Exit code 1 if there are any.",
        "  lucidbox data check instances.json --images photos\n"
        "  lucidbox data check yolo/ --limit 20\n"
        "  lucidbox data check data.yaml --json > report.json\n",
        _check,
    )
    check.add_argument(
        "--quick", action="store_true", help="read only the first bytes of pictures: damage stays unseen"
    )
    check.add_argument("--limit", metavar="N", type=int, help="print at most N problems; all are counted")
    check.add_argument("--json", action="store_true", help="print one JSON object instead")


def _register_stats(verbs: Any) -> None:
    stats = _add_verb(
        verbs,
        "stats",
        "pictures, objects, classes, sizes",
        "Count and measure: pictures, objects, crowds, sizes, aspect ratios, classes, and which occur together.",
        "  lucidbox data stats instances.json\n  lucidbox data stats yolo/ --json\n",
        _stats,
    )
    stats.add_argument("--json", action="store_true", help="print one JSON object instead")


def _register_split(verbs: Any) -> None:
    split = _add_verb(
        verbs,
        "split",
        "make stratified parts, from a seed",
        "Split into parts that have every class in the same share (iterative stratification, Sechidis et al.).\n"
        "COCO entries keep all their fields, unusable ones are left out and counted; YOLO pictures and labels\n"
        "stay where they are, and the pictures are listed.",
        "  lucidbox data split instances.json parts --parts train=0.8,val=0.2\n"
        "  lucidbox data split yolo/ parts --part train --parts train=0.9,val=0.1 --seed 7\n",
        _split,
    )
    split.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    split.add_argument(
        "--parts", required=True, metavar="NAME=SHARE,…", help="as in train=0.8,val=0.2; they add up to 1"
    )
    split.add_argument("--part", metavar="NAME", help="which part to split, where DATA has several")
    split.add_argument("--seed", type=int, default=0, metavar="N", help="another one gives another split (0)")


def _register_convert(verbs: Any) -> None:
    convert = _add_verb(
        verbs,
        "convert",
        "COCO JSON to YOLO text and back",
        "Write a data set in the other form. What that cannot hold (crowds, areas of masks) is counted and said.",
        "  lucidbox data convert instances.json yolo --images photos --to yolo\n"
        "  lucidbox data convert yolo/data.yaml coco --to coco\n",
        _convert,
    )
    convert.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    convert.add_argument("--to", required=True, choices=("coco", "yolo"), help="the form to write")
    convert.add_argument(
        "--pictures", choices=("link", "copy"), default="link", help="how pictures get into a YOLO folder (link)"
    )
    convert.add_argument("--part", metavar="NAME", help="name of the part a single COCO JSON becomes (train)")


def _check(arguments: argparse.Namespace) -> int:
    from lucidbox.datasets import check

    if arguments.limit is not None and arguments.limit < 0:
        raise OptionError(f"--limit {arguments.limit}: must be 0 or more")
    report = check(arguments.data, arguments.images, decode=not arguments.quick, progress=bar())
    shown = report.problems[: arguments.limit] if arguments.limit is not None else report.problems
    if arguments.json:
        document = {
            "data": str(arguments.data),
            "parts": [dict(zip(("name", "pictures", "objects"), part, strict=True)) for part in report.parts],
            "counts": report.counts,
            "problems": [asdict(problem) for problem in shown],
            "notes": report.notes,
        }
        print(json.dumps(document, ensure_ascii=False))
        return int(bool(report.problems))
    for problem in shown:
        print(printable(str(problem)))
    if len(shown) < len(report.problems):
        print(f"… and {len(report.problems) - len(shown)} more")
    _say_notes(report.notes)
    for name, pictures, objects in report.parts:
        print(f"{name}: {pictures} pictures, {objects} usable objects")
    total = len(report.problems)
    print(f"{total or 'no'} problem{'' if total == 1 else 's'}")
    for kind, count in report.counts.items():
        print(f"{count:9,d}  {kind}")
    return int(bool(report.problems))


def _stats(arguments: argparse.Namespace) -> int:
    from lucidbox.datasets import read_dataset, statistics

    reading = read_dataset(arguments.data, arguments.images, bar())
    counted = [statistics(part) for part in reading.parts]
    _say_left_out(reading, arguments)
    if arguments.json:
        print(
            json.dumps(
                {"data": str(arguments.data), "parts": [asdict(one) for one in counted]}, ensure_ascii=False
            )
        )
    else:
        print("\n\n".join(printable_table(one) for one in counted))
    return 0


def printable_table(counted: "Statistics") -> str:
    """Statistics of one part, for a person."""
    share = 100 / max(counted.objects, 1)
    rows = [
        ("pictures", f"{counted.pictures:,d}, {counted.empty_pictures:,d} of them without objects"),
        ("objects", f"{counted.objects:,d}, and {counted.crowds:,d} crowds"),
        *(
            (label, f"{count:,d} ({count * share:.1f} %)")
            for label, count in (
                ("small  < 32²", counted.small),
                ("medium < 96²", counted.medium),
                ("large", counted.large),
            )
        ),
        (
            "picture sizes",
            ", ".join(f"{width}×{height}: {count}" for width, height, count in counted.picture_sizes[:5]),
        ),
    ]
    lines = [f"{counted.part}", *(f"  {label:<14} {text}" for label, text in rows)]
    lines.append(f"\n  {'':<24} {'least':>8} {'25 %':>8} {'median':>8} {'75 %':>8} {'most':>8} {'mean':>8}")
    for label, spread in (
        ("objects a picture", counted.per_picture),
        ("width / height", counted.aspect_ratios),
        ("side as share of picture", counted.relative_sizes),
    ):
        lines.append(f"  {label:<24} " + " ".join(f"{value:8.3g}" for value in asdict(spread).values()))
    return "\n".join([*lines, "", *_class_table(counted), "", *_together_table(counted)])


def _class_table(counted: "Statistics") -> list[str]:
    width = max([5, *(len(printable(one.name)) for one in counted.classes)])
    lines = [f"  {'class':<{width}} {'objects':>9} {'share':>7} {'crowds':>7} {'pictures':>9}"]
    for one in sorted(counted.classes, key=lambda one: -one.objects):
        share = 100 * one.objects / max(counted.objects, 1)
        lines.append(
            f"  {printable(one.name):<{width}} {one.objects:9,d} {share:5.1f} %"
            f" {one.crowds:7,d} {one.pictures:9,d}"
        )
    return lines


def _together_table(counted: "Statistics") -> list[str]:
    pairs = [f"  {one.pictures:9,d}  {printable(one.first)} + {printable(one.second)}" for one in counted.together]
    return ["  most often in one picture", *pairs] if pairs else []


def _split(arguments: argparse.Namespace) -> int:
    from lucidbox.datasets import parse_shares, split

    done = split(
        arguments.data,
        arguments.out,
        parse_shares(arguments.parts),
        seed=arguments.seed,
        images=arguments.images,
        part=arguments.part,
    )
    left_out = _say_left_out(done.reading, arguments)
    if left_out and done.reading.form == "yolo":
        _say_notes(["label files stay as they are, unusable lines included"])
    print("\n".join(_split_table(done)))
    print(f"wrote {done.file}")
    return 0


def _split_table(done: "Split") -> list[str]:
    """Pictures, objects and classes of each part."""
    whole = done.whole.presence().sum(axis=0)
    width = max([5, *(len(part.name) for part in done.parts)])
    lines = [f"{'part':<{width}} {'pictures':>9} {'share':>7} {'objects':>9} {'share':>7}  classes absent"]
    for part in done.parts:
        pictures, objects = len(part) / len(done.whole), len(part.classes) / max(len(done.whole.classes), 1)
        present = part.presence().sum(axis=0)
        absent = [name for name, here, count in zip(part.names, present, whole, strict=True) if count and not here]
        lines.append(
            f"{part.name:<{width}} {len(part):9,d} {pictures:6.1%} {len(part.classes):9,d} {objects:6.1%}"
            f"  {printable(', '.join(absent)) or 'none'}"
        )
    return lines


def _convert(arguments: argparse.Namespace) -> int:
    from lucidbox.datasets import convert

    done = convert(
        arguments.data,
        arguments.out,
        arguments.to,
        images=arguments.images,
        placing=arguments.pictures,
        name=arguments.part,
        progress=bar(),
    )
    left_out = _say_left_out(done.reading, arguments)
    _say_losses(done, arguments.to)
    print(f"wrote {done.file}: {done.pictures:,d} pictures, {done.objects:,d} objects")
    return int(bool(left_out or done.missing))


def _say_losses(done: "Conversion", form: str) -> None:
    for path in done.missing:
        print(printable(f"lucidbox: error: {path}: no such picture; left out"), file=sys.stderr)
    if done.losses:
        print(f"not held by the form {form}:")
        for what, count in done.losses:
            print(f"{count:9,d}  {printable(what)}")


def _say_left_out(reading: "Reading", arguments: argparse.Namespace) -> int:
    """Say how many entries were unusable, and how to see them; returns their number."""
    from lucidbox.datasets import count_by_kind

    _say_notes(reading.notes)
    counts = count_by_kind(problem for problem in reading.problems if problem.left_out)
    if counts:
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        images = f" --images {arguments.images}" if arguments.images else ""
        remedy = f"lucidbox data check {arguments.data}{images}"
        print(printable(f"lucidbox: left out: {kinds}; see them with: {remedy}"), file=sys.stderr)
    return sum(counts.values())


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(printable(f"lucidbox: note: {note}"), file=sys.stderr)
