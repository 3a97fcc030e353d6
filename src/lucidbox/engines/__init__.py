"""Engines run the network: pixels in, decoded boxes and class probabilities out."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lucidbox.core.errors import OptionError
from lucidbox.engines.base import Engine, Prediction, Scalable, for_many
from lucidbox.model_files.file_format import Format, form_of, read_metadata

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "RUNNERS",
    "Choice",
    "Engine",
    "Prediction",
    "Scalable",
    "choose_engine",
    "for_many",
    "load_engine",
    "not_in_int8",
]

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

ENGINES = {
    "openvino": "pip install openvino",
    "onnxruntime": "pip install 'lucidbox[onnx]'",
    "torch": "pip install 'lucidbox[train]'",
}
"""Engine names, the preferred first, and how to get each."""

RUNNERS = {"openvino": ("openvino",), "torchscript": ("torch",)}
"""Engines that run a form, for the forms that not every engine runs."""


@dataclass(frozen=True)
class Choice:
    """An engine's name and the reason it was chosen, in words for a user."""

    name: str
    reason: str


def choose_engine(wanted: str = "auto", form: Format = "onnx") -> Choice:
    """Which engine will run: the one asked for, or the first of :data:`ENGINES` that is installed.

    Args:
        wanted: "auto" or one of :data:`ENGINES`.
        form: of the model's file.

    Raises:
        OptionError: the engine is unknown, not installed or does not run this form, or there is none.
    """
    if wanted != "auto" and wanted not in ENGINES:
        raise OptionError(f"engine {wanted!r} is unknown; choose auto, {', '.join(ENGINES)}")
    if form in RUNNERS:
        return _only(wanted, form)
    if wanted != "auto":
        if find_spec(wanted) is None:
            raise OptionError(f"engine {wanted} is not installed; {ENGINES[wanted]}")
        return Choice(wanted, "asked for")
    passed_over: list[str] = []
    for name in ENGINES:
        if find_spec(name) is not None:
            missing = f"; {', '.join(passed_over)} not installed" if passed_over else ""
            return Choice(name, f"the fastest that is installed{missing}")
        passed_over.append(name)
    raise OptionError(f"no engine is installed; {ENGINES['openvino']}")


def _only(wanted: str, form: Format) -> Choice:
    """The one engine that runs this form."""
    name = RUNNERS[form][0]
    if wanted not in ("auto", name):
        raise OptionError(f"engine {wanted} does not run {form} files; choose auto or {name}")
    if find_spec(name) is None:
        raise OptionError(f"engine {name}, which alone runs {form} files, is not installed; {ENGINES[name]}")
    return Choice(name, f"the one that runs {form} files")


def not_in_int8(path: Path) -> str:
    """What to say, and to do, when int8 is asked of another file."""
    return (
        f"{path} is not in int8; make a file for openvino that is, with: lucidbox export {path.name} --to onnx"
        " --precision int8 --images DIR"
    )


def load_engine(name: str, path: Path, *, precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a model into the engine of this name.

    Args:
        name: one of :data:`ENGINES`.
        path: our ONNX; for openvino also our IR; for torch also our TorchScript and any weights of ours.
        precision: one of :data:`PRECISIONS`. A file made in int8 computes its convolutions so whatever is asked
            for, which then is the precision of the rest; "int8" insists on such a file, with "auto" for the rest.
        threads: most threads to use; None leaves it to the engine.

    Raises:
        OptionError: the precision is unknown, or needs an int8 file.
        EngineError: the engine cannot run it.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if threads is not None and not 1 <= threads <= 512:
        raise OptionError(f"threads {threads} is not between 1 and 512")
    quantised = _is_quantised(path)
    if precision == "int8" and not quantised:
        raise OptionError(not_in_int8(path))
    rest = "auto" if precision == "int8" else precision
    if name == "openvino":
        from lucidbox.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(path, rest, threads, quantised=quantised)
    if name == "onnxruntime":
        from lucidbox.engines.onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(path, rest, threads, quantised=quantised)
    if form_of(path) == "torchscript":
        from lucidbox.engines.torchscript import TorchScriptEngine

        return TorchScriptEngine(path, precision, threads)
    from lucidbox.engines.torch import TorchEngine

    return TorchEngine(path, precision, threads)


def _is_quantised(path: Path) -> bool:
    """Whether an artefact states int8. What is wrong with a file, its engine will say."""
    try:
        form = form_of(path)
        return form in ("onnx", "openvino") and read_metadata(path, form).get("precision") == "int8"
    except (OSError, ValueError, IndexError):
        return False
