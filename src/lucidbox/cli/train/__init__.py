"""``lucidbox train``: from a data set to weights that predict uses."""

import argparse
import shlex
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import tell, write_json
from lucidbox.cli.options import add_flag, add_number, add_option, add_verb
from lucidbox.cli.train.data_and_recipe import (
    add_data_options,
    add_recipe_options,
    chosen_keys,
    chosen_recipe,
    open_training_data,
    recipe_changes,
)
from lucidbox.core.errors import LucidboxError, OptionError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.train.callbacks import Outcome
    from lucidbox.train.checkpoint import Checkpoint
    from lucidbox.train.processes import Processes
    from lucidbox.train.trainer import Trainer

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

KEYS = ("epochs", "size", "batch", "workers")
"""Options that are keys of the recipe."""

NEW_ONLY = ("weights", "out", "recipe", "licence", "log")
"""Options that only a new training takes."""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "train", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("data", nargs="?", metavar="DATA", help="data set: data.yaml, TOML, folder, or hf:NAME")
    add_flag(parser, "--keys", "print every key of a recipe and its default")
    what = parser.add_argument_group("what is trained")
    what.add_argument("--model", metavar="NAME", help="yolo11n (default), s, m, l, x, or notebook")
    add_option(what, "--weights", help="start from these, .pt, .safetensors or .onnx; else random")
    add_data_options(what)
    what.add_argument("--licence", metavar="TEXT", help="of the weights that come out, kept in their files")
    how = parser.add_argument_group("how")
    add_recipe_options(how)
    add_number(how, "--epochs", "passes over the pictures")
    add_option(how, "--batch", help="pictures of a forward pass, over all processes")
    add_number(how, "--workers", "processes that prepare pictures")
    how.add_argument("--device", metavar="NAME", default="auto", help="auto (default), cpu, cuda, cuda:1")
    add_option(how, "--threads", help="processor threads of the network (all)")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--out", metavar="DIR", help="new folder for the results (runs/train, runs/train-2, …)")
    out.add_argument("--resume", metavar="DIR", help="go on with the training in this folder")
    logs = ("tensorboard", "mlflow")
    out.add_argument("--log", choices=logs, action="append", default=[], help="besides CSV; may be repeated")
    add_option(out, "--json", help="a JSON line per epoch and one at the end, on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Train; 0, or 130 where it was stopped and saved."""
    from lucidbox.train.recipe import Recipe

    if arguments.keys:
        tell(Recipe().to_toml().rstrip("\n"))
        return 0
    try:
        import torch
    except ImportError as error:
        raise OptionError("training needs torch; pip install 'lucidbox[train]'") from error
    from lucidbox.train.processes import join

    if arguments.threads is not None:
        if not 1 <= arguments.threads <= 1024:
            raise OptionError(f"--threads {arguments.threads}: give a number from 1 to 1024")
        torch.set_num_threads(arguments.threads)
    processes = join(arguments.device)
    try:
        outcome = _continued(arguments, processes).run() if arguments.resume else _new(arguments, processes)
    finally:
        processes.leave()
    if processes.leads:
        _print_outcome(outcome, arguments)
    from lucidbox.cli import INTERRUPTED

    return INTERRUPTED if outcome.ending == "interrupted" else 0


def _new(arguments: argparse.Namespace, processes: "Processes") -> "Outcome":
    """A training that starts from random or given weights."""
    from lucidbox.train.start import DEFAULT, not_used, random_start, start_from
    from lucidbox.train.trainer import Trainer

    if arguments.data is None:
        raise OptionError("name a data set: lucidbox train data.yaml, or go on with --resume DIR")
    recipe, keys = chosen_recipe(arguments, KEYS), chosen_keys(arguments, KEYS)
    data = open_training_data(arguments.data, arguments.classes, arguments.boxes, quiet=not processes.leads)
    if arguments.weights:
        start = start_from(
            Path(arguments.weights), data.names, recipe.seed, arguments.model, data=data, size=recipe.size
        )
    else:
        start = random_start(arguments.model or DEFAULT, data.names, recipe.seed)
    callbacks = _callbacks(arguments, processes)
    suited = start.suited(recipe, len(data.train), keys)
    for note in (*start.notes, *not_used(recipe, keys)):
        callbacks.say(note)
    remember = {"data": _place(arguments.data), "classes": arguments.classes, "boxes": arguments.boxes}
    folder = _folder(arguments.out, processes)
    try:
        return Trainer(
            data, start.network, suited, folder,
            processes=processes, callbacks=callbacks, logs=tuple(arguments.log),
            licence=arguments.licence or start.licence, provenance=start.provenance, remember=remember,
        ).run()  # fmt: skip
    except LucidboxError:
        if not arguments.out:
            with suppress(OSError):
                folder.rmdir()  # if nothing is in it yet
        raise


def _folder(out: str | None, processes: "Processes") -> Path:
    """The folder of the results: as named, or a new numbered one, the same for all processes."""
    import torch

    from lucidbox.core.filesystem import numbered_folder

    if out:
        return Path(out)
    base = Path("runs/train")
    mine = int(numbered_folder(base).name[len("train-") :] or 1) if processes.leads else 0
    number = int(processes.sum(torch.tensor([mine], device=processes.device))[0])
    return base if number == 1 else base.with_name(f"{base.name}-{number}")


def _place(data: str) -> str:
    """The data set's name, as an absolute path, which is valid from every folder."""
    return data if data.startswith("hf:") else str(Path(data).absolute())


def _continued(arguments: argparse.Namespace, processes: "Processes") -> "Trainer":
    """A trainer in the state that ``--resume`` names."""
    from lucidbox.model import build
    from lucidbox.train.checkpoint import load_checkpoint
    from lucidbox.train.results import CHECKPOINT
    from lucidbox.train.trainer import Trainer

    def read() -> "tuple[Path, Checkpoint]":
        folder = _begun(Path(arguments.resume), CHECKPOINT)
        return folder, load_checkpoint(folder / CHECKPOINT)

    folder, saved = processes.of_first(read)  # other machines need no copy, and cannot have another one
    _refuse_changes(arguments, saved, folder)
    changes = recipe_changes(arguments, KEYS)
    recipe = saved.recipe.changed({key: changes[key] for key in changes if key == "workers"})
    place = _place(arguments.data) if arguments.data else saved.notes.get("data")
    if place is None:
        raise OptionError(f"--resume {folder}: it was begun in Python; name the data set: train DATA --resume DIR")
    classes, boxes = arguments.classes or saved.notes.get("classes"), _boxes(arguments, saved)
    data = open_training_data(place, classes, boxes, quiet=not processes.leads)
    network = build(saved.identity.architecture, len(data.names), **saved.identity.options)
    trainer = Trainer(
        data, network, recipe, folder,
        processes=processes, callbacks=_callbacks(arguments, processes), logs=tuple(saved.notes["logs"]),
        licence=saved.notes["licence"], provenance=saved.notes["provenance"],
        remember={"data": place, "classes": classes, "boxes": boxes},
    )  # fmt: skip
    trainer.restore(saved)
    return trainer


def _begun(named: Path, checkpoint: str) -> Path:
    """The folder of the training that ``--resume`` names, which may name a file in it.

    Raises:
        OptionError: there is no checkpoint.
    """
    folder = named if named.is_dir() else named.parent
    if (folder / checkpoint).is_file():
        return folder
    if named.is_file():
        raise OptionError(f"--resume {named}: no {checkpoint} beside it; train anew: train DATA --weights {named}")
    remedy = f"begin anew: train DATA --out {named}" if named.is_dir() else "name the folder of a training"
    raise OptionError(f"--resume: there is no {named / checkpoint}; {remedy}")


def _boxes(arguments: argparse.Namespace, saved: "Checkpoint") -> str:
    """The format of the boxes that the training began with.

    Raises:
        OptionError: another one is asked for.
    """
    before: str = saved.notes.get("boxes") or arguments.boxes
    if arguments.boxes not in ("auto", before):
        raise OptionError(f"--boxes {arguments.boxes}: the training in {arguments.resume} has {before}")
    return before


def _refuse_changes(arguments: argparse.Namespace, saved: "Checkpoint", folder: Path) -> None:
    """Refuse to change a resumed training; only the number of workers and the device may differ.

    Raises:
        OptionError: a change is asked for; names it.
    """
    from lucidbox.train.results import LAST

    if arguments.model and arguments.model != saved.identity.architecture:
        raise OptionError(
            f"--model {arguments.model}: the training in {arguments.resume} is of {saved.identity.architecture}"
        )
    for key in NEW_ONLY:
        if getattr(arguments, key):
            raise OptionError(f"--{key} cannot be given with --resume: the training goes on as it began")
    before, wanted = (
        recipe.to_dict() for recipe in (saved.recipe, saved.recipe.changed(recipe_changes(arguments, KEYS)))
    )
    for key, value in wanted.items():
        if key != "workers" and value != before[key]:
            raise OptionError(
                f"{key}={value}: the training in {arguments.resume} has {before[key]}, and goes on as it"
                f" began; for another recipe train anew with --weights {folder / LAST}"
            )


def _callbacks(arguments: argparse.Namespace, processes: "Processes") -> Any:
    from lucidbox.cli.train.callbacks import ConsoleCallbacks

    return ConsoleCallbacks(json_lines=arguments.json, quiet=not processes.leads)


def _print_outcome(outcome: "Outcome", arguments: argparse.Namespace) -> None:
    resume = f"lucidbox train --resume {shlex.quote(str(outcome.folder))}"
    endings = {
        "done": "done",
        "patience": "stopped: no better for as many epochs as patience says",
        "interrupted": f"stopped and saved; go on with: {resume}",
    }
    if arguments.json:
        write_json({**asdict(outcome), "folder": str(outcome.folder)})
        return
    best = (
        f"best AP {outcome.best_ap:.4f} in epoch {outcome.best_epoch}" if outcome.best_epoch else "never validated"
    )
    minutes = f"{outcome.seconds / 60:.1f} minutes"
    tell(printable(f"{endings[outcome.ending]}; {outcome.epochs} epochs in {minutes}, {best}"))
    if outcome.best_epoch and outcome.ending != "interrupted":
        weights = shlex.quote(str(outcome.folder / "best.onnx"))
        tell(printable(f"use it: lucidbox predict PICTURE --weights {weights}"))
