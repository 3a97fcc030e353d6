"""From a weights file to what a detector is made of: an engine, what the model states, the size it takes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lucidbox import engines
from lucidbox.core.errors import EngineError, OptionError, WeightsError
from lucidbox.detect.letterbox import Size, parse_size
from lucidbox.engines import Engine
from lucidbox.model_files import ModelFile
from lucidbox.model_files.metadata import ModelInfo


class Loaded(NamedTuple):
    """A model ready to run.

    Attributes:
        engine: runs it, whatever its graph is fixed to.
        info: what it states about itself.
        size: height, width of the largest network input.
        fixed: whether the graph takes no other size.
    """

    engine: Engine
    info: ModelInfo
    size: Size
    fixed: bool


def load(
    file: ModelFile,
    *,
    engine: str,
    precision: str,
    size: int | str | Sequence[int] | None,
    threads: int | None,
    say: Callable[[str], None],
) -> Loaded:
    """Load a model file; weights are converted to ONNX once, unless torch runs the network itself.

    Raises:
        WeightsError: the weights are refused.
        OptionError, EngineError: something that is asked for is not to be had.
    """
    choice = engines.choose_engine(engine, file.format)
    network_itself = engines.runs_network(choice.name, file)
    if precision == "int8" and (network_itself or not file.is_graph):
        raise engines.not_in_int8(file.path)
    if network_itself:
        runner, info = _network_in_torch(file.path, precision, threads)
    else:
        graph = graph_of(file, say)
        info = graph.graph_info
    fixed = _fixed_size(info, size)
    if not network_itself:
        runner = engines.load_graph(choice.name, graph, precision=precision, threads=threads)
    for note in info.notes:
        say(f"{file.path.name}: {note}")
    if info.shape or info.suppression:
        from lucidbox.engines.static_shape import adapted

        runner = adapted(runner, info)
    return Loaded(runner, info, fixed or parse_size(info.size if size is None else size), fixed is not None)


def graph_of(file: ModelFile, say: Callable[[str], None] = lambda message: None) -> ModelFile:
    """The graph that engines run: the file itself, or an ONNX made from it now or earlier and kept in the cache.

    Raises:
        WeightsError: the file is refused, or must be converted where torch is not installed.
        OutputError: the cache folder cannot be written.
    """
    if file.is_graph:
        return file
    from lucidbox.model_files.cache import cached_graph

    return cached_graph(file, partial(_convert, say))


def _convert(say: Callable[[str], None], path: Path, target: Path) -> None:
    try:
        from lucidbox import export, weights
        from lucidbox.model_files import cache

        read = weights.read(path)
        say(cache.notice(path, target))
        export.export_onnx(read, target)
    except ImportError as error:
        raise WeightsError(
            f"{path}: converting it once needs {error.name}; pip install 'lucidbox[train]', or convert it where"
            f" that is installed with: lucidbox weights convert {path.name} {path.stem}.onnx"
        ) from error


def _network_in_torch(path: Path, precision: str, threads: int | None) -> tuple[Engine, ModelInfo]:
    """The network of a weights file in torch: it takes every size, and nothing suppresses in it."""
    from lucidbox import weights

    engines.check_options(precision, threads)
    try:
        from lucidbox.engines.torch import TorchEngine

        read = weights.read(path)
        runner = TorchEngine(weights.network(read), precision, threads)
    except ImportError as error:
        raise EngineError(f"the torch engine needs {error.name}; pip install 'lucidbox[train]'") from error
    return runner, ModelInfo(
        read.architecture, read.names, read.size, read.licence, read.source_sha256, conf=read.conf
    )


def _fixed_size(info: ModelInfo, size: int | str | Sequence[int] | None) -> Size | None:
    """The size that a model is fixed to; None where it takes any.

    Raises:
        OptionError: another size is asked for.
    """
    if info.shape is None:
        return None
    fixed = info.shape[1:]
    if size is not None and parse_size(size) != fixed:
        raise OptionError(f"size {size}: this model is fixed to {fixed[0]},{fixed[1]}; leave the size out")
    return fixed
