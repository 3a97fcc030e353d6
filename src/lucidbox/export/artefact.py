"""One artefact from beginning to end: traced or found in the cache, varied, written, checked, named."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lucidbox import door
from lucidbox import weights as weights_files
from lucidbox.artefacts import read_metadata
from lucidbox.engines.base import Engine
from lucidbox.engines.torchscript import TorchScriptEngine
from lucidbox.export import checking, tensorrt
from lucidbox.export.checking import Check
from lucidbox.export.request import FORMS, Request
from lucidbox.export.toolkits import write_ir, write_torchscript
from lucidbox.export.tracing import answer, export_onnx, noise
from lucidbox.files import atomic_write
from lucidbox.weights import Weights

VARIED = ("shape", "precision", "suppression")
"""Entries of metadata that say how a graph differs from the one we trace."""

CHECKED_SHAPE = (1, 128, 224)
"""Batch, height and width of the noise for graphs that take any; none is traced with it."""


def export(
    source: Path, target: Path, request: Request, say: Callable[[str], None] = lambda message: None
) -> Check:
    """Write one artefact, whole and checked against the network, or nothing.

    Args:
        source: any weights file.
        target: the file to make; an OpenVINO IR gets a ``.bin`` beside it, a TensorRT engine a ``.json``.
        request: what to make.
        say: told in a few words what takes seconds.

    Raises:
        WeightsError: the source is refused, or the artefact's answers differ from the network's.
        EngineError: the toolkit is not installed or cannot make it.
        OutputError: the file cannot be written.
    """
    if request.form == "tensorrt":
        tensorrt.require()
    read = weights_files.read(source)
    with TemporaryDirectory(prefix="lucidbox-") as folder:
        made = Path(folder) / f"model{FORMS[request.form]}"
        check = _make(source, read, made, request, say)
        # What the main file needs comes before it.
        for suffix in (".bin", ".json", made.suffix):
            if (part := made.with_suffix(suffix)).exists():
                atomic_write(target if suffix == made.suffix else target.with_suffix(suffix), part.read_bytes())
    return check


def _make(source: Path, read: Weights, made: Path, request: Request, say: Callable[[str], None]) -> Check:
    """Write the artefact in a folder of its own, and check it there."""
    pixels = noise(request.shape or CHECKED_SHAPE)
    expected = answer(weights_files.network(read), pixels)
    tolerance = checking.TOLERANCES[request.precision]
    if request.form == "torchscript":
        say("tracing the network")
        write_torchscript(read, made)
        return checking.check_answers([TorchScriptEngine(made)], pixels, expected, tolerance)
    import onnx

    from lucidbox.export.variants import metadata_of, with_suppression

    plain = _varied(onnx.load(_traced(source, read, made.parent, say)), request)
    graph = with_suppression(plain, request.suppression, len(read.names)) if request.suppression else plain
    say(f"writing {request.form} and checking it against the network")
    plain_path, graph_path = made.with_name("plain.onnx"), made.with_name("graph.onnx")
    onnx.save(plain, str(plain_path))
    onnx.save(graph, str(graph_path))
    if request.form == "tensorrt":
        engine: Engine = tensorrt.write(graph, metadata_of(graph), made, request)
        if request.precision == "fp16":
            tolerance = checking.HALF_ARITHMETIC
        return checking.check_answers([engine], pixels, expected, tolerance)
    if request.form == "openvino":
        write_ir(graph_path, metadata_of(graph), made)
    else:
        graph_path.replace(made)
    engines = checking.graph_engines(made)
    if not request.suppression:
        return checking.check_answers(engines, pixels, expected, tolerance)
    plain_engines = checking.graph_engines(plain_path)
    check = checking.check_answers(plain_engines, pixels, expected, tolerance)
    checking.check_suppression(plain_engines[0], engines, pixels, request.suppression, len(read.names))
    return check


def _traced(source: Path, read: Weights, folder: Path, say: Callable[[str], None]) -> Path:
    """The ONNX that variants are made of: dynamic, fp32, without suppression."""
    if door.form_of(source) == "onnx" and any(read_metadata(source, "onnx").get(entry) for entry in VARIED):
        say("tracing the network; this takes some 20 seconds")
        path = folder / "traced.onnx"
        export_onnx(read, path)
        return path
    return door.through(source, say)


def _varied(model: Any, request: Request) -> Any:
    """Shape and number type as asked for."""
    from lucidbox.export.variants import lean, with_half_storage, with_shape

    model = with_shape(model, request.shape) if request.shape else lean(model)
    # TensorRT chooses number types by itself, from fp32.
    return with_half_storage(model) if request.precision == "fp16" and request.form != "tensorrt" else model
