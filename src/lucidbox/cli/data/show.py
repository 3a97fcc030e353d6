"""``lucidbox data show``: a sheet of what the network will see in training. Needs no torch."""

import argparse
from collections.abc import Iterator
from dataclasses import fields
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say, tell
from lucidbox.cli.options import add_number, add_option, add_verb
from lucidbox.cli.train.data_and_recipe import (
    add_data_options,
    add_recipe_options,
    chosen_recipe,
    open_training_data,
)
from lucidbox.core.errors import OptionError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.datasets.training.data import TrainingData
    from lucidbox.train.recipe import Recipe
    from lucidbox.train.sampling_schedule import Prepared

DESCRIPTION = """\
Draw a sheet of training pictures as the network will see them, with their boxes: mosaic, affine map, colours and
flips, as the recipe says. They are the first ones of an epoch, in the order and with the changes that
lucidbox train gives them with the same data, recipe and seed; only multi_scale, which resizes whole batches, is
not shown. DATA is what lucidbox train takes: a data.yaml, a TOML with [train] and [val], a folder that holds one
of them, or hf:NAME."""

EXAMPLES = """\
examples:
  lucidbox data show data.yaml --save sheet.png
  lucidbox data show data.toml --classes person --size 320 --set mosaic=0 --save sheet.png
  lucidbox data show data.yaml --recipe recipe.toml --epoch 95 --count 32 --columns 8 --save late.png
  lucidbox data show data.yaml --part val --save val.png
"""

MOST = 400
"""Most pictures of a sheet: a larger one takes gigabytes of memory."""


def register(verbs: Any) -> None:
    """Add the sub-verb and its options."""
    summary = "a sheet of what the network will see in training"
    show = add_verb(verbs, "show", DESCRIPTION, EXAMPLES, run, summary=summary)
    show.add_argument("data", metavar="DATA", help="data set: data.yaml, TOML, folder, or hf:NAME")
    show.add_argument(
        "--save", metavar="FILE", required=True, type=Path, help="picture to write, such as sheet.png"
    )
    show.add_argument(
        "--part", choices=("train", "val"), default="train",
        help="train (default); val shows validation pictures, letterboxed and not changed",
    )  # fmt: skip
    add_data_options(show)
    add_recipe_options(show)
    add_option(show, "--seed", help="of order and changes (the recipe's)")
    add_number(show, "--epoch", "whose first pictures to show, from 1 (1)", 1)
    add_number(show, "--count", f"pictures, {MOST} at most (16)", 16)
    add_number(show, "--columns", "pictures in a row (4)", 4)


def run(arguments: argparse.Namespace) -> int:
    """Draw the sheet; 0."""
    from lucidbox.core.filesystem import check_writable
    from lucidbox.datasets.augment import contact_sheet
    from lucidbox.save.encode import save_image

    recipe = chosen_recipe(arguments, ("size", "seed"))
    _check(arguments, recipe)
    check_writable(arguments.save)
    data = open_training_data(arguments.data, arguments.classes, arguments.boxes)
    prepare = _unchanged if arguments.part == "val" else _trained_on
    shown = list(islice(prepare(data, recipe, arguments.epoch), arguments.count))
    for failure in chain.from_iterable(one.failures for one in shown):
        say(f"{failure}; another picture took its place")
    save_image(arguments.save, contact_sheet([one.sample for one in shown], data.names, arguments.columns))
    objects = sum(len(one.sample.classes) for one in shown)
    tell(printable(f"wrote {arguments.save}: {len(shown)} pictures, {objects} objects"))
    return 0


def _check(arguments: argparse.Namespace, recipe: "Recipe") -> None:
    """Refuse impossible numbers before a large data set is read."""
    if not 1 <= arguments.count <= MOST:
        raise OptionError(f"--count {arguments.count}: give a number from 1 to {MOST}")
    if arguments.columns < 1:
        raise OptionError(f"--columns {arguments.columns}: give at least 1")
    if not 1 <= arguments.epoch <= recipe.epochs:
        raise OptionError(
            f"--epoch {arguments.epoch}: the recipe has epochs 1 to {recipe.epochs}; see --set epochs=N"
        )


def _trained_on(data: "TrainingData", recipe: "Recipe", epoch: int) -> "Iterator[Prepared]":
    """Training pictures in their order, from the first of an epoch (from 1) on."""
    from lucidbox.datasets.augment import Augmentation, Augmenter
    from lucidbox.train.sampling_schedule import SamplingSchedule, prepare

    settings = Augmentation(**{field.name: getattr(recipe, field.name) for field in fields(Augmentation)})
    augmenter = Augmenter(data.samples(recipe.size), recipe.size, settings)
    mixed = max(0, recipe.epochs - recipe.close_mosaic)
    plan = SamplingSchedule(len(data.train), recipe.batch, recipe.epochs, mixed, recipe.seed)
    for place in chain.from_iterable(plan.places((epoch - 1) * plan.batches)):
        yield prepare(augmenter, place, plan.pictures, plan.seed)


def _unchanged(data: "TrainingData", recipe: "Recipe", epoch: int) -> "Iterator[Prepared]":
    """Validation pictures in their own order, as far as they can be read; every epoch sees the same."""
    from lucidbox.datasets.augment import Augmenter, plain
    from lucidbox.datasets.training import PictureSamples
    from lucidbox.train.sampling_schedule import SampleIndex, prepare

    samples = PictureSamples(data.val.keep_objects(~data.val.crowds), recipe.size, data.val_pictures)
    augmenter = Augmenter(samples, recipe.size, plain())
    for number in range(len(samples)):
        yield prepare(augmenter, SampleIndex(epoch - 1, number, number, mixing=False), len(samples), recipe.seed)
