"""What ``train`` and ``data show`` share: the options for data and recipe, and opening both. Needs no torch."""

import argparse
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say, say_note
from lucidbox.cli.options import add_option

if TYPE_CHECKING:
    from lucidbox.datasets.training.data import TrainingData
    from lucidbox.train.recipe import Recipe

SHOWN_PROBLEMS = 10
"""Problems of a data set that are listed one by one; the others are only counted."""


def add_data_options(group: Any) -> None:
    """Which classes to learn, and the format of the boxes."""
    add_option(group, "--classes", help="learn only these, by name or id")
    group.add_argument(
        "--boxes", metavar="FORMAT", default="auto", help="of hf: data sets: xywh, xyxy, cxcywh (auto)"
    )


def add_recipe_options(group: Any) -> None:
    """A recipe file, single keys, and the input size."""
    group.add_argument("--recipe", metavar="FILE", help="TOML of recipe keys")
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; may be repeated"
    )
    add_option(group, "--size", type=int, metavar="N", help="side of the network's input, a multiple of 32")


def recipe_changes(arguments: argparse.Namespace, options: tuple[str, ...]) -> dict[str, Any]:
    """Recipe keys named by ``--set``, and by those options that are keys; options win.

    Raises:
        OptionError: a setting is not ``key=value``.
    """
    from lucidbox.train.recipe import parse_setting

    changes = dict(parse_setting(text) for text in arguments.set)
    named = {key: getattr(arguments, key) for key in options}
    return changes | {key: value for key, value in named.items() if value is not None}


def chosen_recipe(arguments: argparse.Namespace, options: tuple[str, ...]) -> "Recipe":
    """The recipe of ``--recipe``, or the default one, with the changes of :func:`recipe_changes`.

    Raises:
        OptionError: the file cannot be read, or a key or value is refused.
    """
    from lucidbox.train.recipe import Recipe, read_recipe

    recipe = read_recipe(arguments.recipe) if arguments.recipe else Recipe()
    return recipe.changed(recipe_changes(arguments, options))


def chosen_keys(arguments: argparse.Namespace, options: tuple[str, ...]) -> frozenset[str]:
    """The recipe's keys that the user has set, to whatever value, by options or in a recipe file."""
    document = tomllib.loads(Path(arguments.recipe).read_text(encoding="utf-8")) if arguments.recipe else {}
    return frozenset((*document, *recipe_changes(arguments, options)))


def open_training_data(path: str, classes: str | None, boxes: str, *, quiet: bool = False) -> "TrainingData":
    """Open the data set; unless ``quiet``, say what is wrong with it: the first problems, and all of them counted.

    Raises:
        LucidboxError: see :func:`lucidbox.datasets.training.open_data`.
    """
    from lucidbox.datasets import count_by_kind
    from lucidbox.datasets.training import open_data

    data = open_data(path, classes=classes or None, boxes=boxes)
    if quiet:
        return data
    for problem in data.problems[:SHOWN_PROBLEMS]:
        say(str(problem))
    if data.problems:
        counts = ", ".join(f"{count} × {kind}" for kind, count in count_by_kind(data.problems).items())
        remedy = "" if path.startswith("hf:") else f"; list all with: lucidbox data check {path}"
        say(f"problems: {counts}{remedy}")
    for note in data.notes:
        say_note(note)
    return data
