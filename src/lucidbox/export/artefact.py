"""One artefact from beginning to end: traced or found in the cache, varied, written, checked, named."""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lucidbox import door
from lucidbox import weights as weights_files
from lucidbox.artefacts import read_metadata
from lucidbox.engines.adapters import FixedBatchEngine
from lucidbox.engines.base import Engine
from lucidbox.engines.torchscript import TorchScriptEngine
from lucidbox.errors import OptionError
from lucidbox.export import checking, tensorrt
from lucidbox.export.checking import Check
from lucidbox.export.request import FORMS, Request
from lucidbox.export.toolkits import write_ir, write_torchscript
from lucidbox.export.tracing import answer, export_onnx, noise
from lucidbox.files import atomic_write
from lucidbox.letterbox import fit
from lucidbox.shapes import UInt8
from lucidbox.weights import Weights

VARIED = ("shape", "precision", "suppression")
"""Entries of metadata that say how a graph differs from the one we trace."""

CHECKED_SHAPE = (1, 128, 224)
"""Batch, height and width of the noise for graphs that take any; none is traced with it."""


def export(
    source: Path,
    target: Path,
    request: Request,
    say: Callable[[str], None] = lambda message: None,
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]] = (),
) -> Check:
    """Write one artefact, whole and checked against the network, or nothing.

    Args:
        source: any weights file.
        target: the file to make; an OpenVINO IR gets a ``.bin`` beside it, a TensorRT engine a ``.json``.
        request: what to make.
        say: told in a few words what takes seconds.
        pictures: for int8: RGB, like those it is to see, some 100 of them. Each is held in memory at network size.

    Raises:
        OptionError: int8 without pictures.
        WeightsError: the source is refused, or the artefact's answers differ from the network's.
        EngineError: the toolkit is not installed or cannot make it.
        OutputError: the file cannot be written.
    """
    if request.form == "tensorrt":
        tensorrt.require()
    read = weights_files.read(source)
    with TemporaryDirectory(prefix="lucidbox-") as folder:
        made = Path(folder) / f"model{FORMS[request.form]}"
        check = _make(source, read, made, request, say, pictures)
        # What the main file needs comes before it.
        for suffix in (".bin", ".json", made.suffix):
            if (part := made.with_suffix(suffix)).exists():
                atomic_write(target if suffix == made.suffix else target.with_suffix(suffix), part.read_bytes())
    return check


def _make(
    source: Path,
    read: Weights,
    made: Path,
    request: Request,
    say: Callable[[str], None],
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]],
) -> Check:
    """Write the artefact in a folder of its own, and check it there."""
    batches = _letterboxed(pictures, read.size, request) if request.precision == "int8" else []
    pixels = noise(request.shape or CHECKED_SHAPE)
    expected = answer(weights_files.network(read), pixels)
    if request.form == "torchscript":
        say("tracing the network")
        write_torchscript(read, made)
        return checking.check_answers([TorchScriptEngine(made)], pixels, expected, checking.TOLERANCES["fp32"])
    import onnx

    from lucidbox.export.variants import metadata_of, with_suppression

    traced = _traced(source, read, made.parent, say)
    wide = plain = _varied(onnx.load(traced), request)
    if request.precision == "int8":
        say(f"measuring {len(batches)} pictures")
        plain = _quantised(onnx.load(traced), batches, request)
    graph = with_suppression(plain, request.suppression, len(read.names)) if request.suppression else plain
    say(f"writing {request.form} and checking it against the network")
    plain_path, graph_path = made.with_name("plain.onnx"), made.with_name("graph.onnx")
    onnx.save(plain, str(plain_path))
    onnx.save(graph, str(graph_path))
    if request.form == "tensorrt":
        engine: Engine = tensorrt.write(graph, metadata_of(graph), made, request)
        half = request.precision == "fp16"
        tolerance = checking.HALF_ARITHMETIC if half else checking.TOLERANCES["fp32"]
        return checking.check_answers([engine], pixels, expected, tolerance)
    if request.form == "openvino":
        write_ir(graph_path, metadata_of(graph), made)
    else:
        graph_path.replace(made)
    engines = checking.graph_engines(made)
    plain_engines = checking.graph_engines(plain_path) if request.suppression else engines
    if request.precision == "int8":
        wide_path = made.with_name("wide.onnx")
        onnx.save(wide, str(wide_path))
        whole = checking.graph_engines(wide_path)[0]
        checking.check_answers([whole], pixels, expected, checking.TOLERANCES["fp32"])
        single = [_for_one(engine, request) for engine in plain_engines]
        check = checking.check_quantised(single, _for_one(whole, request), batches[: checking.QUANTISED_PICTURES])
    else:
        check = checking.check_answers(plain_engines, pixels, expected, checking.TOLERANCES[request.precision])
    if request.suppression:
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


def _for_one(engine: Engine, request: Request) -> Engine:
    """The engine of a graph, taking single pictures."""
    return FixedBatchEngine(engine, request.shape[0]) if request.shape else engine


def _letterboxed(
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]], size: int, request: Request
) -> list[UInt8[np.ndarray, "1 h w 3"]]:
    """Pictures as the network will see them.

    Raises:
        OptionError: there are none.
    """
    sides = request.shape[1:] if request.shape else (size, size)
    square = request.shape is not None
    batches = [fit(image.shape[:2], sides, square=square).apply(image)[None] for image in pictures]
    if not batches:
        raise OptionError("int8 needs pictures like those it is to see; give some 100 with --images DIR")
    return batches


def _quantised(model: Any, batches: list[UInt8[np.ndarray, "1 h w 3"]], request: Request) -> Any:
    """The traced graph in int8, fixed to a shape if that was asked for."""
    from lucidbox.export import quantising
    from lucidbox.export.variants import lean, with_metadata, with_shape

    ranges = quantising.measure(model, quantising.placement(model), batches)
    # Fixed afterwards: by then tensors may have other names.
    rounded = quantising.with_int8(lean(model), ranges)
    fixed = with_shape(rounded, request.shape) if request.shape else rounded
    return with_metadata(fixed, {"precision": "int8"})


def _varied(model: Any, request: Request) -> Any:
    """Shape and number type as asked for, but for int8, which :func:`_quantised` makes."""
    from lucidbox.export.variants import lean, with_half_storage, with_shape

    model = with_shape(model, request.shape) if request.shape else lean(model)
    # TensorRT chooses number types by itself, from fp32.
    return with_half_storage(model) if request.precision == "fp16" and request.form != "tensorrt" else model
