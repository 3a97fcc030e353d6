"""Two model files to be compared: loaded so that as little as possible differs but the models themselves."""

from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import Size
from lucidbox.detect.nms import Limits
from lucidbox.detector import Detector
from lucidbox.engines import Engine, runs_network
from lucidbox.model_files import ModelFile, look_at
from lucidbox.model_files.layouts.layout import Pixels
from lucidbox.model_files.metadata import ModelInfo


def load_pair(
    paths: tuple[Path, Path],
    *,
    engines: tuple[str, str] = ("auto", "auto"),
    precision: str = "fp32",
    size: str | None = None,
    conf: float | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> tuple[Detector, Detector]:
    """Both model files, behind the same letterbox as far as their graphs allow.

    Args:
        paths: weights or exported files.
        engines: "auto" runs weights in torch, where that is installed: they are the network itself.
        precision: of the arithmetic of both.
        size: of the network's input; where a graph is fixed to one, that.
        conf: confidence threshold; where a graph suppresses, at least its own, which is also the default.
        threads: most threads of each engine.
        say: called with a short message before something that takes seconds.

    Raises:
        WeightsError, EngineError: one of them cannot be run.
        OptionError: they are fixed to different sizes or limits, or have different classes.
    """
    files = [look_at(path) for path in paths]
    of_others = any(file.info and file.info.layout for file in files)
    names = [_engine_name(file, engine) for file, engine in zip(files, engines, strict=True)]
    graphs = [_graph_info(file, name) for file, name in zip(files, names, strict=True)]
    sizes = {graph.shape[1:] for graph in graphs if graph and graph.shape}
    inside = {graph.suppression for graph in graphs if graph and graph.suppression and not graph.layout}
    if of_others and len(sizes) > 1:
        say(f"{paths[0]} and {paths[1]} are fixed to different sizes: each sees the images at its own")
        sizes = set()
    for what, found in (("sizes", sizes), ("limits of suppression", inside)):
        if len(found) > 1:
            raise OptionError(f"{paths[0]} and {paths[1]} are fixed to different {what}; nothing can be compared")
    limits = asdict(next(iter(inside))) if inside else {}
    if conf is not None:
        limits["conf"] = conf
    fixed = next(iter(sizes), None)
    first, second = (
        Detector.load(
            file,
            engine=name,
            precision=precision,
            size=_size(graph, fixed, size),
            square=fixed is not None,
            threads=threads,
            say=say,
            **limits,
        )
        for file, name, graph in zip(files, names, graphs, strict=True)
    )
    common = set(first.names) & set(second.names)
    if not common or (first.names != second.names and not of_others):
        raise OptionError(f"{paths[0]} and {paths[1]} have different classes; nothing can be compared")
    if first.names != second.names:
        alone = len(set(first.names) ^ set(second.names))
        say(f"classes are matched by name: {len(common)} are compared, {alone} that one only has are left out")
    if first.size != second.size and not of_others:
        raise OptionError(
            f"{paths[0]} is made for size {first.size[0]}, {paths[1]} for {second.size[0]}; choose one with --size"
        )
    return first, second


def _size(graph: ModelInfo | None, fixed: Size | None, wanted: str | None) -> Size | str | None:
    """The input's size of one of a pair: its own where it is fixed, else what is wanted, else the other's."""
    return None if graph and graph.layout and graph.shape else wanted or fixed


def shared_limits(pair: tuple[Detector, Detector], limits: Limits) -> tuple[Limits, Limits]:
    """The same limits for both, but for suppression of models whose answer has one box of each object."""
    first, second = (
        replace(limits, iou=detector.info.iou) if detector.info and detector.info.layout else limits
        for detector in pair
    )
    return first, second


def matched_by_name(first: Detections, second: Detections) -> tuple[Detections, Detections]:
    """Both with the first's class ids, and only boxes of classes that both models have."""
    if first.names == second.names:
        return first, second
    ids = np.array([first.names.index(name) if name in first.names else -1 for name in second.names])
    common = np.isin(first.classes, ids)
    renamed = Detections(second.boxes, second.scores, ids[second.classes], first.names)
    return first[common], renamed[renamed.classes >= 0]


def again_with(detector: Detector, path: Path) -> Callable[[Pixels], Engine] | None:
    """Loads a model of someone else again, with pixels prepared in another way; None for our own models."""
    file = look_at(path)
    if file.info is None or file.info.layout is None:
        return None
    info, layout = file.info, file.info.layout

    def again(pixels: Pixels) -> Engine:
        changed = replace(file, info=replace(info, layout=replace(layout, pixels=pixels)))
        return Detector.load(changed, engine=detector.engine.name, precision=detector.engine.precision).engine

    return again


def _engine_name(file: ModelFile, wanted: str) -> str:
    """Weights run as the network itself where torch is installed, so that a graph is compared with it."""
    return "torch" if wanted == "auto" and not file.is_graph and find_spec("torch") is not None else wanted


def _graph_info(file: ModelFile, engine: str) -> ModelInfo | None:
    """What a graph states about itself; None where the network is run and not a graph."""
    return None if runs_network(engine, file) else file.info
