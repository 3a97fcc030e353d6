"""Peak arithmetic of this machine and its noise, measured in the same run as everything else."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.benchmark.spread import Spread
from lucidbox.core.parallel import cores
from lucidbox.detect.letterbox import Size
from lucidbox.engines.openvino import HINTS, import_openvino, shared_core

_PIECE = 4 << 20
_SIDE, _PRODUCTS = 1536, 9


@dataclass(frozen=True)
class Machine:
    """The machine of a run.

    Attributes:
        cores: processor cores that this process may use.
        noise: milliseconds of a fixed piece of work (SHA-256 of 4 MiB, one core), again and again through the
            run. Differences smaller than its width mean nothing.
        peaks: by precision, billions of floating-point operations a second of a large matrix product.
    """

    cores: int
    noise: Spread
    peaks: dict[str, float]


def examine_machine(noise: Sequence[float], precisions: Sequence[str]) -> Machine:
    """The machine, with the peak of each of these precisions that it computes in.

    Args:
        noise: what :func:`fixed_work` took through the run, milliseconds.
        precisions: "fp32", "bf16" or "fp16".
    """
    peaks = {precision: peak(precision) for precision in dict.fromkeys(precisions) if precision in HINTS}
    return Machine(cores(), Spread.of(noise), peaks)


def fixed_work() -> float:
    """Milliseconds of a piece of work that is always the same."""
    content = bytes(_PIECE)
    started = time.perf_counter()
    hashlib.sha256(content).digest()
    return (time.perf_counter() - started) * 1000


def peak(precision: str) -> float:
    """Billions of operations a second of a product of two 1536 × 1536 matrices, the best of nine, all cores.

    What matrix units and kernels reach, not what a data sheet says. Computed by OpenVINO, which has kernels for
    every precision that its networks run in.
    """
    openvino = import_openvino()
    operations = openvino.opset8
    left = operations.parameter([_SIDE, _SIDE], np.float32)
    right = np.random.default_rng(0).random((_SIDE, _SIDE), dtype=np.float32)
    # A parameter beside a constant, as activations are beside weights: those are laid out once, before.
    product = operations.matmul(left, operations.constant(right), False, False)
    model = openvino.Model([product], [left], "product")
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]}
    request = shared_core().compile_model(model, "CPU", options).create_infer_request()
    best = float("inf")
    for _ in range(_PRODUCTS):
        started = time.perf_counter()
        request.infer([right])
        best = min(best, time.perf_counter() - started)
    return 2 * _SIDE**3 / best / 1e9


def operations_of(graph: Path, shapes: Sequence[Size]) -> dict[Size, float]:
    """Billions of floating-point operations of our graph for one picture of each shape.

    Two for each multiply-add of a convolution or matrix product, attention's own included; norms, activations
    and decoding are left out.

    Args:
        graph: our ONNX or OpenVINO IR.
        shapes: heights and widths of network inputs.
    """
    model = shared_core().read_model(str(graph))
    counted = {}
    for shape in dict.fromkeys(shapes):
        model.reshape([1, *shape, 3])
        counted[shape] = sum(2 * _multiplications(node) for node in model.get_ops()) / 1e9
    return counted


def _multiplications(node: Any) -> int:
    """Multiply-adds of one node of a graph with fixed shapes."""
    kind = node.get_type_name()
    if kind not in ("Convolution", "GroupConvolution", "MatMul"):
        return 0
    results = int(np.prod(list(node.output(0).shape)))
    if kind == "MatMul":
        first = list(node.input(0).get_shape())
        return results * int(first[-2] if node.get_attributes()["transpose_a"] else first[-1])
    # Kernels are (groups,) outputs, inputs of a group, height, width.
    kernel = list(node.input(1).get_shape())
    return results * int(np.prod(kernel[2 if kind == "GroupConvolution" else 1 :]))
