"""``lucidbox train``: from a data set to weights that predict uses."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucidbox.samples.dataset import TrainingData
    from lucidbox.train.checkpoint import Checkpoint
    from lucidbox.train.processes import Processes
    from lucidbox.train.recipe import Recipe
    from lucidbox.train.trainer import Outcome, Trainer

DESCRIPTION = """\
Train a detector, and leave a folder with best.safetensors, best.onnx (for predict), last.safetensors, the recipe,
metrics.csv and losses.csv, curves and a sheet of validation pictures, and a checkpoint to go on from.

DATA is a YOLO data.yaml, a TOML with [train] and [val], each annotations = "instances.json" and images = "folder",
a folder that holds one of them, or hf:NAME. Ctrl-C and SIGTERM save and stop; --resume DIR goes on from there as
if nothing had been. The recipe is a TOML file of key = value; --set changes single keys; lucidbox train --keys
lists them all."""

EXAMPLES = """\
examples:
  lucidbox train data.yaml
  lucidbox train data.toml --model yolo11s --epochs 50 --size 416 --batch 32 --out runs/small
  lucidbox train data.yaml --weights yolo11n.pt --classes person,car --set mosaic=0.5 --set freeze=backbone
  lucidbox train --resume runs/small
  torchrun --nproc-per-node 2 -m lucidbox train data.yaml --batch 64
exit codes: 0 done; 2 wrong usage, bad input, or a loss that is no number; 130 stopped and saved
"""

SHOWN_PROBLEMS = 10
INTERRUPTED = 130


def register(subparsers: Any) -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on pictures of yours",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="data set: data.yaml, TOML, folder, or hf:NAME")
    parser.add_argument("--keys", action="store_true", help="print every key of a recipe and its default")
    what = parser.add_argument_group("what is trained")
    what.add_argument("--model", metavar="NAME", help="yolo11n (default), s, m, l, x, or notebook")
    what.add_argument(
        "--weights", metavar="FILE", help="start from these, .pt, .safetensors or .onnx; else random"
    )
    what.add_argument("--classes", metavar="A,B", help="learn only these, by name or id")
    what.add_argument(
        "--boxes", metavar="FORM", default="auto", help="of hf: data sets: xywh, xyxy, cxcywh (auto)"
    )
    what.add_argument("--licence", metavar="TEXT", help="of the weights that come out, kept in their files")
    how = parser.add_argument_group("how")
    how.add_argument("--recipe", metavar="FILE", help="TOML of recipe keys")
    how.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; may be repeated"
    )
    how.add_argument("--epochs", type=int, metavar="N")
    how.add_argument("--size", type=int, metavar="N", help="side of the network's input, a multiple of 32")
    how.add_argument("--batch", type=int, metavar="N", help="pictures of a forward pass, over all processes")
    how.add_argument("--workers", type=int, metavar="N", help="processes that prepare pictures")
    how.add_argument("--device", metavar="NAME", default="auto", help="auto (default), cpu, cuda, cuda:1")
    how.add_argument("--threads", type=int, metavar="N", help="processor threads of the network (all)")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--out", metavar="DIR", help="new folder for the results (runs/train, runs/train-2, …)")
    out.add_argument("--resume", metavar="DIR", help="go on with the training in this folder")
    out.add_argument("--log", metavar="NAME", action="append", default=[], help="besides CSV: tensorboard, mlflow")
    out.add_argument(
        "--json", action="store_true", help="a JSON line per epoch and one at the end, on standard output"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; 0, or 130 where it was stopped and saved."""
    from lucidbox.errors import OptionError

    try:
        import torch
    except ImportError as error:
        raise OptionError("training needs torch; pip install 'lucidbox[train]'") from error
    from lucidbox.train.processes import join
    from lucidbox.train.recipe import Recipe

    if arguments.keys:
        print(Recipe().to_toml(), end="")
        return 0
    if arguments.threads is not None:
        if not 1 <= arguments.threads <= 1024:
            raise OptionError(f"--threads {arguments.threads}: give a number from 1 to 1024")
        torch.set_num_threads(arguments.threads)
    processes = join(arguments.device)
    try:
        trainer = _continued(arguments, processes) if arguments.resume else _new(arguments, processes)
        outcome = trainer.run()
    finally:
        processes.leave()
    if processes.leads:
        _tell(outcome, arguments)
    return INTERRUPTED if outcome.ending == "interrupted" else 0


def _new(arguments: argparse.Namespace, processes: "Processes") -> "Trainer":
    from lucidbox.errors import OptionError
    from lucidbox.files import numbered_folder
    from lucidbox.train.start import DEFAULT, random_start, start_from
    from lucidbox.train.trainer import Trainer

    if arguments.data is None:
        raise OptionError("name a data set: lucidbox train data.yaml, or go on with --resume DIR")
    recipe = _recipe(arguments)
    data = _open(arguments.data, arguments.classes, arguments.boxes, processes)
    if arguments.weights:
        start = start_from(Path(arguments.weights), data.names, recipe.seed, arguments.model)
    else:
        start = random_start(arguments.model or DEFAULT, data.names, recipe.seed)
    watcher = _watcher(arguments, processes)
    for note in start.notes if processes.leads else ():
        watcher.say(note)
    folder = Path(arguments.out) if arguments.out else Path("runs/train")
    if not arguments.out and processes.leads:
        folder = numbered_folder(folder)
    remember = {
        "data": str(Path(arguments.data).absolute()),
        "classes": arguments.classes,
        "boxes": arguments.boxes,
    }
    if arguments.data.startswith("hf:"):
        remember["data"] = arguments.data
    return Trainer(
        data, start.network, recipe, folder,
        processes=processes, watcher=watcher, logs=tuple(arguments.log),
        licence=arguments.licence or start.licence, provenance=start.provenance, remember=remember,
    )  # fmt: skip


def _continued(arguments: argparse.Namespace, processes: "Processes") -> "Trainer":
    from lucidbox.model import build
    from lucidbox.train.checkpoint import load
    from lucidbox.train.results import CHECKPOINT
    from lucidbox.train.trainer import Trainer

    folder = Path(arguments.resume)
    kept = load(folder / CHECKPOINT)
    _refuse_changes(arguments, kept)
    notes = kept.notes
    recipe = kept.recipe if arguments.workers is None else kept.recipe.changed({"workers": arguments.workers})
    classes = arguments.classes or notes["classes"]
    data = _open(arguments.data or notes["data"], classes, notes["boxes"], processes)
    network = build(kept.identity.architecture, len(kept.identity.names), **kept.identity.options)
    trainer = Trainer(
        data, network, recipe, folder,
        processes=processes, watcher=_watcher(arguments, processes), logs=tuple(notes["logs"]),
        licence=notes["licence"], provenance=notes["provenance"],
        remember={key: notes[key] for key in ("data", "classes", "boxes")},
    )  # fmt: skip
    trainer.restore(kept)
    return trainer


def _refuse_changes(arguments: argparse.Namespace, kept: "Checkpoint") -> None:
    """What a resumed training must not change; the number of workers and the device may be others.

    Raises:
        OptionError: something of it is asked for; names the difference.
    """
    from lucidbox.errors import OptionError

    if arguments.model and arguments.model != kept.identity.architecture:
        raise OptionError(
            f"--model {arguments.model}: the training in {arguments.resume} is of {kept.identity.architecture}"
        )
    wanted, kept_values = _changes(arguments), kept.recipe.to_dict()
    for key in ("weights", "out", "recipe"):
        if getattr(arguments, key):
            raise OptionError(f"--{key} cannot be given with --resume: the training goes on as it began")
    for key, value in wanted.items():
        if key != "workers" and value != kept_values.get(key):
            raise OptionError(
                f"{key}={value}: the training in {arguments.resume} has {kept_values.get(key)}, and goes on as it"
                f" began; for another recipe train anew with --weights {arguments.resume}/last.safetensors"
            )


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    from lucidbox.train.recipe import parse_setting

    changes = dict(parse_setting(text) for text in arguments.set)
    named = {key: getattr(arguments, key) for key in ("epochs", "size", "batch", "workers")}
    return changes | {key: value for key, value in named.items() if value is not None}


def _recipe(arguments: argparse.Namespace) -> "Recipe":
    from lucidbox.train.recipe import Recipe, read_recipe

    recipe = read_recipe(arguments.recipe) if arguments.recipe else Recipe()
    return recipe.changed(_changes(arguments))


def _open(path: str, classes: str | None, boxes: str, processes: "Processes") -> "TrainingData":
    """The data set; what is wrong with it is told, a few lines of it and all counts."""
    from lucidbox.data import count_by_kind
    from lucidbox.samples.dataset import open_data
    from lucidbox.scripts import printable

    wanted = classes.split(",") if classes else None
    data = open_data(path, classes=wanted, boxes=boxes)
    if processes.leads:
        for problem in data.problems[:SHOWN_PROBLEMS]:
            print(printable(f"lucidbox: {problem}"), file=sys.stderr)
        if data.problems:
            counts = ", ".join(f"{count} × {kind}" for kind, count in count_by_kind(data.problems).items())
            print(
                f"lucidbox: {len(data.problems)} problems: {counts}; list all with: lucidbox data check",
                file=sys.stderr,
            )
        for note in data.notes:
            print(printable(f"lucidbox: note: {note}"), file=sys.stderr)
    return data


def _watcher(arguments: argparse.Namespace, processes: "Processes") -> Any:
    from lucidbox.cli.training import Screen

    return Screen(json_lines=arguments.json, quiet=not processes.leads)


def _tell(outcome: "Outcome", arguments: argparse.Namespace) -> None:
    endings = {
        "done": "done",
        "patience": "stopped: no better for as many epochs as patience says",
        "interrupted": f"stopped and saved; go on with: lucidbox train --resume {outcome.folder}",
    }
    if arguments.json:
        print(json.dumps({**asdict(outcome), "folder": str(outcome.folder)}))
        return
    best = (
        f"best AP {outcome.best_ap:.4f} in epoch {outcome.best_epoch}" if outcome.best_epoch else "never validated"
    )
    print(f"{endings[outcome.ending]}; {outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes, {best}")
    if outcome.best_epoch:
        print(f"use it: lucidbox predict PICTURE --weights {outcome.folder / 'best.onnx'}")
