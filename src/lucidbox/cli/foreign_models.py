"""What the command line says of a model that another tool made: how it is run, and why so."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lucidbox.core.text import printable
from lucidbox.model_files import ModelFile, look_at


def looked_at(arguments: argparse.Namespace, path: Path) -> ModelFile:
    """A model file, with the layout and names that the options ``--layout`` and ``--names`` give.

    Raises:
        WeightsError: it cannot be read, or what it is cannot be decided.
        OptionError: it takes no layout or names.
    """
    from lucidbox import weights

    names = weights.read_names(arguments.names) if arguments.names else None
    return look_at(path, layout=arguments.layout, names=names)


def foreign_facts(file: ModelFile) -> dict[str, Any]:
    """What a model is that another tool made, as JSON holds it."""
    from lucidbox.model_files.layouts.foreign import signature_of

    signature, _ = signature_of(file.path, file.format)
    stated = ("architecture", "names", "size", "shape", "licence", "layout", "reasons", "notes")
    return {
        "file": str(file.path),
        "format": file.format,
        "opset": signature.opset,
        "parameters": signature.parameters,
        "inputs": [str(port) for port in signature.inputs],
        "outputs": [str(port) for port in signature.outputs],
        **{name: asdict(file.graph_info)[name] for name in stated},
    }


def foreign_rows(file: ModelFile, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Labels and values, for a person."""
    from lucidbox.model_files.layouts.layout import LAYOUTS

    info = file.graph_info
    assert info.layout is not None
    pixels, placement = info.layout.pixels, info.layout.placement
    opset = f", opset {facts['opset']}" if facts["opset"] else ""
    rows = [
        ("made by", "another tool; run by its layout"),
        ("layout", f"{info.layout.kind}: {LAYOUTS[info.layout.kind]}"),
        *(("because", reason) for reason in info.reasons),
        *(("assumed", note) for note in info.notes),
        ("pixels", f"{'BGR' if pixels.bgr else 'RGB'}, scale {pixels.scale:.6g}, mean {pixels.mean},"
         f" deviation {pixels.deviation}, {pixels.type}"),
        ("placement", f"{placement.anchor}, sides rounded {placement.rounding}, padding {placement.padding}"),
        ("classes", f"{len(info.names)}: {', '.join(info.names)}"),
        ("inputs", "; ".join(facts["inputs"])),
        ("outputs", "; ".join(facts["outputs"])),
        ("format", f"{file.format}{opset}"),
        ("parameters", f"{facts['parameters']:,}" if facts["parameters"] else "not counted in this format"),
        ("licence", info.licence),
    ]  # fmt: skip
    return [(name, printable(text)) for name, text in rows]
