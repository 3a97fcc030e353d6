"""The parser that every verb starts from, and the options that several verbs share, each declared once."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.detector import Detector

Run = Callable[[argparse.Namespace], int]

OPTIONS: dict[str, dict[str, Any]] = {
    # which model, and how it runs
    "--weights": {
        "metavar": "FILE",
        "help": "weights, or a detector exported by lucidbox or another tool (default: the model that comes with"
        " lucidbox)",
    },
    "--layout": {
        "metavar": "KIND",
        "help": "what another tool's model is, where its file does not say: yolo, yolo-objectness, yolox,"
        " end-to-end, detr-logits, detr-boxes",
    },
    "--names": {"metavar": "FILE", "help": "class names of another tool's model: text with one a line, or JSON"},
    "--size": {
        "metavar": "N|H,W",
        "help": "longer side of the network's input, a multiple of 32 (default: the model's)",
    },
    "--engine": {"default": "auto", "help": "auto (default), openvino, onnxruntime or torch"},
    "--precision": {
        "default": "auto",
        "help": "auto (default), fp32, bf16, fp16 or int8, where the engine has it",
    },
    "--threads": {"type": int, "metavar": "N", "help": "most processor threads (default: the engine's choice)"},
    "--batch": {"type": int, "metavar": "N", "help": "most pictures in one inference (default: 1)"},
    # which boxes count as detections
    "--conf": {
        "type": float,
        "metavar": "P",
        "help": "a score must be greater than this (default: the model's, mostly 0.25)",
    },
    "--iou": {"type": float, "metavar": "P", "help": "overlap above which a box is dropped (default: 0.7)"},
    "--max-det": {"type": int, "metavar": "N", "help": "most boxes of a picture (default: 300)"},
    "--classes": {"metavar": "A,B", "help": "only these classes: names or ids, comma between"},
    # small objects in large pictures
    "--tiles": {
        "metavar": "N|H,W|auto",
        "help": "also look at overlapping tiles of so many pixels, for objects that are small in the picture;"
        " auto: of the network's size, where the picture is much larger",
    },
    "--tile-overlap": {
        "type": float,
        "metavar": "P",
        "help": "share of a tile that the next one has, too (default: 0.2)",
    },
    # data sets and results
    "--annotations": {
        "metavar": "FILE|DIR",
        "help": "COCO annotation file, data.yaml, data.toml, or a folder that holds one of them",
    },
    "--images": {"metavar": "DIR", "help": "folder of the annotated pictures"},
    "--part": {"metavar": "NAME", "help": "which part of a data set, where it has several"},
    "--seed": {"type": int, "metavar": "N", "help": "of the random numbers"},
    "--json": {"action": "store_true", "help": "print one JSON object instead"},
}


TILES = ("--tiles", "--tile-overlap")
"""Options of verbs that detect in tiles, too; :func:`tiles_of` reads them."""


def add_options(group: Any, *names: str) -> None:
    """Add shared options to a parser or a group of it."""
    for name in names:
        add_option(group, name)


def add_option(group: Any, name: str, **changes: Any) -> None:
    """Add one shared option, with what differs in this verb, such as its help or default."""
    group.add_argument(name, **{**OPTIONS[name], **changes})


def add_flag(group: Any, name: str, text: str) -> None:
    """Add an option without a value."""
    group.add_argument(name, action="store_true", help=text)


def add_number(group: Any, name: str, text: str, default: int | None = None) -> None:
    """Add an option that takes a whole number."""
    group.add_argument(name, type=int, default=default, metavar="N", help=text)


def add_verb(
    verbs: Any, name: str, description: str, epilog: str, run: Run | None = None, *, summary: str | None = None
) -> argparse.ArgumentParser:
    """A parser for a verb; texts are shown as they are written.

    Args:
        verbs: the subparsers to add it to.
        name: of the verb.
        description: shown before the options.
        epilog: shown after them, such as examples.
        run: what is called with the arguments; returns the exit code. None for a verb that has verbs itself.
        summary: the verb's line in the list of verbs.
    """
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if run:
        parser.set_defaults(run=run)
    return parser


def load_detector(arguments: argparse.Namespace, **settings: Any) -> "Detector":
    """The detector of ``--weights``, ``--layout``, ``--names``, ``--engine``, ``--precision`` and ``--size``."""
    from lucidbox.detector import Detector

    chosen = {name: getattr(arguments, name) for name in ("weights", "layout", "engine", "precision", "size")}
    if arguments.names is not None:
        from lucidbox.weights import read_names

        chosen["names"] = read_names(arguments.names)
    return Detector.load(**chosen | settings, say=say)


def tiles_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """:data:`TILES` as :meth:`lucidbox.Detector.stream` takes them, checked before a model is loaded.

    Raises:
        OptionError: one is malformed or out of range.
    """
    given = {"tiles": arguments.tiles, "tile_overlap": arguments.tile_overlap}
    if any(value is not None for value in given.values()):
        from lucidbox.detect.tiles import tiling_of

        tiling_of(**given)
    return given


def comma_separated(option: str, text: str, kind: Callable[[str], Any]) -> tuple[Any, ...]:
    """The values of an option such as ``--batch 1,4``.

    Raises:
        OptionError: one of them is not of this kind; names the option.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{option} {text}: expected numbers with commas between") from None
