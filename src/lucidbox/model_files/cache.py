"""The cache of converted models: which ONNX belongs to which weights file. Knows no exporter."""

from collections.abc import Callable
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import cache_folder, output_error, sha256_of
from lucidbox.model_files.model_file import ModelFile, look_at

GRAPH_VERSION = 3
"""Raised whenever exported graphs change, so that cached graphs of older versions are not used."""

_ELSEWHERE = " (LUCIDBOX_CACHE names a folder for converted models; give one that can be written)"


def path_for(weights: Path) -> Path:
    """Where the ONNX made from a weights file is kept: under the hash of the file's content.

    Raises:
        OutputError: there is no cache folder.
    """
    return cache_folder() / "models" / f"{sha256_of(weights)[:16]}-v{GRAPH_VERSION}.onnx"


def cached_graph(file: ModelFile, convert: Callable[[Path, Path], None]) -> ModelFile:
    """The ONNX of a weights file, made now or earlier.

    Args:
        file: weights, not a graph.
        convert: writes the ONNX of a weights file (first argument) to a path (second argument).

    Raises:
        OutputError: the cache folder cannot be read or written.
    """
    cached = path_for(file.path)
    try:
        if not cached.exists():
            convert(file.path, cached)
    except OSError as error:
        raise OutputError(f"{output_error(cached, error)}{_ELSEWHERE}") from error
    except OutputError as error:
        raise OutputError(f"{error}{_ELSEWHERE}") from error
    return look_at(cached)


def notice(weights: Path, cached: Path) -> str:
    """What to say before a conversion, which takes seconds."""
    return f"converting {weights.name} to ONNX, once; later runs find it in {cached.parent}"
