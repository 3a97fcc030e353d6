"""Dresses a graph of ours as other tools export theirs: other pixels in, other answers out, the same network."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEW = 300
"""Boxes of an answer that is suppressed inside."""

_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


class _Graph:
    """Nodes before and after those of a graph."""

    def __init__(self, model):
        self.graph, self.before, self.after, self.nodes = model.graph, [], [], []
        self.count = 0

    def constant(self, values, kind=np.float32):
        name = f"dressing_{self.count}"
        self.count += 1
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, operation, *inputs, outputs=1, **attributes):
        names = [f"dressing_{self.count + number}" for number in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(operation, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names


def dress(
    source, target, kind, *, sides=None, bgr=False, scale=1 / 255, mean=(0, 0, 0), deviation=(1, 1, 1),
    number_type="float32", channels_first=True, transposed=False, normalised=False, names=(), metadata=None,
    activation="sigmoid", moved=0.0, whole_pixels=False, order=None, iou=0.7, class_offset=None,
):  # fmt: skip
    """Write the graph of ``source`` as a model of another tool.

    Args:
        source: an ONNX file of ours that takes any shape.
        target: file to write.
        kind: one of lucidbox's layouts.
        sides: height and width that the input is fixed to; None for any.
        names: renames outputs, in order.
        metadata: of the file, instead of ours.
        activation: of detr-logits.
        moved: pixels by which all boxes are moved right and down, as by a wrong decoding.
        whole_pixels: boxes are rounded.
        order: columns of our classes, in the order of the dressed model.
        iou: of the suppression inside.
        class_offset: pixels by which classes are moved apart before one suppression of all.
    """
    model = onnx.load(source)
    for output in model.graph.output:  # theirs may have the same names
        _rename(model.graph.node, output.name, f"our_{output.name}")
        output.name = f"our_{output.name}"
    built = _Graph(model)
    classes = model.graph.output[1].type.tensor_type.shape.dim[2].dim_value
    image = _pixels(built, bgr, scale, mean, deviation, number_type, channels_first)
    before, built.nodes = built.nodes, []
    boxes, scores = (output.name for output in model.graph.output)
    if moved:
        boxes = built.add("Add", boxes, built.constant(moved))
    if whole_pixels:
        boxes = built.add("Round", boxes)
    if order is not None:
        scores = built.add("Gather", scores, built.constant(order, np.int64), axis=2)
    suppression = {"iou": iou, "class_offset": class_offset}
    outputs, sizes = _answer(
        built, kind, boxes, scores, classes, sides, transposed, normalised, activation, suppression
    )
    if number_type == "float16":
        outputs = [
            (name, built.add("Cast", value, to=TensorProto.FLOAT16) if name != "labels" else value, shape)
            for name, value, shape in outputs
        ]
    after = built.nodes
    renamed = list(names) or [name for name, _, _ in outputs]
    for (_, value, _), name in zip(outputs, renamed, strict=True):
        # The last node makes the output itself, as exporters' graphs have it.
        _rename(after, value, name)
    graph = model.graph
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    height, width = sides or ("height", "width")
    batch = 1 if sides else "batch"
    shape = [batch, 3, height, width] if channels_first else [batch, height, width, 3]
    graph.input.append(helper.make_tensor_value_info(image, _TYPES[number_type], shape))
    if sizes:
        graph.input.append(helper.make_tensor_value_info(sizes, TensorProto.INT64, [batch, 2]))
    for (name, _, shape), new in zip(outputs, renamed, strict=True):
        kind_of_number = TensorProto.INT64 if name == "labels" and kind == "detr-boxes" else _TYPES[
            "float16" if number_type == "float16" else "float32"
        ]  # fmt: skip
        shape = [batch if side == "b" else side for side in shape]
        graph.output.append(helper.make_tensor_value_info(new, kind_of_number, shape))
    del model.metadata_props[:]
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return target


def _rename(nodes, old, new):
    for node in nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _pixels(built, bgr, scale, mean, deviation, number_type, channels_first):
    """From another tool's pixels back to ours: the inverse of (value * scale - mean) / deviation, rounded."""
    image, pixels = "images", built.graph.input[0].name
    value = image
    if number_type == "float16":
        value = built.add("Cast", value, to=TensorProto.FLOAT)
    if channels_first:
        value = built.add("Transpose", value, perm=[0, 2, 3, 1])
    if number_type != "uint8":
        value = built.add("Mul", value, built.constant(np.array(deviation)))
        value = built.add("Add", value, built.constant(np.array(mean)))
        value = built.add("Div", value, built.constant(scale))
        value = built.add("Round", value)
        value = built.add("Cast", value, to=TensorProto.UINT8)
    if bgr:
        value = built.add("Gather", value, built.constant([2, 1, 0], np.int64), axis=3)
    if not built.nodes:
        built.add("Identity", value)
    built.nodes[-1].output[0] = pixels
    return image


def _answer(built, kind, boxes, scores, classes, sides, transposed, normalised, activation, suppression):
    """Outputs (name, value, shape) of a kind, and the name of a second input."""
    anchors = sum((sides[0] // stride) * (sides[1] // stride) for stride in (8, 16, 32)) if sides else "anchors"
    if kind in ("yolo", "yolo-objectness"):
        centred = _centred(built, boxes, sides if normalised else None)
        if kind == "yolo":
            answer = built.add("Concat", centred, scores, axis=2)
            if transposed:
                return [("output0", answer, ["b", anchors, 4 + classes])], None
            answer = built.add("Transpose", answer, perm=[0, 2, 1])
            return [("output0", answer, ["b", 4 + classes, anchors])], None
        # Half an objectness and the double of a class multiply to the same bits.
        half = built.add(
            "Add", built.add("Mul", _columns(built, scores, 0, 1), built.constant(0.0)), built.constant(0.5)
        )
        doubled = built.add("Mul", scores, built.constant(2.0))
        return [("output", built.add("Concat", centred, half, doubled, axis=2), ["b", anchors, 5 + classes])], None
    if kind == "yolox":
        return [("output", _in_cells(built, boxes, scores, sides), ["b", anchors, 5 + classes])], None
    few_boxes, few_scores, few_labels = _suppressed(built, boxes, scores, **suppression)
    if kind == "end-to-end":
        columns = [
            built.add("Unsqueeze", value, built.constant([2], np.int64)) for value in (few_scores, few_labels)
        ]
        return [("output0", built.add("Concat", few_boxes, *columns, axis=2), [1, FEW, 6])], None
    if kind == "detr-logits":
        ids = built.add("Cast", few_labels, to=TensorProto.INT64)
        flat = built.add("OneHot", ids, built.constant(classes, np.int64), built.constant([0.0, 1.0]))
        wide = built.add("Mul", flat, built.add("Unsqueeze", few_scores, built.constant([2], np.int64)))
        wide = built.add("Clip", wide, built.constant(1e-7), built.constant(1 - 1e-7))
        rest = built.add("Sub", built.constant(1.0), wide)
        logits = built.add("Log", built.add("Div", wide, rest))
        if activation == "softmax":
            best = built.add("ReduceSum", wide, built.constant([2], np.int64), keepdims=1)
            background = built.add("Clip", built.add("Sub", built.constant(1.0), best), built.constant(1e-7))
            logits = built.add("Log", built.add("Concat", wide, background, axis=2))
            classes += 1
        return [
            ("dets", _centred(built, few_boxes, sides), [1, FEW, 4]),
            ("labels", logits, [1, FEW, classes]),
        ], None
    sizes = "orig_target_sizes"
    height, width = sides
    shares = built.add("Div", few_boxes, built.constant([width, height, width, height]))
    given = built.add("Cast", sizes, to=TensorProto.FLOAT)
    given = built.add("Unsqueeze", built.add("Concat", given, given, axis=1), built.constant([1], np.int64))
    return [
        ("labels", built.add("Cast", few_labels, to=TensorProto.INT64), [1, FEW]),
        ("boxes", built.add("Mul", shares, given), [1, FEW, 4]),
        ("scores", built.add("Identity", few_scores), [1, FEW]),
    ], sizes


def _columns(built, value, start, stop):
    bounds = [built.constant([bound], np.int64) for bound in (start, stop, 2)]
    return built.add("Slice", value, *bounds)


def _centred(built, boxes, sides):
    """Centre x, y, width, height; shares of ``sides`` where given."""
    low, high = _columns(built, boxes, 0, 2), _columns(built, boxes, 2, 4)
    centres = built.add("Mul", built.add("Add", low, high), built.constant(0.5))
    centred = built.add("Concat", centres, built.add("Sub", high, low), axis=2)
    if sides:
        height, width = sides
        centred = built.add("Div", centred, built.constant([width, height, width, height]))
    return centred


def _in_cells(built, boxes, scores, sides):
    """Distances from the cell's corner and logarithms of sides, in cells; ends with a transposition."""
    corners, strides = [], []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[: sides[0] // stride, : sides[1] // stride]
        corners.append(np.stack((columns, rows), -1).reshape(-1, 2))
        strides.append(np.full((rows.size, 1), stride))
    cells, steps = np.concatenate(corners), np.concatenate(strides)
    centred = built.add("Div", _centred(built, boxes, None), built.constant(steps))
    centres = built.add("Sub", _columns(built, centred, 0, 2), built.constant(cells))
    logarithms = built.add("Log", _columns(built, centred, 2, 4))
    half = built.add(
        "Add", built.add("Mul", _columns(built, scores, 0, 1), built.constant(0.0)), built.constant(0.5)
    )
    doubled = built.add("Mul", scores, built.constant(2.0))
    answer = built.add("Concat", centres, logarithms, half, doubled, axis=2)
    return built.add("Transpose", built.add("Transpose", answer, perm=[0, 2, 1]), perm=[0, 2, 1])


def _suppressed(built, boxes, scores, iou, class_offset, conf=0.05):
    """Boxes, scores and class ids that stay of one image, filled up with zeros."""
    best = built.add("ReduceMax", scores, axes=[2], keepdims=1)
    labels = built.add("ArgMax", scores, axis=2, keepdims=1)
    apart = boxes
    if class_offset is None:
        is_best = built.add("Cast", built.add("Equal", scores, best), to=TensorProto.FLOAT)
        by_class = built.add("Transpose", built.add("Mul", scores, is_best), perm=[0, 2, 1])
    else:
        offset = built.add("Mul", built.add("Cast", labels, to=TensorProto.FLOAT), built.constant(class_offset))
        apart = built.add("Add", boxes, offset)
        by_class = built.add("Transpose", best, perm=[0, 2, 1])
    most, limits = built.constant(FEW, np.int64), (built.constant(iou), built.constant(conf))
    chosen = built.add("NonMaxSuppression", apart, by_class, most, *limits)
    anchors = _column(built, chosen, 2)
    zero = built.constant([0], np.int64)
    flat_boxes, flat_scores = built.add("Squeeze", boxes, zero), built.add("Squeeze", best, zero)
    kept_boxes = built.add("Gather", flat_boxes, anchors, axis=0)
    kept_scores = built.add("Gather", flat_scores, anchors, axis=0)
    flat_labels = built.add("Cast", built.add("Squeeze", labels, zero), to=TensorProto.FLOAT)
    kept_labels = built.add("Gather", flat_labels, anchors, axis=0)
    rows = built.add("Concat", kept_boxes, kept_scores, kept_labels, axis=1)
    filled = built.add("Concat", rows, built.constant(np.zeros((FEW, 6))), axis=0)
    _, order = built.add("TopK", _column(built, filled, 4), built.constant([FEW], np.int64), outputs=2)
    rows = built.add("Unsqueeze", built.add("Gather", filled, order, axis=0), zero)
    few_boxes = _columns(built, rows, 0, 4)
    two = built.constant([2], np.int64)
    return few_boxes, *(built.add("Squeeze", _columns(built, rows, at, at + 1), two) for at in (4, 5))


def _column(built, matrix, number):
    return built.add("Gather", matrix, built.constant(number, np.int64), axis=1)
