"""``lucidbox data``: check, count, split, convert and show data sets."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import progress, say, say_error, say_note, tell, write_json
from lucidbox.cli.data.report import counts_text, split_table, statistics_text
from lucidbox.cli.options import Run, add_flag, add_number, add_option, add_options, add_verb
from lucidbox.core.errors import OptionError
from lucidbox.core.storage import is_address
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.datasets import DataSet, Problem, Reading

_FORMATS = """\
data sets (DATA):
  a COCO JSON (its pictures are looked for beside it, or named by --images), a YOLO data.yaml (or classes.txt,
  obj.data), a TOML with [train] and [val], each annotations = "instances.json" and images = "folder"; or a folder
  with one of these
"""

EXAMPLES = """\
examples:
  lucidbox data check instances_val2017.json --images val2017
  lucidbox data stats yolo/data.yaml
  lucidbox data split instances.json parts --parts train=0.8,val=0.2 --seed 1
  lucidbox data convert coco/ yolo --to yolo
  lucidbox data show data.toml --save sheet.png

exit codes:
  0 done; 1 check found problems, convert left something out, or a file that is named is missing; 2 wrong usage or
  bad input
"""


def register(verbs: Any) -> None:
    """Add the verb and its sub-verbs."""
    from lucidbox.cli.data import show

    description = "Work on data sets of pictures with boxes. What is there is never changed."
    parser = add_verb(verbs, "data", description, f"{_FORMATS}\n{EXAMPLES}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _register_check(verbs)
    _register_stats(verbs)
    _register_split(verbs)
    _register_convert(verbs)
    show.register(verbs)


def _add_verb(verbs: Any, name: str, summary: str, description: str, examples: str, run: Run) -> Any:
    """A sub-verb with the arguments that all have: DATA and --images."""
    parser = add_verb(verbs, name, description, f"{_FORMATS}\nexamples:\n{examples}", run, summary=summary)
    parser.add_argument("data", metavar="DATA", type=_path_or_address, help="the data set; see below")
    add_option(parser, "--images", type=Path, help="folder of the pictures of a COCO JSON")
    return parser


def _path_or_address(text: str) -> Path | str:
    """A path; addresses stay as they are, since paths have no double slash."""
    return text if is_address(text) else Path(text)


def _register_check(verbs: Any) -> None:
    check = _add_verb(
        verbs,
        "check",
        "list every problem; change nothing",
        "List every problem of annotations and pictures, one a line: place, field, what is wrong.\n"
        "Of many of one kind the first 10 are printed, and the others counted. Exit code 1 if there are any.",
        "  lucidbox data check instances.json --images photos\n"
        "  lucidbox data check yolo/ --limit 20\n"
        "  lucidbox data check data.yaml --json > report.json\n",
        _check,
    )
    add_flag(check, "--quick", "read only the first bytes of pictures: damage stays unseen")
    add_number(check, "--limit", "print the first N problems, of whatever kind; all are counted")
    add_options(check, "--json")


def _register_stats(verbs: Any) -> None:
    stats = _add_verb(
        verbs,
        "stats",
        "pictures, objects, classes, sizes",
        "Count and measure: pictures, objects, crowds, sizes, aspect ratios, classes, and which occur together.",
        "  lucidbox data stats instances.json\n  lucidbox data stats yolo/ --json\n",
        _stats,
    )
    add_options(stats, "--json")


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
    add_option(split, "--part", help="which part to split, where DATA has several")
    add_option(split, "--seed", default=0, help="another one gives another split (0)")
    add_options(split, "--json")


def _register_convert(verbs: Any) -> None:
    convert = _add_verb(
        verbs,
        "convert",
        "COCO JSON to YOLO text and back",
        "Write a data set in the other format, read it back and compare. What the format cannot hold (crowds,\n"
        "areas of masks) is counted. DATA may also be what lucidbox batch found: a Parquet file or a folder of\n"
        "them, by path or address.",
        "  lucidbox data convert instances.json yolo --images photos --to yolo\n"
        "  lucidbox data convert yolo/data.yaml coco --to coco\n"
        "  lucidbox data convert found labelled --to coco                # results of lucidbox batch\n",
        _convert,
    )
    convert.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    convert.add_argument("--to", required=True, choices=("coco", "yolo"), help="the format to write")
    convert.add_argument(
        "--pictures", choices=("link", "copy"), default="link", help="how pictures get into a YOLO folder (link)"
    )
    add_option(convert, "--part", help="name of the part that a single COCO JSON becomes (train)")
    add_options(convert, "--json")


def _check(arguments: argparse.Namespace) -> int:
    """Print every problem; 1 if there are any."""
    from lucidbox.datasets import check, count_by_kind, shown

    if arguments.limit is not None and arguments.limit < 0:
        raise OptionError(f"--limit {arguments.limit}: must be 0 or more")
    report = check(arguments.data, arguments.images, decode=not arguments.quick, progress=progress())
    listed = report.problems[: arguments.limit]
    if arguments.json:
        document = {
            "data": str(arguments.data),
            "parts": [dict(zip(("name", "pictures", "objects"), part, strict=True)) for part in report.parts],
            "counts": report.counts,
            "left_out": count_by_kind(problem for problem in report.problems if problem.left_out),
            "problems": [asdict(problem) for problem in listed],
            "notes": report.notes,
        }
        write_json(document)
        return int(bool(report.problems))
    for line in shown(report.problems) if arguments.limit is None else map(str, listed):
        tell(printable(line))
    if len(listed) < len(report.problems):
        tell(f"… and {len(report.problems) - len(listed)} more")
    for note in report.notes:
        say_note(note)
    for name, pictures, objects in report.parts:
        tell(f"{name}: {pictures} pictures, {objects} usable objects")
    total = len(report.problems)
    tell(f"{total or 'no'} problem{'' if total == 1 else 's'}")
    if report.counts:
        tell(counts_text((count, kind) for kind, count in report.counts.items()))
    return int(bool(report.problems))


def _stats(arguments: argparse.Namespace) -> int:
    """Print what is in each part."""
    from lucidbox.datasets import read_dataset, statistics

    reading = read_dataset(arguments.data, arguments.images, progress())
    counted = [statistics(part) for part in reading.parts]
    _say_left_out(reading, arguments)
    document = _document(reading, arguments) | {"parts": [asdict(part) for part in counted]}
    if arguments.json:
        write_json(document)
    else:
        tell("\n\n".join(statistics_text(part) for part in counted))
    return int(_lacks_files(reading))


def _split(arguments: argparse.Namespace) -> int:
    """Write the parts, and print what is in each."""
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
    if left_out and done.reading.format == "yolo":
        say_note("label files stay as they are, unusable lines included")
    if arguments.json:
        write_json(_document(done.reading, arguments, done.file, done.parts))
    else:
        tell(split_table(done))
        tell(printable(f"wrote {done.file}"))
    return int(_lacks_files(done.reading))


def _convert(arguments: argparse.Namespace) -> int:
    """Write the data set in the other format; 1 if something was left out."""
    from lucidbox.datasets import convert, shown

    done = convert(
        arguments.data,
        arguments.out,
        arguments.to,
        images=arguments.images,
        placing=arguments.pictures,
        name=arguments.part,
        progress=progress(),
    )
    left_out = _say_left_out(done.reading, arguments)
    for line in shown(done.problems):
        say_error(line)
    if arguments.json:
        document = _document(done.reading, arguments, done.file, done.parts, done.problems)
        write_json(document | {"losses": dict(done.losses)})
        return int(bool(left_out or done.problems))
    if done.losses:
        tell(f"not held by the format {arguments.to}:")
        tell(counts_text((count, what) for what, count in done.losses))
    tell(printable(f"wrote {done.file}: {done.pictures:,d} pictures, {done.objects:,d} objects"))
    return int(bool(left_out or done.problems))


def _document(
    reading: "Reading",
    arguments: argparse.Namespace,
    file: Path | None = None,
    parts: "Sequence[DataSet]" = (),
    problems: "Sequence[Problem]" = (),
) -> dict[str, Any]:
    """What was read and written, what was left out and why, for ``--json``."""
    from lucidbox.datasets import count_by_kind

    def counts(parts: "Sequence[DataSet]") -> list[dict[str, Any]]:
        return [{"name": part.name, "pictures": len(part), "objects": len(part.classes)} for part in parts]

    left_out = [problem for problem in (*reading.problems, *problems) if problem.left_out]
    written = {} if file is None else {"read": counts(reading.parts), "file": str(file), "parts": counts(parts)}
    return {
        "data": str(arguments.data),
        **written,
        "left_out": count_by_kind(left_out),
        "problems": [asdict(problem) for problem in (*reading.problems, *problems)],
        "notes": reading.notes,
    }


def _lacks_files(reading: "Reading") -> bool:
    """Whether a folder, list or file that the data set names is not there."""
    from lucidbox.datasets import MISSING

    return any(problem.left_out and problem.kind in MISSING for problem in reading.problems)


def _say_left_out(reading: "Reading", arguments: argparse.Namespace) -> int:
    """Say how many entries are unusable, and how to list them; returns their number."""
    from lucidbox.datasets import count_by_kind

    for note in reading.notes:
        say_note(note)
    counts = count_by_kind(problem for problem in reading.problems if problem.left_out)
    if counts:
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        images = f" --images {arguments.images}" if arguments.images else ""
        verb = "batch --summary" if reading.format == "detections" else "data check"
        say(f"left out: {kinds}; see them with: lucidbox {verb} {arguments.data}{images}")
    return sum(counts.values())
