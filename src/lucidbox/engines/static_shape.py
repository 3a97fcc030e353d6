"""Adapters that make graphs with fixed shapes or suppression inside answer like any other engine."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import Shaped, UInt8
from lucidbox.core.errors import EngineError
from lucidbox.engines.base import Engine, Prediction, for_many, one_hot, prediction_of
from lucidbox.model_files.metadata import ModelInfo


@runtime_checkable
class GraphEngine(Engine, Protocol):
    """An engine that gives a graph's outputs by their names."""

    def outputs(self, images: UInt8[np.ndarray, "b h w 3"]) -> Mapping[str, np.ndarray]:
        """Everything the graph gives, by name."""
        ...


class SuppressedEngine:
    """A graph that suppresses by itself, answering with the boxes it kept as if they were all its anchors.

    Args:
        engine: of a graph with the outputs ``boxes`` (b k 4), ``scores`` (b k) and ``classes`` (b k).
        classes: number of classes.
    """

    def __init__(self, engine: GraphEngine, classes: int) -> None:
        self._engine = engine
        self._classes = classes
        self.name, self.precision = engine.name, engine.precision

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`.

        Raises:
            EngineError: the graph has not the outputs of one that suppresses.
        """
        outputs = self._engine.outputs(images)
        scores, classes = outputs.get("scores"), outputs.get("classes")
        if scores is None or classes is None or not _fit(scores, classes, self._classes):
            raise EngineError("this model's metadata state a suppression that its graph does not have")
        return prediction_of({**outputs, "scores": one_hot(scores, classes, self._classes)}, len(images))

    def for_many(self) -> Engine:
        """See :class:`lucidbox.engines.base.Scalable`."""
        engine = for_many(self._engine)
        return SuppressedEngine(engine, self._classes) if isinstance(engine, GraphEngine) else self


class FixedBatchEngine:
    """A graph that takes one batch size only: larger batches are divided, smaller ones filled with black images.

    Args:
        engine: of such a graph.
        batch: its size.
    """

    def __init__(self, engine: Engine, batch: int) -> None:
        self._engine = engine
        self._batch = batch
        self.name, self.precision = engine.name, engine.precision

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        if len(images) <= self._batch:
            return self._part(images)
        parts = []
        for start in range(0, len(images), self._batch):
            found = self._part(images[start : start + self._batch])
            # Copies: the next call may overwrite them.
            parts.append((found.boxes.copy(), found.scores.copy()))
        return Prediction(*map(np.concatenate, zip(*parts, strict=True)))

    def _part(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """The answer for as many images as the graph takes, or fewer."""
        count = len(images)
        if count < self._batch:
            filling = np.zeros((self._batch - count, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, filling])
        found = self._engine(images)
        return Prediction(found.boxes[:count], found.scores[:count])

    def for_many(self) -> Engine:
        """See :class:`lucidbox.engines.base.Scalable`."""
        return FixedBatchEngine(for_many(self._engine), self._batch)


def _fit(scores: Shaped[np.ndarray, "..."], classes: Shaped[np.ndarray, "..."], count: int) -> bool:
    """Whether each score has a class of this many."""
    if scores.ndim != 2 or scores.shape != classes.shape or scores.dtype != np.float32:
        return False
    return bool(classes.min(initial=0) >= 0 and classes.max(initial=0) < count)


def adapted(runner: Engine, info: ModelInfo) -> Engine:
    """The engine, adapted so that what its graph is fixed to does not show.

    Raises:
        EngineError: the graph states a suppression that this engine cannot have run.
    """
    engine = runner
    if info.suppression and not info.layout:
        if not isinstance(runner, GraphEngine):
            raise EngineError(f"a model with suppression inside is not for {runner.name}; export it without")
        engine = SuppressedEngine(runner, len(info.names))
    return FixedBatchEngine(engine, info.shape[0]) if info.shape else engine
