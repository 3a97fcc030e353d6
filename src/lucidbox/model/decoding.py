"""From logits to boxes in pixels and probabilities; part of the exported graph.

Thresholds, suppression and the images' own pixels come after the graph.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lucidbox.core.array_types import Float
from lucidbox.model.network import Logits, Network


class Anchors(NamedTuple):
    """Cells of all levels, level by level, each row by row.

    Attributes:
        points: x and y of each cell's centre, in input pixels.
        strides: side of each cell, in input pixels.
    """

    points: Float[Tensor, "a 2"]
    strides: Float[Tensor, " a"]


class DecodedPredictions(NamedTuple):
    """Decoded output of a network.

    Attributes:
        boxes: xyxy, in pixels of the network's input; not clipped to it.
        scores: probability of each class.
    """

    boxes: Float[Tensor, "b a 4"]
    scores: Float[Tensor, "b a c"]


def anchor_points(
    grids: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device | None = None
) -> Anchors:
    """Centres of all cells.

    Args:
        grids: rows and columns of each level.
        strides: input pixels per cell of each level.
        device: the device of the result.
    """
    points, sides = [], []
    for (rows, columns), stride in zip(grids, strides, strict=True):
        y = (torch.arange(rows, dtype=torch.float32, device=device) + 0.5) * stride
        x = (torch.arange(columns, dtype=torch.float32, device=device) + 0.5) * stride
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack((grid_x, grid_y), dim=2).flatten(0, 1))
        sides.append(torch.full_like(points[-1][:, 0], stride))
    return Anchors(torch.cat(points), torch.cat(sides))


def expected_distances(boxes: Float[Tensor, "b sides a"], bins: int) -> Float[Tensor, "b 4 a"]:
    """Distances from cell centre to left, top, right, bottom, in cells: each distribution's expectation.

    Equation 6 of "Generalized Focal Loss" (arXiv 2006.04388). Softmax, then a weighted sum and not the usual
    1×1 convolution, for which bfloat16 engines would round probabilities to 8 bits.
    """
    batch, _, anchors = boxes.shape
    probabilities = boxes.reshape(batch, 4, bins, anchors).softmax(dim=2)
    numbers = torch.arange(bins, dtype=boxes.dtype, device=boxes.device)
    return (probabilities * numbers[:, None]).sum(dim=2)


class Decoder(nn.Module):
    """Logits to predictions; has no parameters and no buffers.

    Args:
        strides: input pixels per cell of each level.
        bins: numbers in the distribution of each box side.

    Example:
        >>> boxes, scores = Decoder(network.strides, network.bins)(network(images), 640, 640)
    """

    def __init__(self, strides: Sequence[int], bins: int) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.bins = bins

    def forward(self, logits: Logits, height: int, width: int) -> DecodedPredictions:
        """Boxes and probabilities of every anchor.

        Args:
            logits: a network's output.
            height: height of the network's input, in pixels.
            width: width of the network's input, in pixels.
        """
        # Not in half precision: beyond 256 pixels bfloat16 cannot represent the centres of cells.
        precision = torch.promote_types(logits.boxes.dtype, torch.float32)
        grids = [(height // stride, width // stride) for stride in self.strides]
        anchors = anchor_points(grids, self.strides, logits.boxes.device)
        distances = expected_distances(logits.boxes.to(precision), self.bins) * anchors.strides
        left_top, right_bottom = distances.chunk(2, dim=1)
        centres = anchors.points.T
        boxes = torch.cat((centres - left_top, centres + right_bottom), dim=1)
        scores = logits.classes.to(precision).sigmoid()
        return DecodedPredictions(boxes.transpose(1, 2), scores.transpose(1, 2))


class Detecting(nn.Module):
    """A network followed by its decoder: what is exported."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.decoder = Decoder(network.strides, network.bins)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> DecodedPredictions:
        """Boxes and probabilities of RGB images with values 0 to 1, sides in multiples of 32."""
        predictions: DecodedPredictions = self.decoder(self.network(images), images.shape[2], images.shape[3])
        return predictions
