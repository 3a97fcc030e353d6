"""What a graph takes and gives: names, number types and shapes, read from the file without any engine."""

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lucidbox.model_files.onnx_fields import Fields

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


# Numbers of fields, by message: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_GRAPH, _OPERATOR_SETS = 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_OUTPUT_OF_NODE, _OPERATOR = 2, 4


def onnx_signature(path: Path, metadata: Mapping[str, str]) -> Signature:
    """The signature of an ONNX file. Numbers of its tensors are passed over, so that a large file costs no more.

    Args:
        path: of the file, which :func:`lucidbox.model_files.onnx_fields.read_onnx_metadata` has checked.
        metadata: of the file.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError, KeyError: it is damaged, or not ONNX.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        reader = _Reader(content)
        whole = list(reader.fields(0, len(content)))
        opsets = [reader.values(*place) for number, *place in whole if number == _OPERATOR_SETS]
        opset = max((int(stated.get(2, 0)) for stated in opsets if not stated.get(1)), default=0)
        graphs = [place for number, *place in whole if number == _GRAPH]
        if not graphs:
            raise ValueError("no graph")
        return reader.signature(list(reader.fields(*graphs[-1])), metadata, opset)


class _Reader:
    """Messages of an ONNX file as texts, numbers and ports."""

    def __init__(self, content: Any) -> None:
        self.content = content
        self.fields = Fields(content)

    def values(self, start: int, end: int) -> dict[int, Any]:
        """The last value of each field: bytes, or a number."""
        return {
            number: first if last < 0 else self.content[first:last]
            for number, first, last in self.fields(start, end)
        }

    def inner(self, start: int, end: int, wanted: int) -> tuple[int, int] | None:
        """Where the last field of this number lies."""
        places = [(first, last) for number, first, last in self.fields.messages(start, end) if number == wanted]
        return places[-1] if places else None

    def signature(self, graph: list[tuple[int, int, int]], metadata: Mapping[str, str], opset: int) -> Signature:
        """Of the fields of a graph."""
        ports: dict[int, list[Port]] = {_INPUT: [], _OUTPUT: []}
        constants, makers, parameters = set[str](), dict[str, str](), 0
        operators = set[str]()
        for number, start, end in graph:
            if number == _NODE:
                kind = self.values(start, end).get(_OPERATOR, b"").decode()
                operators.add(kind)
                for part, first, last in self.fields(start, end):
                    if part == _OUTPUT_OF_NODE:
                        makers[self.content[first:last].decode()] = kind
            elif number == _INITIALIZER:
                constants.add(self.values(start, end).get(8, b"").decode())
                parameters += math.prod(self._dimensions(start, end))
            elif number in ports:
                ports[number].append(self._port(start, end))
        return Signature(
            tuple(port for port in ports[_INPUT] if port.name not in constants),
            tuple(ports[_OUTPUT]),
            metadata,
            frozenset(operators),
            {port.name: makers.get(port.name, "") for port in ports[_OUTPUT]},
            opset,
            parameters,
        )

    def _dimensions(self, start: int, end: int) -> list[int]:
        """Sides of a tensor."""
        sides: list[int] = []
        for number, first, last in self.fields(start, end):
            if number == 1:
                sides += [first] if last < 0 else self.fields.numbers(first, last)
        return sides

    def _port(self, start: int, end: int) -> Port:
        """A ValueInfoProto."""
        name = self.values(start, end)[1].decode()
        kind = self.inner(start, end, 2)
        tensor = self.inner(*kind, 1) if kind else None
        if tensor is None:
            return Port(name, "no tensor", None)
        shape = None
        if place := self.inner(*tensor, 2):
            sides = (self.values(*side) for number, *side in self.fields.messages(*place) if number == 1)
            shape = tuple(side.get(1) or None for side in sides)
        number = self.values(*tensor).get(1, 0)
        return Port(name, _TYPES.get(number, f"type {number}"), shape)


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
