"""``lucidbox weights``: show and convert weights files."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say, tell, write_json
from lucidbox.cli.foreign_models import foreign_facts, foreign_rows, looked_at
from lucidbox.cli.options import add_flag, add_option, add_options, add_verb
from lucidbox.cli.tables import pairs
from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.model_files import ModelFile
    from lucidbox.weights import Description, Weights

_FORMATS = """\
files that can be read (recognised by their content; nothing in them is ever run):
  published YOLO11 checkpoints (.pt), checkpoints of the notebook series, safetensors, ONNX that lucidbox wrote
"""

EXAMPLES = """\
examples:
  lucidbox weights show yolo11n.pt
  lucidbox weights show yolo11n.pt --json
  lucidbox weights convert yolo11n.pt yolo11n.safetensors
  lucidbox weights convert notebook.pt mine.safetensors --names classes.txt
  lucidbox weights convert mine.safetensors mine.onnx
  lucidbox weights convert best.safetensors small.safetensors --fp16 --conf 0.3
"""

CONVERTIBLE = (".safetensors", ".onnx")


def register(verbs: Any) -> None:
    """Add the verb and its two sub-verbs."""
    parser = add_verb(
        verbs, "weights", "Show what a weights file holds, or convert it.", f"{_FORMATS}\n{EXAMPLES}"
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    show = add_verb(
        verbs,
        "show",
        "Show what a weights file holds, and the licence that it states.",
        f"{_FORMATS}\nexamples:\n  lucidbox weights show yolo11n.pt\n  lucidbox weights show yolo11n.pt --json",
        _show,
        summary="architecture, classes, parameters, GFLOPs, licence, provenance",
    )
    show.add_argument("file", metavar="FILE", type=Path, help="a weights file")
    add_options(show, "--layout", "--names", "--json")
    describe = add_verb(
        verbs,
        "describe",
        "Write how another tool's model is run into a TOML file beside it, to edit: its pixels and its answer.",
        "examples:\n  lucidbox weights describe theirs.onnx\n"
        "  lucidbox weights describe theirs.onnx --layout yolox --names classes.txt",
        _describe,
        summary="write a description of another tool's model, to edit",
    )
    describe.add_argument("file", metavar="FILE", type=Path, help="ONNX, OpenVINO or TorchScript of another tool")
    add_options(describe, "--layout", "--names")
    add_flag(describe, "--force", "replace the description if it exists")
    convert = add_verb(
        verbs,
        "convert",
        "Convert weights to lucidbox's safetensors format, or to ONNX, which runs without torch.",
        f"{_FORMATS}\n{EXAMPLES}",
        _convert,
        summary="write weights as safetensors or ONNX",
    )
    convert.add_argument("source", metavar="IN", type=Path, help="a weights file")
    convert.add_argument("target", metavar="OUT", type=Path, help="file to write: NAME.safetensors or NAME.onnx")
    convert.add_argument(
        "--names", metavar="FILE", type=Path, help="class names to use instead: text with one a line, or JSON"
    )
    add_flag(convert, "--fp16", "store kernels in half the bytes (safetensors)")
    add_option(convert, "--size", type=int, metavar="N", help="longer side of the input that predict uses for it")
    add_option(convert, "--conf", help="score threshold that predict uses for it unless it is given another")
    add_flag(convert, "--force", "replace OUT if it exists")


def _show(arguments: argparse.Namespace) -> int:
    """Print what the file holds."""
    from lucidbox import weights
    from lucidbox.weights.licence_text import one_line

    file = looked_at(arguments, arguments.file)
    if file.info is not None and file.info.layout is not None:
        return _show_foreign(arguments, file)
    about = weights.describe(weights.read(arguments.file))
    if arguments.json:
        write_json({"file": str(arguments.file), **asdict(about)})
    else:
        tell(f"{one_line(str(arguments.file))}\n{pairs(_rows(about), 14, indent=2)}")
    return 0


def _show_foreign(arguments: argparse.Namespace, file: "ModelFile") -> int:
    """Print what another tool's model is, and why."""
    facts = foreign_facts(file)
    if arguments.json:
        write_json(facts)
    else:
        tell(printable(str(file.path)))
        tell(pairs(foreign_rows(file, facts), 12, indent=2))
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    """Write the description, and read it back."""
    from lucidbox.core.filesystem import atomic_write
    from lucidbox.model_files.layouts.sidecar import read_sidecar, sidecar_of, sidecar_text

    target = sidecar_of(arguments.file)
    if _exists(target) and not arguments.force:
        raise OutputError(f"{target}: exists already; edit it, or replace it with --force")
    info = looked_at(arguments, arguments.file).info
    if info is None or info.layout is None:
        raise OptionError(f"{arguments.file}: its file says everything; only other tools' models are described")
    text = sidecar_text(info.layout, info.names, info.reasons, arguments.file)
    atomic_write(target, text.encode())
    assert read_sidecar(target) == (info.layout, info.names), f"{target} does not say what was described"
    tell(printable(f"{target}: {info.layout.kind}, {len(info.names)} classes; what you change there is used"))
    return 0


def _rows(about: "Description") -> list[tuple[str, str]]:
    """Labels and values, for a person."""
    options = "".join(f", {name} {value}" for name, value in about.options.items())
    types = ", ".join(f"{count} {name}" for name, count in about.types.items())
    return [
        ("architecture", about.architecture + options),
        ("classes", f"{about.classes}: {', '.join(about.names)}"),
        ("picture size", str(about.size)),
        ("strides", ", ".join(map(str, about.strides))),
        ("parameters", f"{about.parameters:,} ({about.fixed_parameters} of them fixed)"),
        ("GFLOPs", f"{about.gflops:.1f} at 640×640"),
        ("threshold", f"{about.conf:g}"),
        ("tensors", f"{about.tensors}: {types}"),
        ("licence", about.licence),
        ("provenance", about.provenance or "not stated in the file"),
        ("source sha256", about.source_sha256 or "not stated in the file"),
    ]


def _convert(arguments: argparse.Namespace) -> int:
    """Write the converted file."""
    target: Path = arguments.target
    if target.suffix.lower() not in CONVERTIBLE:
        raise OptionError(f"{target}: its name must end in {' or '.join(CONVERTIBLE)}, which says the format")
    if arguments.fp16 and target.suffix.lower() == ".onnx":
        raise OptionError("--fp16 is for safetensors; for ONNX use: lucidbox export IN --to onnx --precision fp16")
    _check_defaults(arguments)
    if _exists(target) and not arguments.force:
        raise OutputError(f"{target}: exists already; choose another name, or replace it with --force")
    from lucidbox import weights
    from lucidbox.core.filesystem import check_writable

    check_writable(target)

    converted = weights.read(arguments.source)
    if arguments.names is not None:
        converted = weights.renamed(converted, weights.read_names(arguments.names))
    if arguments.fp16:
        converted = weights.halved(converted)
    if arguments.conf is not None:
        converted = replace(converted, conf=arguments.conf)
    if arguments.size is not None:
        converted = replace(converted, size=arguments.size)
    try:
        _write(converted, target)
    except ModuleNotFoundError as error:
        raise OutputError(f"{target}: writing it needs {error.name}; pip install 'lucidbox[train]'") from error
    classes = f"{len(converted.names)} {'class' if len(converted.names) == 1 else 'classes'}"
    tell(printable(f"{target}: {converted.architecture}, {classes}, licence: {converted.licence}"))
    return 0


def _check_defaults(arguments: argparse.Namespace) -> None:
    """Refuse a threshold or a size that predict could not use."""
    from lucidbox.detect.letterbox import parse_size
    from lucidbox.detect.nms import Limits

    if arguments.conf is not None:
        Limits(conf=arguments.conf)
    if arguments.size is not None:
        parse_size(arguments.size)


def _exists(target: Path) -> bool:
    """Whether OUT exists; a locked folder or an overlong name is reported before the work, not after it."""
    from lucidbox.core.filesystem import output_error

    try:
        return target.exists()
    except OSError as error:
        raise output_error(target, error) from error


def _write(converted: "Weights", target: Path) -> None:
    from lucidbox import weights

    if target.suffix.lower() != ".onnx":
        return weights.write(converted, target)
    say(f"writing {target.name} and checking it against the network; this takes some 20 seconds")
    from lucidbox.export import export_onnx

    return export_onnx(converted, target)
