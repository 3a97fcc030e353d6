"""int8 by post-training quantisation: where numbers are rounded to 8 bits, measured on pictures, and the graph.

After "Quantization and Training of Neural Networks" (arXiv 1712.05877): activations take 256 steps of one size
from their least to their greatest value, kernels 255 steps around 0 for each output channel; sums stay 32 bits
wide. The graph says so with ONNX's QuantizeLinear and DequantizeLinear.

What makes it fast is where they stand. Only what *computes* a tensor (an activation, a sum) is followed by a
rounding; what merely *carries* numbers (split, concat, max pooling, nearest resizing) passes 8 bits on, for which
all tensors that it joins share their steps. So an engine finds convolution, SiLU and rounding in a row and makes
them one kernel, and nothing between two convolutions is 32 or 16 bits wide. Rounding in front of every
convolution instead, the usual placement, rounds most joined tensors once more by itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import WeightsError
from lucidbox.engines.openvino import shared_core

Range = tuple[float, float]
"""Least and greatest value."""

KERNEL_LIMIT = 127
_STEPS = 255

_UNROUNDED = ("Cast", "Reshape", "Transpose")
"""Operators whose answers are not rounded: the picture's pixels, and what attention reshapes."""


def placement(model: Any) -> dict[str, str]:
    """Which tensors are rounded, and with which others they share their steps.

    Args:
        model: our traced ONNX, fp32.

    Returns:
        For each rounded tensor the name of its group, one of its tensors. Every convolution whose input is such
        a tensor, or only carries such, can compute in 8 bits.
    """
    group = _joined(model)
    producers = {name: node for node in model.graph.node for name in node.output}
    kernels = {constant.name for constant in model.graph.initializer}
    members: dict[str, list[str]] = {}
    for name in producers:
        members.setdefault(_root(group, name), []).append(name)
    rounded: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in kernels or node.input[0] not in producers:
            continue
        root = _root(group, node.input[0])
        computed = [name for name in members[root] if not _carries(producers[name])]
        if all(producers[name].op_type not in _UNROUNDED for name in computed):
            rounded |= dict.fromkeys(computed, root)
    return rounded


def measure_ranges(
    model: Any, groups: Mapping[str, str], batches: Iterable[UInt8[np.ndarray, "b h w 3"]]
) -> dict[str, Range]:
    """Least and greatest value of each rounded tensor's group over all these pictures.

    Extremes, not percentiles: cutting the largest values off did not gain AP (docs/explanation/performance.md).

    Args:
        model: our traced ONNX, fp32.
        groups: from :func:`placement`.
        batches: letterboxed pictures, at least one.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    del changed.graph.output[:]
    outputs = {}
    for number, name in enumerate(groups):
        for operator in ("ReduceMin", "ReduceMax"):
            output = f"{operator}.{number}"
            changed.graph.node.append(helper.make_node(operator, [name], [output], output, keepdims=0))
            changed.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, []))
            outputs[output] = name
    core = shared_core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(
        core.read_model(changed.SerializeToString()), "CPU", options
    ).create_infer_request()
    ranges = dict.fromkeys(groups.values(), (0.0, 0.0))  # 0 itself must be one of the steps
    for batch in batches:
        answer = request.infer([batch])
        for output, name in outputs.items():
            least, greatest = ranges[groups[name]]
            # NumPy's functions, since they keep a NaN.
            value = answer[output]
            ranges[groups[name]] = float(np.minimum(least, value)), float(np.maximum(greatest, value))
    return {name: ranges[root] for name, root in groups.items()}


def with_int8(model: Any, ranges: Mapping[str, Range]) -> Any:
    """A copy with roundings after these tensors, and 8-bit kernels wherever a convolution takes only such.

    Args:
        model: our traced ONNX, fp32.
        ranges: of every tensor to round; those that some operator joins have the same.

    Raises:
        WeightsError: a range or a kernel is not finite.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    del graph.node[:]
    constants = {constant.name: constant for constant in model.graph.initializer}
    group = _joined(model)
    roots = {_root(group, name) for name in ranges}
    narrow = [
        node.op_type == "Conv" and node.input[1] in constants and _root(group, node.input[0]) in roots
        for node in model.graph.node
    ]
    # First, and each once: convolutions with equal kernels share one.
    kernels = {node.input[1] for node, is_narrow in zip(model.graph.node, narrow, strict=True) if is_narrow}
    for kernel in sorted(kernels):
        _round_kernel(graph, constants[kernel])
    rounded: dict[str, str] = {}
    for node, is_narrow in zip(model.graph.node, narrow, strict=True):
        added = graph.node.add()
        added.CopyFrom(node)
        added.input[:] = [rounded.get(name, name) for name in node.input]
        if is_narrow:
            added.input[1] = f"{node.input[1]}.rounded"
        for name in set(node.output) & set(ranges):
            _round_tensor(graph, name, ranges[name])
            rounded[name] = f"{name}.rounded"
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used or constant.name not in kernels]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return changed


def _round_tensor(graph: Any, name: str, span: Range) -> None:
    """256 steps from least to greatest; 0 is one of them, since padding and joined zeros must stay 0."""
    least, greatest = min(span[0], 0.0), max(span[1], 0.0)
    if not np.isfinite([least, greatest]).all():
        raise WeightsError(f"tensor {name} is not finite on the pictures given; the weights are damaged")
    step = max(greatest - least, 1e-6) / _STEPS
    _add(graph, f"{name}.step", np.float32(step))
    _add(graph, f"{name}.zero", np.uint8(round(-least / step)))
    scale = [f"{name}.step", f"{name}.zero"]
    graph.node.append(helper.make_node("QuantizeLinear", [name, *scale], [f"{name}.narrow"], f"{name}.narrow"))
    graph.node.append(
        helper.make_node("DequantizeLinear", [f"{name}.narrow", *scale], [f"{name}.rounded"], f"{name}.rounded")
    )


def _round_kernel(graph: Any, constant: Any) -> None:
    """Whole numbers from -127 to 127 for each output channel, and their step; the wide kernel goes."""
    name = constant.name
    wide = numpy_helper.to_array(constant).astype(np.float64)
    if not np.isfinite(wide).all():
        raise WeightsError(f"tensor {name} is not finite; the weights are damaged")
    steps = np.maximum(np.abs(wide).reshape(len(wide), -1).max(axis=1), 1e-12) / KERNEL_LIMIT
    _add(graph, f"{name}.narrow", np.rint(wide / steps[:, None, None, None]).astype(np.int8))
    _add(graph, f"{name}.step", steps.astype(np.float32))
    _add(graph, f"{name}.zero", np.zeros(len(wide), np.int8))
    parts = [f"{name}.narrow", f"{name}.step", f"{name}.zero"]
    graph.node.append(helper.make_node("DequantizeLinear", parts, [f"{name}.rounded"], f"{name}.rounded", axis=0))


def _add(graph: Any, name: str, values: Any) -> None:
    graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))


def _carries(node: NodeProto) -> bool:
    """Whether an operator's outputs hold nothing but numbers of its inputs."""
    if node.op_type == "Resize":
        return any(attribute.name == "mode" and attribute.s == b"nearest" for attribute in node.attribute)
    return node.op_type in ("Split", "Concat", "MaxPool")


def _joined(model: Any) -> dict[str, str]:
    """For each tensor that an operator carries, another of the same group; the last of a chain names the group."""
    group: dict[str, str] = {}
    for node in model.graph.node:
        if _carries(node):
            # Further inputs of all but concat are lengths and sizes.
            carried = [*(node.input if node.op_type == "Concat" else node.input[:1]), *node.output]
            for name in carried[1:]:
                if (root := _root(group, name)) != (first := _root(group, carried[0])):
                    group[root] = first
    return group


def _root(group: Mapping[str, str], name: str) -> str:
    while name in group:
        name = group[name]
    return name
