"""Writes one model file from beginning to end: traced or found in the cache, varied, written, checked, named."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

from lucidbox import weights as weights_files
from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.filesystem import atomic_write, output_error
from lucidbox.core.temporary import temporary_folder
from lucidbox.detect.letterbox import fit
from lucidbox.detect.nms import Limits
from lucidbox.engines.base import Engine
from lucidbox.engines.static_shape import adapted
from lucidbox.engines.torchscript import TorchScriptEngine
from lucidbox.export import checking
from lucidbox.export.checking import Check
from lucidbox.export.request import SUFFIXES, Request
from lucidbox.export.toolkits import write_ir, write_torchscript
from lucidbox.export.tracing import CHECKED_SHAPE, answer, export_onnx, noise
from lucidbox.model_files import cache, look_at
from lucidbox.weights import Weights


def export(
    source: Path,
    target: Path,
    request: Request,
    say: Callable[[str], None] = lambda message: None,
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]] = (),
) -> Check:
    """Writes one model file, whole and checked against the network, or nothing.

    Args:
        source: any weights file.
        target: the file to make; an OpenVINO IR gets a ``.bin`` beside it.
        request: what to make.
        say: called with a short message before something that takes seconds.
        pictures: for int8: RGB, like those it is to see, some 100 of them.

    Raises:
        OptionError: int8 without pictures.
        WeightsError: the source is refused, or the file's answers differ from the network's.
        EngineError: the toolkit is not installed or cannot make it.
        OutputError: the file cannot be written.
    """
    read = weights_files.read(source)
    with _workplace() as folder:
        made = folder / f"model{SUFFIXES[request.format]}"
        check = _make(source, read, made, request, say, pictures)
        # What the main file needs comes before it.
        for suffix in (".bin", made.suffix):
            if (part := made.with_suffix(suffix)).exists():
                atomic_write(target if suffix == made.suffix else target.with_suffix(suffix), part.read_bytes())
    return replace(check, licence=read.licence)


@contextmanager
def _workplace() -> Iterator[Path]:
    """A temporary folder. What cannot be written in it is about it, not about the target.

    Raises:
        OutputError: there is none, or it is full.
    """
    try:
        parent = Path(gettempdir())
        with temporary_folder(parent) as folder:
            yield folder
    except OSError as error:
        place = error.filename or gettempdir()
        raise OutputError(f"{output_error(Path(place), error)}: name a folder with room in TMPDIR") from error


def _make(
    source: Path,
    read: Weights,
    made: Path,
    request: Request,
    say: Callable[[str], None],
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]],
) -> Check:
    """Writes the file in a temporary folder, and checks it there."""
    if request.format == "torchscript":
        say("tracing the network")
        write_torchscript(read, made)
        return _check_answers([TorchScriptEngine(made)], read, request)
    import onnx

    from lucidbox.export.variants import metadata_of, with_opset, with_suppression

    if request.precision == "int8":
        pictures = _some(pictures)
    traced = _traced(source, read, made.parent, say)
    kept: list[UInt8[np.ndarray, "1 h w 3"]] = []
    if request.precision == "int8":
        say("measuring the pictures")
        batches = _letterboxed(pictures, read.size, request)
        plain = _quantised(onnx.load(traced), _keeping(batches, kept), request)
    else:
        plain = _varied(onnx.load(traced), request)
    graph = with_suppression(plain, request.suppression, len(read.names)) if request.suppression else plain
    say(f"writing {request.format} and checking it against the network")
    plain, graph = with_opset(plain, request.opset), with_opset(graph, request.opset)
    plain_path, graph_path = made.with_name("plain.onnx"), made.with_name("graph.onnx")
    onnx.save(plain, str(plain_path))
    onnx.save(graph, str(graph_path))
    if request.format == "openvino":
        write_ir(graph_path, metadata_of(graph), made)
    else:
        graph_path.replace(made)
    if request.precision == "int8":
        return _check_quantised(made, traced, kept, read, request)
    return _check_graph(made, plain_path, read, request)


def _check_answers(engines: Sequence[Engine], read: Weights, request: Request) -> Check:
    """Hold engines to the network on noise."""
    pixels = noise(request.shape or CHECKED_SHAPE)
    network = weights_files.network(read)
    exact = partial(answer, network, pixels, exact=True)
    tolerance = checking.TOLERANCES[request.precision]
    return checking.check_answers(engines, pixels, answer(network, pixels), tolerance, exact)


def _check_graph(made: Path, plain: Path, read: Weights, request: Request) -> Check:
    """Hold a graph to the network, and what suppresses in it to the same graph without."""
    engines = checking.graph_engines(made)
    if not request.suppression:
        return _check_answers(engines, read, request)
    plain_engines = checking.graph_engines(plain)[: len(engines)]
    check = _check_answers(plain_engines, read, request)
    pixels = noise(request.shape or CHECKED_SHAPE)
    checking.check_suppression(plain_engines[0], engines, pixels, request.suppression, len(read.names))
    return check


def _check_quantised(
    made: Path, traced: Path, batches: Sequence[UInt8[np.ndarray, "1 h w 3"]], read: Weights, request: Request
) -> Check:
    """Hold a graph in int8 to the network's on pictures.

    What suppresses in it is held to ours alone: engines round differently, and so does one that fuses otherwise.
    """
    info = look_at(made).graph_info
    engines = [adapted(engine, info) for engine in checking.graph_engines(made)]
    limits = Limits(conf=read.conf)
    if inside := request.suppression:
        checking.check_suppression_alone(inside, len(read.names))
        limits = Limits(max(read.conf, inside.conf), inside.iou, inside.max_det)
    return checking.check_quantised(engines, checking.graph_engines(traced)[0], batches, limits)


def _traced(source: Path, read: Weights, folder: Path, say: Callable[[str], None]) -> Path:
    """The ONNX that variants are made of: dynamic, fp32, without suppression."""
    file = look_at(source)
    if file.format == "onnx" and not file.graph_info.is_plain:
        say("tracing the network; this takes some 20 seconds")
        path = folder / "traced.onnx"
        export_onnx(read, path)
        return path
    if file.is_graph:
        return source

    def convert(path: Path, target: Path) -> None:
        say(cache.notice(path, target))
        export_onnx(read, target)

    try:
        return cache.cached_graph(file, convert).path
    except OutputError as error:
        say(f"{error}; this time it is made anew")
        path = folder / "traced.onnx"
        export_onnx(read, path)
        return path


def _some(pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> Iterator[UInt8[np.ndarray, "_ _ 3"]]:
    """The same pictures, of which there is one.

    Raises:
        OptionError: there is none.
    """
    given = iter(pictures)
    first = next(given, None)
    if first is None:
        raise OptionError("int8 needs pictures like those it is to see; give some 100 with --images DIR")
    return chain([first], given)


def _letterboxed(
    pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]], size: int, request: Request
) -> Iterator[UInt8[np.ndarray, "1 h w 3"]]:
    """Pictures as the network will see them."""
    sides = request.shape[1:] if request.shape else (size, size)
    for image in pictures:
        yield fit(image.shape[:2], sides, square=request.shape is not None).apply(image)[None]


def _keeping(
    batches: Iterable[UInt8[np.ndarray, "1 h w 3"]], kept: list[UInt8[np.ndarray, "1 h w 3"]]
) -> Iterator[UInt8[np.ndarray, "1 h w 3"]]:
    """All of them passed on, and evenly chosen ones put into ``kept`` for the check."""
    every = 1
    for number, batch in enumerate(batches):
        if number % every == 0:
            kept.append(batch)
        if len(kept) > checking.QUANTISED_PICTURES:
            del kept[1::2]
            every *= 2
        yield batch


def _quantised(model: Any, batches: Iterable[UInt8[np.ndarray, "1 h w 3"]], request: Request) -> Any:
    """The traced graph in int8, fixed to a shape if that was asked for."""
    from lucidbox.export import quantising
    from lucidbox.export.variants import lean, with_metadata, with_shape

    ranges = quantising.measure_ranges(model, quantising.placement(model), batches)
    # Fixed afterwards: by then tensors may have other names.
    rounded = quantising.with_int8(lean(model), ranges)
    fixed = with_shape(rounded, request.shape) if request.shape else rounded
    return with_metadata(fixed, {"precision": "int8"})


def _varied(model: Any, request: Request) -> Any:
    """Shape and number type as asked for."""
    from lucidbox.export.variants import lean, with_half_storage, with_shape

    model = with_shape(model, request.shape) if request.shape else lean(model)
    return with_half_storage(model) if request.precision == "fp16" else model
