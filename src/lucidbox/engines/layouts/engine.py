"""An engine of a model that lucidbox did not write: the same contract, by a layout."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.engines.base import Engine, Prediction, Scalable
from lucidbox.engines.layouts.answers import decode_answer
from lucidbox.engines.layouts.pixels import prepared
from lucidbox.model_files.layouts.layout import Layout


@runtime_checkable
class GraphRunner(Protocol):
    """Runs a graph as it is.

    Attributes:
        name: of the engine.
        precision: of the arithmetic.
        takes_pixels: whether its image input takes our uint8 RGB images: the conversion is fused into the graph.
    """

    name: str
    precision: str
    takes_pixels: bool

    def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Outputs by name, from inputs by name; they may be overwritten by this thread's next call.

        Raises:
            EngineError: the engine fails on these inputs.
        """
        ...


class LayoutEngine:
    """An engine that runs a model of someone else.

    Args:
        graph: runs it as it is.
        layout: how it takes pixels and what its answer means.
        classes: number of classes.

    Example:
        >>> engine = LayoutEngine(OnnxRuntimeEngine(path), layout, classes=80)
        >>> boxes, scores = engine(images)
    """

    def __init__(self, graph: GraphRunner, layout: Layout, classes: int) -> None:
        self.graph, self.layout, self.classes = graph, layout, classes
        self.name, self.precision = graph.name, graph.precision

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        sides = (images.shape[1], images.shape[2])
        outputs = self.graph.run(self.feeds(images))
        return decode_answer(self.layout, outputs, sides, self.classes)

    def feeds(self, images: UInt8[np.ndarray, "b h w 3"]) -> dict[str, np.ndarray]:
        """What the graph is given for a batch."""
        batch, height, width = images.shape[:3]
        layout = self.layout
        feeds = {layout.pixels.input: images if self.graph.takes_pixels else prepared(images, layout.pixels)}
        if layout.sizes_input:
            # Width first, as RT-DETR and D-FINE take it: boxes then come in pixels of the input.
            feeds[layout.sizes_input] = np.tile(np.array([[width, height]], np.int64), (batch, 1))
        if layout.mask_input:
            feeds[layout.mask_input] = np.ones((batch, height, width), np.int64)
        return feeds

    def for_many(self) -> Engine:
        """See :class:`lucidbox.engines.base.Scalable`."""
        graph = self.graph.for_many() if isinstance(self.graph, Scalable) else self.graph
        return LayoutEngine(graph, self.layout, self.classes) if isinstance(graph, GraphRunner) else self
