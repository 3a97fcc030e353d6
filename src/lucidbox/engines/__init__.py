"""Engines run the network: pixels in, decoded boxes and class probabilities out."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lucidbox.core.errors import OptionError
from lucidbox.engines.base import Engine, Prediction, Scalable, for_many
from lucidbox.model_files import ModelFile
from lucidbox.model_files.file_format import Format

__all__ = [
    "ENGINES", "PRECISIONS", "RUNNERS", "Choice", "Engine", "Prediction", "Scalable", "check_options",
    "choose_engine", "for_many", "load_graph", "not_in_int8", "runs_network",
    "base", "layouts", "onnxruntime", "openvino", "static_shape", "torch", "torchscript",
]  # fmt: skip

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

ENGINES = {
    "openvino": "pip install openvino",
    "onnxruntime": "pip install 'lucidbox[onnx]'",
    "torch": "pip install 'lucidbox[train]'",
}
"""Engine names, the preferred first, and how to get each."""

RUNNERS = {"openvino": ("openvino",), "torchscript": ("torch",)}
"""Engines that run a format, for the formats that not every engine runs."""


@dataclass(frozen=True)
class Choice:
    """An engine's name and the reason it was chosen, in words for a user."""

    name: str
    reason: str


def choose_engine(wanted: str = "auto", file_format: Format = "onnx") -> Choice:
    """Which engine runs: the one asked for, or the first of :data:`ENGINES` that is installed.

    Args:
        wanted: "auto" or one of :data:`ENGINES`.
        file_format: of the model's file.

    Raises:
        OptionError: the engine is unknown, not installed or does not run this format, or there is none.
    """
    if wanted != "auto" and wanted not in ENGINES:
        raise OptionError(f"engine {wanted!r} is unknown; choose auto, {', '.join(ENGINES)}")
    if file_format in RUNNERS:
        return _only_engine(wanted, file_format)
    if wanted != "auto":
        if find_spec(wanted) is None:
            raise OptionError(f"engine {wanted} is not installed; {ENGINES[wanted]}")
        return Choice(wanted, "asked for")
    not_installed: list[str] = []
    for name in ENGINES:
        if find_spec(name) is not None:
            missing = f"; {', '.join(not_installed)} not installed" if not_installed else ""
            return Choice(name, f"the fastest that is installed{missing}")
        not_installed.append(name)
    raise OptionError(f"no engine is installed; {ENGINES['openvino']}")


def _only_engine(wanted: str, file_format: Format) -> Choice:
    """The one engine that runs this format."""
    name = RUNNERS[file_format][0]
    if wanted not in ("auto", name):
        raise OptionError(f"engine {wanted} does not run {file_format} files; choose auto or {name}")
    if find_spec(name) is None:
        raise OptionError(
            f"engine {name}, which alone runs {file_format} files, is not installed; {ENGINES[name]}"
        )
    return Choice(name, f"the one that runs {file_format} files")


def runs_network(engine: str, file: ModelFile) -> bool:
    """Whether the engine runs the network itself; the other engines run a graph."""
    return engine == "torch" and file.format != "torchscript"


def not_in_int8(path: Path) -> OptionError:
    """The error to raise where int8 is asked of a file that is not in int8."""
    return OptionError(
        f"{path} is not in int8; make a file for openvino that is, with: lucidbox export {path.name} --to onnx"
        " --precision int8 --images DIR"
    )


def check_options(precision: str, threads: int | None) -> None:
    """Refuse what no engine takes.

    Raises:
        OptionError: the precision is unknown, or the number of threads is out of range.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if threads is not None and not (isinstance(threads, int) and 1 <= threads <= 512):
        raise OptionError(f"threads {threads!r} is not between 1 and 512")


def load_graph(name: str, file: ModelFile, *, precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a graph into the engine of this name.

    Args:
        name: one of :data:`ENGINES` that runs the file's format.
        file: an ONNX file of ours; for openvino also an IR, for torch only TorchScript.
        precision: one of :data:`PRECISIONS`. A file made in int8 computes its convolutions so whatever is asked
            for, which then is the precision of the rest; "int8" insists on such a file, with "auto" for the rest.
        threads: most threads to use; None leaves it to the engine.

    Raises:
        OptionError: the precision is unknown, or needs an int8 file.
        EngineError: the engine cannot run it.
    """
    check_options(precision, threads)
    quantised = file.info is not None and file.info.precision == "int8"
    if precision == "int8" and not quantised:
        raise not_in_int8(file.path)
    rest = "auto" if precision == "int8" else precision
    layout = file.info.layout if file.info else None
    if layout:
        from lucidbox.engines.layouts.loading import load_foreign

        return load_foreign(name, file, layout, rest, threads)
    if name == "openvino":
        from lucidbox.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(file.path, rest, threads, quantised=quantised)
    if name == "onnxruntime":
        from lucidbox.engines.onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(file.path, rest, threads, quantised=quantised)
    assert name == "torch", f"no engine {name}"
    from lucidbox.engines.torchscript import TorchScriptEngine

    return TorchScriptEngine(file.path, precision, threads)
