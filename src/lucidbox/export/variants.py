"""Our traced ONNX with other shapes, number types or outputs. Pure: each function gives a changed copy.

Initializers keep their names, so that every variant can still be read as weights.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.metadata import Suppression
from lucidbox.weights.unwrapping import STEM

_KERNEL_AXES = 4

TRACED_OPSET = 18
"""The operator set in which graphs are traced and changed: the oldest that torch's exporter writes by itself."""

OPSETS = {15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}
"""Operator sets that files can be written in, and the oldest version of ONNX's format (IR) for each."""

DEFAULT_OPSET = min(OPSETS)
"""Our graphs have the same nodes in each, so the oldest costs nothing, and most runtimes load it."""

_CLASS_AXIS = 2

_AXES_INPUT_SINCE_18 = ("ReduceMax", "ReduceMean", "ReduceMin")
"""Operators whose axes older sets take as an attribute."""

_NEW_IN_18 = {
    "Split": ("num_outputs",), "Resize": ("antialias", "keep_aspect_ratio_policy"),
    **dict.fromkeys(_AXES_INPUT_SINCE_18, ("noop_with_empty_axes",)),
}  # fmt: skip
"""Attributes that older sets lack; what our graphs say with them is what those do anyway."""


def with_metadata(model: Any, entries: Mapping[str, str]) -> Any:
    """With these entries of metadata, replaced where they are there."""
    changed = _copy(model)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    del changed.metadata_props[:]
    for key, value in sorted({**kept, **entries}.items()):
        entry = changed.metadata_props.add()
        entry.key, entry.value = key, value
    return changed


def metadata_of(model: Any) -> dict[str, str]:
    """All entries of a model's metadata."""
    return {entry.key: entry.value for entry in model.metadata_props}


def with_opset(model: Any, opset: int) -> Any:
    """In another operator set: the same nodes, with the attributes and inputs that this set wants.

    Args:
        model: one of ours.
        opset: one of :data:`OPSETS`.
    """
    changed = _copy(model)
    changed.opset_import[0].version, changed.ir_version = opset, OPSETS[opset]
    constants = {constant.name: constant for constant in changed.graph.initializer}
    moved = set[str]()
    for node in changed.graph.node:
        if opset < TRACED_OPSET:
            kept = [one for one in node.attribute if one.name not in _NEW_IN_18.get(node.op_type, ())]
            del node.attribute[:]
            node.attribute.extend(kept)
            if node.op_type in _AXES_INPUT_SINCE_18 and len(node.input) > 1:
                axes = node.input.pop()
                moved.add(axes)
                values = numpy_helper.to_array(constants[axes]).tolist()
                node.attribute.append(helper.make_attribute("axes", values))
        elif node.op_type == "Split" and len(node.input) == 1 and not _has(node, "num_outputs"):
            node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))
    used = {name for node in changed.graph.node for name in node.input}
    for name in moved - used:
        changed.graph.initializer.remove(constants[name])
    onnx.checker.check_model(changed)  # no node may be left that this set does not have
    return changed


def _has(node: Any, name: str) -> bool:
    return any(attribute.name == name for attribute in node.attribute)


def lean(model: Any) -> Any:
    """Without the exporter's notes: where in our source each node came from, and shapes that engines infer."""
    changed = _copy(model)
    del changed.graph.value_info[:]
    for node in changed.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    return changed


def with_shape(model: Any, shape: tuple[int, int, int]) -> Any:
    """For one batch, height and width only; what computed with shapes becomes constants.

    Args:
        model: dynamic.
        shape: batch, height, width.
    """
    from onnxscript import optimizer

    changed = with_opset(model, TRACED_OPSET)  # folding knows it best
    dimensions = changed.graph.input[0].type.tensor_type.shape.dim
    for dimension, length in zip(dimensions, shape, strict=False):
        dimension.dim_value = length
    # Shapes of the dynamic graph, in its symbols: they would contradict.
    del changed.graph.value_info[:]
    for port in changed.graph.output:
        port.type.tensor_type.shape.dim[0].dim_value = shape[0]
        port.type.tensor_type.shape.dim[1].dim_param = "anchors"
    folded = optimizer.optimize(changed, onnx_shape_inference=True)
    return with_metadata(_with_initializers(lean(folded), model), {"shape": ",".join(map(str, shape))})


def with_half_storage(model: Any) -> Any:
    """Kernels stored in fp16 and widened when the model is loaded: half the bytes, arithmetic as before.

    Biases stay, being few. So does the first kernel: its division by 255 brings it to where fp16 has few digits.

    Raises:
        WeightsError: a number is beyond fp16.
    """
    changed = _copy(model)
    del changed.graph.node[:]
    wide: dict[str, str] = {}
    for constant in changed.graph.initializer:
        is_kernel = constant.data_type == TensorProto.FLOAT and len(constant.dims) == _KERNEL_AXES
        if not is_kernel or constant.name.endswith(STEM):
            continue
        name = constant.name
        with np.errstate(over="ignore"):
            halves = numpy_helper.to_array(constant).astype(np.float16)
        if not np.isfinite(halves).all():
            raise WeightsError(f"tensor {name} has numbers beyond fp16; export with --precision fp32")
        constant.CopyFrom(numpy_helper.from_array(halves, name))
        wide[name] = f"{name}.wide"
        changed.graph.node.append(helper.make_node("Cast", [name], [wide[name]], wide[name], to=TensorProto.FLOAT))
    for node in model.graph.node:
        added = changed.graph.node.add()
        added.CopyFrom(node)
        added.input[:] = [wide.get(name, name) for name in node.input]
    return with_metadata(changed, {"precision": "fp16"})


def with_suppression(model: Any, suppression: Suppression, classes: int) -> Any:
    """With selection and exact suppression inside; see :func:`_suppression_nodes` for the outputs.

    Args:
        model: that gives ``boxes`` and ``scores`` of every anchor.
        suppression: what to keep.
        classes: number of classes.
    """
    changed = with_opset(model, TRACED_OPSET)
    del changed.graph.output[:]
    ours = {"boxes": "all_boxes", "scores": "all_scores"}
    for node in changed.graph.node:
        node.input[:] = [ours.get(name, name) for name in node.input]
        node.output[:] = [ours.get(name, name) for name in node.output]
    _add_suppression(changed.graph, suppression, classes)
    stated = {"conf": suppression.conf, "iou": suppression.iou, "max_det": suppression.max_det}
    return with_metadata(changed, {"suppression": json.dumps(stated)})


def suppression_alone(suppression: Suppression, classes: int) -> Any:
    """The part that :func:`with_suppression` adds, as a model from ``all_boxes`` and ``all_scores``."""
    boxes = helper.make_tensor_value_info("all_boxes", TensorProto.FLOAT, ["b", "a", 4])
    scores = helper.make_tensor_value_info("all_scores", TensorProto.FLOAT, ["b", "a", classes])
    graph = helper.make_graph([], "suppression", [boxes, scores], [])
    _add_suppression(graph, suppression, classes)
    version = helper.make_opsetid("", TRACED_OPSET)
    return helper.make_model(graph, opset_imports=[version], ir_version=OPSETS[TRACED_OPSET])


def _add_suppression(graph: Any, suppression: Suppression, classes: int) -> None:
    """Append nodes, constants and outputs.

    An anchor stands for its best class, the lower one of equals. ONNX's NonMaxSuppression works class by class and
    compares IoU > threshold, as ours does; kept scores are put back to their anchors, so that one TopK over
    anchors orders and cuts: best score first. Equal scores come in the engine's order, ONNX Runtime's being ours.

    Outputs: ``boxes`` (b k 4) xyxy pixels, ``scores`` (b k), ``classes`` (b k) int64, best first; k is max_det or
    the number of anchors, if that is less. Rows after the last kept box have score 0 and mean nothing.
    """
    for name, values in _constants(suppression, classes).items():
        graph.initializer.append(numpy_helper.from_array(values, name))
    for operator, inputs, output, options in _suppression_nodes():
        graph.node.append(
            helper.make_node(operator, inputs.split(), output.split(), f"suppress_{output}", **options)
        )
    for name, kind, tail in (
        ("boxes", TensorProto.FLOAT, [4]), ("scores", TensorProto.FLOAT, []), ("classes", TensorProto.INT64, []),
    ):  # fmt: skip
        graph.output.append(helper.make_tensor_value_info(name, kind, ["b", "k", *tail]))


def _constants(suppression: Suppression, classes: int) -> dict[str, Any]:
    return {
        "s_conf": np.float32(suppression.conf).reshape(()),
        "s_iou": _above(suppression.iou),
        "s_most": np.array([suppression.max_det], np.int64),
        "s_class_axis": np.array([_CLASS_AXIS], np.int64),
        "s_one": np.array([1], np.int64),
        "s_last": np.array([2], np.int64),
        "s_zero": np.zeros((), np.float32),
        "s_class_ids": np.arange(classes, dtype=np.int64).reshape(1, classes, 1),
        "s_picture_and_anchor": np.array([0, 2], np.int64),
    }


def _above(iou: float) -> Any:
    """The next number: OpenVINO drops boxes whose IoU is the threshold, at 0 all of a class, which ours keeps."""
    after = np.nextafter(np.float32(iou), np.float32(1))
    return np.maximum(after, np.finfo(np.float32).tiny).reshape(1)


def _suppression_nodes() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Operator, inputs, outputs and attributes of each step."""
    return [
        ("ReduceMax", "all_scores s_class_axis", "best", {"keepdims": 0}),
        ("ArgMax", "all_scores", "label", {"axis": 2, "keepdims": 0}),
        ("Unsqueeze", "label s_one", "label_row", {}),
        ("Equal", "label_row s_class_ids", "is_best", {}),
        ("Transpose", "all_scores", "by_class", {"perm": [0, 2, 1]}),
        ("Greater", "by_class s_conf", "is_above", {}),
        ("And", "is_best is_above", "is_candidate", {}),
        # Scores of others become 0: whether an engine compares with > or with >= no longer matters.
        ("Where", "is_candidate by_class s_zero", "candidates", {}),
        ("NonMaxSuppression", "all_boxes candidates s_most s_iou s_conf", "kept", {}),
        ("Gather", "kept s_picture_and_anchor", "places", {"axis": 1}),
        ("GatherND", "best places", "kept_scores", {}),
        ("Mul", "best s_zero", "nothing", {}),
        ("ScatterND", "nothing places kept_scores", "by_anchor", {}),
        ("Shape", "best", "anchors", {"start": 1}),
        ("Min", "anchors s_most", "count", {}),
        ("TopK", "by_anchor count", "scores ranked", {"axis": 1}),
        ("Unsqueeze", "ranked s_last", "rows", {}),
        ("GatherND", "all_boxes rows", "boxes", {"batch_dims": 1}),
        ("GatherElements", "label ranked", "classes", {"axis": 1}),
    ]


def _with_initializers(model: Any, source: Any) -> Any:
    """Give back tensors that a folding dropped or merged, so that weights can be read; engines drop them again."""
    present = {constant.name for constant in model.graph.initializer}
    for constant in source.graph.initializer:
        if constant.name.startswith("detecting.") and constant.name not in present:
            model.graph.initializer.add().CopyFrom(constant)
    return model


def _copy(model: Any) -> Any:
    changed = ModelProto()
    changed.CopyFrom(model)
    return changed
