"""A description of a model's layout in a TOML file beside it, which decides instead of recognition."""

import json
import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.layouts.layout import (
    LAYOUTS,
    Activation,
    Anchor,
    Layout,
    NumberType,
    Pixels,
    Placement,
    Rounding,
)

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": tuple(LAYOUTS),
    "anchor": get_args(Anchor),
    "rounding": get_args(Rounding),
    "activation": get_args(Activation),
    "type": get_args(NumberType),
}
"""Entries that take one of some words."""


def sidecar_of(model: Path) -> Path:
    """Where the description of a model lies: beside it, with its name and the ending ``.toml``."""
    return model.with_suffix(".toml")


def read_sidecar(path: Path) -> tuple[Layout, tuple[str, ...]]:
    """Layout and class names from a description.

    Raises:
        WeightsError: it cannot be read, or an entry is unknown, missing or of the wrong type; names the entry.
    """
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: not a TOML file: {error}") from error
    names = stated.pop("names", None)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise WeightsError(f"{path}: names must be a list of class names, in the order of the class ids")
    pixels = _value(path, Pixels, stated.pop("pixels", {}))
    placement = _value(path, Placement, stated.pop("placement", {}))
    layout = _value(path, Layout, stated | {"pixels": pixels, "placement": placement})
    if not layout.outputs:
        raise WeightsError(f"{path}: outputs must name the outputs that are read")
    return layout, tuple(names)


def sidecar_text(layout: Layout, names: tuple[str, ...], reasons: tuple[str, ...], model: Path) -> str:
    """A description to edit: every entry, with what it may be."""
    stated = {name: value for name, value in asdict(layout).items() if name not in ("pixels", "placement")}
    lines = [
        f"# How lucidbox runs {model.name}. This file lies beside it; what it says is not recognised anew.",
        *(f"# Recognised: {reason}" for reason in reasons),
        *_entries(stated),
        "names = [",
        *(f"  {json.dumps(name, ensure_ascii=False)}," for name in names),
        "]",
        "",
        "[pixels]  # a number of the input is (value * scale - mean) / deviation",
        *_entries(asdict(layout.pixels)),
        "",
        "[placement]",
        *_entries(asdict(layout.placement)),
    ]
    return "\n".join(lines) + "\n"


def _entries(stated: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in stated.items():
        choices = f"  # {', '.join(CHOICES[name])}" if name in CHOICES else ""
        if value is None:
            lines.append(f"# {name} = (not given)")
        else:
            # The JSON of texts, numbers, truths and lists of them is TOML, too.
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}{choices}")
    return lines


def _value(path: Path, kind: type, stated: Any) -> Any:
    """A frozen value from its entries, each checked."""
    known = {field.name: field for field in fields(kind)}
    if not isinstance(stated, dict):
        raise WeightsError(f"{path}: {kind.__name__.lower()} must be a table")
    for name, value in stated.items():
        if name not in known:
            raise WeightsError(f"{path}: entry {name!r} is unknown; there are {', '.join(known)}")
        if name in CHOICES and value not in CHOICES[name]:
            raise WeightsError(f"{path}: {name} {value!r} is not one of {', '.join(CHOICES[name])}")
    checked = {name: _checked(path, name, value) for name, value in stated.items()}
    try:
        return kind(**checked)
    except TypeError as error:
        raise WeightsError(f"{path}: {error}") from error


_LISTS: dict[str, tuple[tuple[type, ...], int | None]] = {
    "mean": ((int, float), 3), "deviation": ((int, float), 3),
    "columns": ((int,), None), "outputs": ((str,), None),
}  # fmt: skip
"""Entries that are lists: of what, and how many."""

_SINGLE: dict[str, tuple[type, ...]] = {
    "scale": (int, float), "padding": (int,), "channels_first": (bool,), "bgr": (bool,), "transposed": (bool,),
    "normalised": (bool,), "input": (str,), "sizes_input": (str,), "mask_input": (str,),
}  # fmt: skip


def _checked(path: Path, name: str, value: Any) -> Any:
    """A value of the type that its entry takes."""
    if name in _LISTS:
        kinds, count = _LISTS[name]
        typed = isinstance(value, list) and all(isinstance(item, kinds) for item in value)
        if not typed or count not in (None, len(value)):
            what = f"{count or 'some'} values of type {kinds[-1].__name__}"
            raise WeightsError(f"{path}: {name} {value!r} is not a list of {what}")
        return tuple(value)
    if name in _SINGLE and not isinstance(value, _SINGLE[name]):
        raise WeightsError(f"{path}: {name} {value!r} is not of type {_SINGLE[name][-1].__name__}")
    return value
