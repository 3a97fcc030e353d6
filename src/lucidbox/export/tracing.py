"""Network → one ONNX file with decoding inside and metadata, checked against the network before it is kept.

The graph takes uint8 RGB pixels ``b h w 3`` and gives ``boxes`` (``b a 4``, xyxy pixels) and ``scores``
(``b a c``). Batch, height and width are dynamic; sides are multiples of 32.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lucidbox import weights as weights_files
from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.filesystem import atomic_path
from lucidbox.engines.base import Prediction
from lucidbox.engines.openvino import OpenVinoEngine
from lucidbox.engines.torch import refuse_after_fork
from lucidbox.export.checking import TOLERANCES, check_answers
from lucidbox.export.variants import DEFAULT_OPSET, TRACED_OPSET, with_opset
from lucidbox.model.decoding import Detecting
from lucidbox.model.fuse import fuse
from lucidbox.model.network import Network
from lucidbox.weights import Weights

CHECKED_SHAPE = (1, 128, 224)
"""Batch, height and width of the noise for graphs that take any; none is traced with it."""


class FromPixels(nn.Module):
    """The fused network behind whole pixel values, so that no caller can prepare them wrongly.

    The division by 255 goes into the first convolution. Whole numbers up to 255 have eight significant bits,
    which bfloat16 keeps; a 255th it would round before the first multiplication.
    """

    def __init__(self, fused: Network) -> None:
        super().__init__()
        first = next(module for module in fused.modules() if isinstance(module, nn.Conv2d))
        with torch.no_grad():
            first.weight /= 255
        self.detecting = Detecting(fused)

    def forward(self, pixels: UInt8[Tensor, "b h w 3"]) -> tuple[Float[Tensor, "b a 4"], Float[Tensor, "b a c"]]:
        """Boxes, xyxy in pixels, and scores."""
        boxes, scores = self.detecting(pixels.permute(0, 3, 1, 2).float())
        return boxes, scores


def export_onnx(weights: Weights, path: Path) -> None:
    """Write a network and its weights as one ONNX file.

    Args:
        weights: any that ``lucidbox.weights.read`` gives.
        path: the file to make; its folder is made if need be.

    Raises:
        WeightsError: the graph's answers differ from the network's.
        OutputError: the file cannot be written.
        EngineError: torch has worked before this process was forked.
    """
    refuse_after_fork()
    network = weights_files.network(weights)
    module = FromPixels(fuse(network)).eval()
    with atomic_path(path) as temporary:
        _write(module, weights_files.to_metadata(weights), temporary)
        _check(network, temporary)


def _write(module: nn.Module, metadata: dict[str, str], path: Path) -> None:
    """Trace with dynamic batch, height and width, and save with metadata."""
    import onnx
    from torch.export import Dim

    sides = {0: Dim("b"), 1: 32 * Dim("h"), 2: 32 * Dim("w")}
    # Two pictures of unequal sides: a batch of one, or equal sides, would be taken for constants.
    example = torch.zeros(2, 96, 160, 3, dtype=torch.uint8)
    with quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=(sides,),
            input_names=["pixels"],
            output_names=["boxes", "scores"],
            opset_version=TRACED_OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _name_every_tensor(model, module)
    _copy_batches(model)
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(with_opset(model, DEFAULT_OPSET), str(path))


def _name_every_tensor(model: Any, module: nn.Module) -> None:
    """Give back the names of tensors that the exporter merged with equal ones, so that weights can be read back.

    Only fresh networks have such tensors, a few biases; engines drop what no node uses.
    """
    from onnx import numpy_helper

    present = {constant.name for constant in model.graph.initializer}
    for name, parameter in module.named_parameters():
        if name not in present:
            model.graph.initializer.append(numpy_helper.from_array(parameter.detach().numpy(), name))


def _copy_batches(model: Any) -> None:
    """Let reshapes copy the batch's length from what they reshape, instead of asking the input for it.

    OpenVINO answers that question at the first convolution, whose bias and activation then no longer become part
    of it: 4 % of a YOLO11n's time.
    """
    from onnx import helper, numpy_helper

    asked = {node.output[0] for node in model.graph.node if node.op_type == "Shape" and _is_batch(node)}
    shapes = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "Concat"
        and asked.intersection(node.input[:1])
        and not asked.intersection(node.input[1:])
    }
    for node in model.graph.node:
        if node.op_type != "Reshape":
            for name in node.input:
                shapes.pop(name, None)
    copied = "batch.copied"
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), copied))
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in shapes:
            shapes[node.input[1]].input[0] = copied
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("allowzero", 0))  # a length of 0 means: as it is


def _is_batch(node: Any) -> bool:
    """Whether a Shape node asks for the batch's length of the pixels."""
    options = {attribute.name: attribute.i for attribute in node.attribute}
    return node.input[0] == "pixels" and options.get("start", 0) == 0 and options.get("end") == 1


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter prints and warns about its own inner life; errors still rise."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def noise(shape: tuple[int, int, int]) -> UInt8[np.ndarray, "b h w 3"]:
    """Pictures of noise, the same every time: batch, height, width."""
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def answer(network: Network, pixels: UInt8[np.ndarray, "b h w 3"], *, exact: bool = False) -> Prediction:
    """The network's own answer, unfused: what every exported file is compared with.

    Args:
        network: left as it is.
        pixels: images.
        exact: compute in fp64 instead of fp32.
    """
    dtype = torch.float64 if exact else torch.float32
    asked = copy.deepcopy(network).double() if exact else network
    with torch.inference_mode():
        found = Detecting(asked)(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(dtype) / 255)
    return Prediction(found.boxes.numpy(), found.scores.numpy())


def _check(network: Network, path: Path) -> None:
    """Compare the file with the unfused network on noise, at a shape it was not traced with.

    Raises:
        WeightsError: they differ by more than the tolerances.
    """
    pixels = noise(CHECKED_SHAPE)
    engine = OpenVinoEngine(path, "fp32", cached=False)
    exact = partial(answer, network, pixels, exact=True)
    check_answers([engine], pixels, answer(network, pixels), TOLERANCES["fp32"], exact)
