"""``lucidbox doctor``: what is installed, which engine and precision will be used, and how a model is run."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lucidbox.cli.console import tell, write_json
from lucidbox.cli.foreign_models import foreign_facts, foreign_rows, looked_at
from lucidbox.cli.options import add_options, add_verb
from lucidbox.cli.tables import pairs
from lucidbox.core.errors import OptionError
from lucidbox.core.text import printable
from lucidbox.core.version import __version__
from lucidbox.model_files import ModelFile

PACKAGES = {
    "numpy": "numpy",
    "opencv": "opencv-python-headless",
    "openvino": "openvino",
    "pillow": "pillow",
    "onnxruntime": "onnxruntime",
    "torch": "torch",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "datasets": "datasets",
    "matplotlib": "matplotlib",
    "supervision": "supervision",
    "pyarrow": "pyarrow",
    "ray": "ray",
    "pyspark": "pyspark",
}
"""The name that is shown, and the name of the distribution."""


EXAMPLES = """\
examples:
  lucidbox doctor
  lucidbox doctor --json
  lucidbox doctor --weights theirs.onnx       # how another tool's model is run, and why so
"""


def register(verbs: Any) -> None:
    """Add the verb and its option."""
    description = "Say what is installed, and which engine and precision predict will use for a model, and why."
    parser = add_verb(verbs, "doctor", description, EXAMPLES, run)
    parser.add_argument("--weights", metavar="FILE", type=Path, help="say how this model is run, too")
    add_options(parser, "--layout", "--names", "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; exit code 2 if no engine is installed."""
    if arguments.weights is None and (arguments.layout or arguments.names):
        raise OptionError("--layout and --names are about a model; name it with --weights FILE")
    findings = examine_installation()
    file = looked_at(arguments, arguments.weights) if arguments.weights else None
    if file is not None:
        findings |= examine_model(file)
    if arguments.json:
        write_json(findings, 2)
    else:
        tell(describe_findings(findings))
        if file is not None and file.info is not None and file.info.layout is not None:
            tell(f"weights\n{pairs(foreign_rows(file, findings['weights']), 12, indent=2)}")
    return 0 if findings["engine"] else 2


def examine_model(file: ModelFile) -> dict[str, Any]:
    """How a model file is run: its engine and precision, and of another tool's model all that was recognised.

    Raises:
        OptionError: no engine that runs it is installed.
    """
    from lucidbox import engines

    choice = engines.choose_engine("auto", file.format if file.is_graph else "onnx")
    found: dict[str, Any] = {"engine": choice.name, "engine_reason": choice.reason}
    info = file.info
    precision: tuple[str | None, str]
    if info is not None and info.layout is not None:
        precision = ("fp32", "its own tool computes it so; --precision takes another")
        found["weights"] = foreign_facts(file)
    else:
        precision = _precision(choice.name)
        found["weights"] = {"file": str(file.path), "format": file.format, "layout": None}
    found["precision"], found["precision_reason"] = precision
    return found


def examine_installation() -> dict[str, Any]:
    """Facts about this installation; needs no network and no weights."""
    from lucidbox import engines
    from lucidbox.core.errors import OutputError
    from lucidbox.core.filesystem import cache_folder
    from lucidbox.core.parallel import cores
    from lucidbox.model_files import bundled

    try:
        choice = engines.choose_engine()
        engine, why = choice.name, choice.reason
    except OptionError as error:
        engine, why = None, str(error)
    precision, why_precision = _precision(engine)
    try:
        folder = cache_folder()
    except OutputError as error:  # no home folder is known: predict says so, too
        folder = Path(str(error))
    return {
        "lucidbox": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": {"name": _processor(), "cores": cores()},
        "packages": {name: _version(distribution) for name, distribution in PACKAGES.items()},
        "engine": engine,
        "engine_reason": why,
        "precision": precision,
        "precision_reason": why_precision,
        "bundled_model": str(bundled.ONNX) if bundled.ONNX.is_file() else None,
        "cache": {"folder": str(folder), "bytes": _size(folder), "writable": _writable(folder)},
    }


def describe_findings(findings: dict[str, Any]) -> str:
    """The findings, for a person."""
    processor, cache = findings["processor"], findings["cache"]
    state = "" if cache["writable"] else ", NOT writable: set LUCIDBOX_CACHE to a folder of yours"
    facts = [
        ("lucidbox", f"{findings['lucidbox']} on Python {findings['python']}, {findings['system']}"),
        ("processor", f"{processor['name']}, {processor['cores']} cores to use"),
        ("engine", f"{findings['engine'] or 'none'}: {findings['engine_reason']}"),
        ("precision", f"{findings['precision'] or 'none'}: {findings['precision_reason']}"),
        ("model", findings["bundled_model"] or "none: this copy of lucidbox is incomplete"),
        *([("weights", _weights_line(findings["weights"]))] if "weights" in findings else []),
        ("cache", f"{cache['folder']}, {cache['bytes'] / 1e6:.1f} MB{state}"),
    ]
    packages = [(name, installed or "-") for name, installed in findings["packages"].items()]
    return f"{pairs(facts, 10)}\npackages\n{pairs(packages, 12, indent=2)}"


def _weights_line(weights: dict[str, Any]) -> str:
    """A model file in one line."""
    made = "another tool's, run by its layout" if weights["layout"] else "lucidbox's own, or weights that it reads"
    return printable(f"{weights['file']}: {made}")


def _precision(engine: str | None) -> tuple[str | None, str]:
    """The precision that --precision auto takes with this engine, and why."""
    if engine == "openvino":
        from lucidbox.engines.openvino import automatic_precision

        return automatic_precision()
    if engine == "torch":
        return "fp32", "on a processor; fp16 on a graphics card"
    return (None, "no engine") if engine is None else ("fp32", "the only one it has on a processor")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _size(folder: Path) -> int:
    """Bytes below a folder; 0 where it is absent."""
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0


def _writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above that exists, can be written."""
    try:
        while not folder.exists():
            folder = folder.parent
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False
