"""Compares every exported file with the network, by running it, before it gets its name.

Graphs are run on pictures of noise by every engine here that can, and held to the network in torch, unfused, in
fp32. Suppression inside a graph must be exact: alone on made-up boxes, and behind the graph on that graph's own
answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float32, UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import WeightsError
from lucidbox.core.matching import match_detections
from lucidbox.detect.nms import Limits, detect
from lucidbox.engines.base import Engine, Prediction, one_hot
from lucidbox.engines.onnxruntime import OnnxRuntimeEngine
from lucidbox.engines.openvino import OpenVinoEngine, shared_core
from lucidbox.engines.static_shape import GraphEngine, SuppressedEngine
from lucidbox.export.greedy import may_be_kept
from lucidbox.export.variants import suppression_alone
from lucidbox.model_files.metadata import Suppression


@dataclass(frozen=True)
class Tolerance:
    """Largest difference from the network: of a box side, in pixels, and of a score. All anchors count."""

    boxes: float
    scores: float


TOLERANCES = {"fp32": Tolerance(0.05, 1e-4), "fp16": Tolerance(1.0, 0.005)}
"""By precision. Boxes of anchors that see nothing are the ones that move; those found move far less."""

ROUNDINGS = 4
"""A graph may be this many times as far from the network in fp64 as the network in fp32 is."""

QUANTISED_PICTURES = 32
"""Most pictures on which an int8 graph is held to the network."""

LEAST_FOUND = 0.5
"""Share of the network's boxes that an int8 graph must find for it to be kept; a YOLO11n's finds 0.98."""

EXACT = Tolerance(0.01, 1e-4)
"""Between a graph and the same graph with suppression behind it: an engine may fuse the two differently."""


@dataclass(frozen=True)
class Check:
    """What was compared, and how far apart it was at most.

    Attributes:
        engines: that ran the file.
        boxes: largest difference of a box side from the network's, in pixels; for int8 the median over boxes that
            both find.
        scores: largest difference of a score; for int8 the median likewise.
        found: for int8: how many boxes the network finds in the pictures, and how many of them the file does,
            in the engine that finds fewest.
        licence: of the weights, as their source states it.
    """

    engines: tuple[str, ...]
    boxes: float
    scores: float
    found: tuple[int, int] | None = None
    licence: str = ""


def graph_engines(path: Path) -> list[GraphEngine]:
    """Every engine here that runs this ONNX or OpenVINO IR, in fp32."""
    engines: list[GraphEngine] = [OpenVinoEngine(path, "fp32", cached=False)]
    if path.suffix == ".onnx" and find_spec("onnxruntime"):
        engines.append(OnnxRuntimeEngine(path, "fp32"))
    return engines


def check_answers(
    engines: Sequence[Engine],
    pixels: UInt8[np.ndarray, "b h w 3"],
    expected: Prediction,
    tolerance: Tolerance,
    exact: Callable[[], Prediction],
) -> Check:
    """Compare engines with the network's answer.

    A network trained on few images can answer noise so steeply that fp32 itself rounds by more than the tolerance.
    Then an engine may be :data:`ROUNDINGS` times as far from the exact answer as the network in fp32 is.

    Args:
        engines: the file in each engine.
        pixels: the images that all answer.
        expected: the network's answer in fp32.
        tolerance: largest difference.
        exact: gives the network's answer in fp64; called only where the tolerance is exceeded.

    Raises:
        WeightsError: an engine's answer is further away, or is not a number.
    """
    boxes = scores = 0.0
    for engine in engines:
        found = engine(pixels)
        if found.boxes.shape != expected.boxes.shape or found.scores.shape != expected.scores.shape:
            raise WeightsError(f"the exported graph answers {engine.name} in the shape {found.boxes.shape}")
        box_error, score_error = _distance(found, expected)
        # Written so that a NaN fails too.
        within = box_error <= tolerance.boxes and score_error <= tolerance.scores
        if not (within or _within_rounding(found, expected, exact(), tolerance)):
            raise WeightsError(
                f"the exported graph, run by {engine.name}, differs from the network by {box_error:.3g} px and"
                f" {score_error:.3g} in score; please report this with the weights' architecture"
            )
        boxes, scores = max(boxes, box_error), max(scores, score_error)
    return Check(tuple(engine.name for engine in engines), boxes, scores)


def _within_rounding(found: Prediction, expected: Prediction, exact: Prediction, tolerance: Tolerance) -> bool:
    """Whether an answer is as near to the exact one as the network in fp32 lets expect."""
    rounded, limits = _distance(expected, exact), (tolerance.boxes, tolerance.scores)
    allowed = [max(limit, ROUNDINGS * error) for limit, error in zip(limits, rounded, strict=True)]
    return all(error <= limit for error, limit in zip(_distance(found, exact), allowed, strict=True))


def _distance(first: Prediction, second: Prediction) -> tuple[float, float]:
    """Largest difference of a box side, in pixels, and of a score."""
    return float(np.abs(first.boxes - second.boxes).max()), float(np.abs(first.scores - second.scores).max())


def check_quantised(
    engines: Sequence[Engine], whole: Engine, batches: Sequence[UInt8[np.ndarray, "1 h w 3"]], limits: Limits
) -> Check:
    """Hold an int8 graph to the network on real pictures: rounding moves every number, so objects are compared.

    Args:
        engines: the file in each engine.
        whole: the same graph in fp32, checked before.
        batches: letterboxed pictures, in which the network finds something.
        limits: what counts as found.

    Raises:
        WeightsError: the network finds nothing, or the file too little of it.
    """
    counts, moved, changed = [], [], []
    for engine in engines:
        total = again = 0
        for batch in batches:
            first, second = _objects(whole, batch, limits), _objects(engine, batch, limits)
            rows, partners = match_detections(first, second)
            total, again = total + len(first), again + len(rows)
            moved += np.abs(first.boxes[rows] - second.boxes[partners]).max(axis=1, initial=0).tolist()
            changed += np.abs(first.scores[rows] - second.scores[partners]).tolist()
        counts.append((total, again))
    total, again = min(counts, key=lambda pair: pair[1])
    if total == 0:
        raise WeightsError(
            f"the network finds nothing above {limits.conf:g} in {len(batches)} of these pictures, so int8 cannot"
            " be checked; give pictures with objects that it knows"
        )
    if again < LEAST_FOUND * total:
        raise WeightsError(
            f"in int8 only {again} of {total} boxes are found; this network cannot be rounded so far"
        )
    names = tuple(engine.name for engine in engines)
    return Check(names, float(np.median(moved)), float(np.median(changed)), (total, again))


def _objects(engine: Engine, batch: UInt8[np.ndarray, "1 h w 3"], limits: Limits) -> Detections:
    """What is found in one picture, in pixels of the input."""
    answer = engine(batch)
    boxes, kept = detect(answer.boxes[0], answer.scores[0], limits)
    return Detections(boxes, kept.scores, kept.classes, ())


def check_suppression(
    plain: GraphEngine,
    suppressed: Iterable[GraphEngine],
    pixels: UInt8[np.ndarray, "b h w 3"],
    suppression: Suppression,
    classes: int,
) -> None:
    """Hold the suppression in a graph to ours.

    Args:
        plain: the graph without suppression, checked before.
        suppressed: the file in each engine.
        pixels: what to ask.
        suppression: what was asked for.
        classes: number of classes.

    Raises:
        WeightsError: they keep other boxes.
    """
    limits = Limits(**asdict(suppression))
    check_suppression_alone(suppression, classes)
    expected = plain(pixels)
    for engine in suppressed:
        _compare(SuppressedEngine(engine, classes)(pixels), expected, limits, engine.name)


def check_suppression_alone(suppression: Suppression, classes: int) -> None:
    """Hold the part that suppresses to ours, on made-up boxes: on noise a good network finds nothing to suppress.

    Raises:
        WeightsError: it keeps other boxes.
    """
    limits = Limits(**asdict(suppression))
    random = np.random.default_rng(0)
    centres, sides = random.uniform(0, 300, (2, 400, 2)), random.uniform(20, 120, (2, 400, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=2).astype(np.float32)
    # One class stands out at each anchor, as networks answer; in a quarter of them two are equal.
    scores = random.uniform(0, 0.1, (2, 400, classes)).astype(np.float32)
    best = random.uniform(0, 1, (2, 400)).astype(np.float32)
    picked = random.integers(0, min(classes, 4), (2, 400, 1))
    np.put_along_axis(scores, picked, best[..., None], axis=2)
    scores[:, ::4, -1] = scores[:, ::4].max(axis=2)
    for name, outputs in _run_alone(suppression, boxes, scores):
        found = Prediction(outputs["boxes"], one_hot(outputs["scores"], outputs["classes"], classes))
        _compare(found, Prediction(boxes, scores), limits, name)


def _run_alone(
    suppression: Suppression, boxes: Float32[np.ndarray, "b a 4"], scores: Float32[np.ndarray, "b a c"]
) -> Iterable[tuple[str, Any]]:
    """The suppressing part in every engine here: its name and outputs."""
    content = suppression_alone(suppression, scores.shape[2]).SerializeToString()
    inputs = {"all_boxes": boxes, "all_scores": scores}
    core = shared_core()
    model = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    yield "openvino", model(inputs)
    if find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        yield "onnxruntime", dict(zip(("boxes", "scores", "classes"), session.run(None, inputs), strict=True))


def _compare(found: Prediction, expected: Prediction, limits: Limits, engine: str) -> None:
    """Whether what a graph kept is a suppression of the answer without.

    Raises:
        WeightsError: it is none.
    """
    for row in range(len(expected.boxes)):
        scores = found.scores[row].max(axis=1)
        filled = scores > 0
        kept = Detections(found.boxes[row], scores, found.scores[row].argmax(axis=1), ())[filled]
        answer = Prediction(expected.boxes[row][None], expected.scores[row][None])
        if not may_be_kept(kept, answer, limits, EXACT.boxes, EXACT.scores):
            raise WeightsError(
                f"the suppression in the graph, run by {engine}, keeps other boxes than ours ({len(kept)} in all);"
                " please report this with the options"
            )
