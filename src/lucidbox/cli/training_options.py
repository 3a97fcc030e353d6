"""Options that ``train`` and ``data show`` have in common: which data, which recipe. No torch."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucidbox.datasets.training.data import TrainingData
    from lucidbox.train.recipe import Recipe

SHOWN_PROBLEMS = 10


def add_data_options(group: Any) -> None:
    """Which classes to learn, and the form of boxes."""
    group.add_argument("--classes", metavar="A,B", help="learn only these, by name or id")
    group.add_argument(
        "--boxes", metavar="FORM", default="auto", help="of hf: data sets: xywh, xyxy, cxcywh (auto)"
    )


def add_recipe_options(group: Any) -> None:
    """A file, single keys, and the key that all pictures depend on."""
    group.add_argument("--recipe", metavar="FILE", help="TOML of recipe keys")
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; may be repeated"
    )
    group.add_argument("--size", type=int, metavar="N", help="side of the network's input, a multiple of 32")


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


def open_told(path: str, classes: str | None, boxes: str, *, tell: bool = True) -> "TrainingData":
    """The data set; what is wrong with it is told on standard error, a few lines of it and all counts.

    Raises:
        LucidboxError: see :func:`lucidbox.datasets.training.open_data`.
    """
    from lucidbox.core.text import printable
    from lucidbox.datasets import count_by_kind
    from lucidbox.datasets.training import open_data

    data = open_data(path, classes=classes.split(",") if classes else None, boxes=boxes)
    if not tell:
        return data
    lines = [str(problem) for problem in data.problems[:SHOWN_PROBLEMS]]
    if data.problems:
        counts = ", ".join(f"{count} × {kind}" for kind, count in count_by_kind(data.problems).items())
        remedy = "" if path.startswith("hf:") else f"; list all with: lucidbox data check {path}"
        lines.append(f"problems: {counts}{remedy}")
    lines += [f"note: {note}" for note in data.notes]
    for line in lines:
        print(printable(f"lucidbox: {line}"), file=sys.stderr)
    return data
