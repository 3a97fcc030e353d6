"""What a graph takes and gives: names, number types and shapes, read from the file without any engine."""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Dimension = int | None
"""A side of an array; None where it may be any."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: as the graph states it.
        type: of its numbers, such as "float32".
        shape: its sides; None where they are not stated at all.
    """

    name: str
    type: str
    shape: tuple[Dimension, ...] | None

    def __str__(self) -> str:
        sides = "?" if self.shape is None else "×".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {sides} {self.type}"


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives.

    Attributes:
        inputs: without constants.
        outputs: in the graph's order.
        metadata: texts that the file carries.
        operators: names of all operations.
        last_operators: of each output, the operation that makes it.
        opset: version of the operators of ONNX; 0 for other formats.
        parameters: numbers in the graph's constants.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    operators: frozenset[str] = frozenset()
    last_operators: Mapping[str, str] = field(default_factory=dict)
    opset: int = 0
    parameters: int = 0


_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
_IR_TYPES = {"f32": "float32", "f16": "float16", "u8": "uint8", "i32": "int32", "i64": "int64"}


def onnx_signature(path: Path) -> Signature:
    """The signature of an ONNX file. Constants are passed over, so that a large file costs no more.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError: it is damaged, or not ONNX.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            return _of_model(view)
        finally:
            view.release()


def _of_model(model: memoryview) -> Signature:
    # Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    graph: memoryview | None = None
    metadata: dict[str, str] = {}
    opset = 0
    for number, value in fields(model):
        if number == 7:
            graph = value
        elif number == 8:
            stated = dict(fields(value))
            if not bytes(stated.get(1, b"")):
                opset = stated.get(2, 0)
        elif number == 14:
            entry = dict(fields(value))
            metadata[text(entry[1])] = text(entry.get(2, b""))
    if graph is None:
        raise ValueError("no graph")
    inputs, outputs, constants, operators, makers, parameters = [], [], set[str](), set[str](), {}, 0
    for number, value in fields(graph):
        if number == 1:
            kind, made = _node(value)
            operators.add(kind)
            makers.update(dict.fromkeys(made, kind))
        elif number == 5:
            name, count = _constant(value)
            constants.add(name)
            parameters += count
        elif number == 11:
            inputs.append(_port(value))
        elif number == 12:
            outputs.append(_port(value))
    return Signature(
        tuple(port for port in inputs if port.name not in constants),
        tuple(outputs),
        metadata,
        frozenset(operators),
        {port.name: makers.get(port.name, "") for port in outputs},
        opset,
        parameters,
    )


def _node(node: memoryview) -> tuple[str, list[str]]:
    """A node's operation and the names of what it makes."""
    kind, made = "", []
    for number, value in fields(node):
        if number == 2:
            made.append(text(value))
        elif number == 4:
            kind = text(value)
    return kind, made


def _constant(tensor: memoryview) -> tuple[str, int]:
    """A constant's name and how many numbers it has."""
    name, count = "", 1
    for number, value in fields(tensor):
        if number == 1:
            for side in [value] if isinstance(value, int) else _packed(value):
                count *= side
        elif number == 8:
            name = text(value)
    return name, count


def _port(stated: memoryview) -> Port:
    """A ValueInfoProto."""
    entries = dict(fields(stated))
    tensor = dict(fields(dict(fields(entries[2]))[1])) if 2 in entries else {}
    shape = None
    if 2 in tensor:
        sides = (dict(fields(side)) for number, side in fields(tensor[2]) if number == 1)
        shape = tuple(side.get(1) or None for side in sides)
    number = tensor.get(1, 0)
    return Port(text(entries[1]), _TYPES.get(number, f"type {number}"), shape)


def fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protobuf message; the value is an int, or a view of bytes.

    Raises:
        ValueError: it is not such a message, or truncated.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, place = _varint(message, place)
            yield number, value
        elif wire_type in (1, 2, 5):
            length = 8 if wire_type == 1 else 4
            if wire_type == 2:
                length, place = _varint(message, place)
            if place + length > end:
                raise ValueError("truncated")
            yield number, message[place : place + length]
            place += length
        else:
            raise ValueError("not a protobuf message")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A variable-length integer, and the place after it: https://protobuf.dev/programming-guides/encoding/."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("not a varint")


def _packed(values: memoryview) -> Iterator[int]:
    place = 0
    while place < len(values):
        value, place = _varint(values, place)
        yield value


def text(value: Any) -> str:
    """A field's bytes as text."""
    return bytes(value).decode()


def ir_signature(root: ElementTree.Element) -> Signature:
    """The signature of an OpenVINO IR, from its parsed XML.

    Raises:
        ValueError: it is no IR.
    """
    layers = {layer.get("id", ""): layer for layer in root.iterfind("layers/layer")}
    feeding = {edge.get("to-layer"): edge for edge in root.iterfind("edges/edge")}
    inputs, outputs, makers = [], [], {}
    for number, layer in layers.items():
        if layer.get("type") == "Parameter":
            inputs.append(_ir_port(layer, layer.find("output/port")))
        elif layer.get("type") == "Result":
            edge = feeding[number]
            maker = layers[edge.get("from-layer", "")]
            port = next(port for port in maker.iterfind("output/port") if port.get("id") == edge.get("from-port"))
            outputs.append(_ir_port(maker, port))
            makers[outputs[-1].name] = maker.get("type", "")
    if not inputs or not outputs:
        raise ValueError("a graph without inputs or outputs")
    metadata = {
        entry.tag: entry.get("value", "")
        for entry in [*root.iterfind("rt_info/model_info/*"), *root.iterfind("rt_info/framework/*")]
    }
    kinds = frozenset(layer.get("type", "") for layer in layers.values())
    return Signature(tuple(inputs), tuple(outputs), metadata, kinds, makers)


def _ir_port(layer: ElementTree.Element, port: ElementTree.Element | None) -> Port:
    if port is None:
        raise ValueError("a layer without ports")
    sides = tuple(int(side.text or -1) for side in port.iterfind("dim"))
    name = (port.get("names") or layer.get("name") or "").split(",")[0]
    kind = port.get("precision", "").lower().replace("fp", "f")
    return Port(name, _IR_TYPES.get(kind, kind), tuple(side if side > 0 else None for side in sides))
