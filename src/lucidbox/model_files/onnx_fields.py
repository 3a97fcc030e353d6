"""ONNX read field by field, without any package: what lucidbox states in a file, and what no file may hold.

An ONNX file is one protobuf message (https://protobuf.dev/programming-guides/encoding/). Engines trust what they
are given: a graph may loop for ever, name other files, or claim sizes that its bytes do not bear out.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lucidbox.core.errors import WeightsError

LARGEST_METADATA = 10_000_000
"""Most bytes of metadata that are read from a file."""

MOST_FIELDS = 1_000_000
"""Most fields that are looked at. A YOLO11x's graph has some 20,000."""

CONTROL_FLOW = ("Loop", "Scan", "If", "SequenceMap")
"""Operators that run graphs of their own, maybe for ever. None is in a graph of ours."""

# Numbers of fields, by message.
_MODEL = {"graph": 7, "metadata": 14, "functions": 25}
_GRAPH = {"node": 1, "initializer": 5, "sparse": 15}
_NODE = {"operator": 4, "attribute": 5}
_ATTRIBUTE_TENSORS = (5, 10)
_ATTRIBUTE_OTHERS = (6, 11, 22, 23)  # graphs and sparse tensors
_DIMENSIONS, _EXTERNAL, _LOCATION = 1, 13, 14
_MOST_DIMENSIONS = 32


CheckExternal = Callable[[Mapping[str, str], int], None]
"""Refuses a tensor that lies in another file, by what it states about that file and by how many numbers it has."""


def _refuse_external(stated: Mapping[str, str], numbers: int) -> None:
    raise WeightsError(
        "its tensors lie in another file, which lucidbox never makes and does not read; save it as one"
        " file (onnx.save without external data), or give what it was made from"
    )


def read_onnx_metadata(content: Any, check_external: CheckExternal = _refuse_external) -> dict[str, str]:
    """Key and value of each entry of metadata; the graph is checked, its numbers are not read.

    Args:
        content: all of the file: bytes or a memory map.
        check_external: is asked about each tensor that lies in another file; as it is, all are refused.

    Raises:
        ValueError: it is not a whole ONNX file.
        WeightsError: the graph holds what lucidbox does not run.
    """
    fields = Fields(content)
    tensors = _Tensors(fields, check_external)
    metadata: dict[str, str] = {}
    left = LARGEST_METADATA
    for number, start, end in fields.messages(0, len(content)):
        if number == _MODEL["functions"]:
            raise WeightsError("an ONNX file with functions of its own, which lucidbox does not run")
        if number == _MODEL["graph"]:
            _check_graph(fields, tensors, start, end)
        if number == _MODEL["metadata"]:
            left -= end - start
            if left < 0:
                raise WeightsError(f"its metadata have more than {LARGEST_METADATA} bytes")
            entry = {part: content[a:b] for part, a, b in fields.messages(start, end)}
            if 1 not in entry:
                raise ValueError("an entry without a key")
            metadata[str(entry[1], "utf-8")] = str(entry.get(2, b""), "utf-8")
    return metadata


def _check_graph(fields: "Fields", tensors: "_Tensors", start: int, end: int) -> None:
    for number, first, last in fields.messages(start, end):
        if number == _GRAPH["node"]:
            _check_node(fields, tensors, first, last)
        elif number == _GRAPH["initializer"]:
            tensors.check(first, last)
        elif number == _GRAPH["sparse"]:
            raise WeightsError("an ONNX file with sparse tensors, which lucidbox does not read")


def _check_node(fields: "Fields", tensors: "_Tensors", start: int, end: int) -> None:
    for number, first, last in fields.messages(start, end):
        if number == _NODE["attribute"]:
            for kind, a, b in fields.messages(first, last):
                if kind in _ATTRIBUTE_TENSORS:
                    tensors.check(a, b)
                elif kind in _ATTRIBUTE_OTHERS:
                    raise WeightsError("a graph with graphs or sparse tensors in its nodes; lucidbox runs no such")
        elif number == _NODE["operator"]:
            refuse_control_flow(str(fields.content[first:last], "utf-8"))


def refuse_control_flow(operator: str) -> None:
    """Refuse an operator that runs a graph of its own.

    Raises:
        WeightsError: it is one.
    """
    if operator in (*CONTROL_FLOW, "TensorIterator"):
        raise WeightsError(
            f"a graph with {operator}, which may run for ever; lucidbox writes no such graph, and runs none"
        )


class _Tensors:
    """Checks that tensors have no more numbers than the bytes they state can hold."""

    def __init__(self, fields: "Fields", check_external: CheckExternal) -> None:
        self._fields, self._check_external = fields, check_external

    def check(self, start: int, end: int) -> None:
        """Check the tensor whose message lies there."""
        lengths: list[int] = []
        stated: dict[str, str] = {}
        external = False
        for number, first, last in self._fields(start, end):
            if number == _EXTERNAL and last >= 0:
                external = True
                entry = {part: self._fields.content[a:b] for part, a, b in self._fields.messages(first, last)}
                stated[str(entry.get(1, b""), "utf-8")] = str(entry.get(2, b""), "utf-8")
            elif number == _LOCATION and last < 0:
                external = external or first == 1
            elif number == _DIMENSIONS:
                lengths += [first] if last < 0 else self._fields.numbers(first, last)
                if len(lengths) > _MOST_DIMENSIONS:
                    raise ValueError("no tensor")
        if external:
            self._check_external(stated, math.prod(lengths))
        # Half a byte is the least that a number takes.
        elif math.prod(lengths) > 2 * (end - start):
            raise WeightsError(f"a tensor of shape {lengths[:8]} has fewer numbers than that; the file is damaged")


class Fields:
    """The fields of protobuf messages; at most :data:`MOST_FIELDS` in all."""

    def __init__(self, content: Any) -> None:
        self.content = content
        self._left = MOST_FIELDS

    def __call__(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each field; of a number its value, and -1 for the end."""
        content = self.content
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WeightsError(f"more than {MOST_FIELDS} fields in an ONNX file; lucidbox writes none like it")
            tag, at = content[at], at + 1
            if tag >= 0x80:
                tag, at = self._number(at - 1)
            kind = tag & 7
            if kind == 2:
                length, at = content[at], at + 1
                if length >= 0x80:
                    length, at = self._number(at - 1)
                if at + length > end:
                    raise ValueError("truncated")
                yield tag >> 3, at, at + length
                at += length
            elif kind == 0:
                value, at = self._number(at)
                yield tag >> 3, value, -1
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                raise ValueError("not a ModelProto")
            if at > end or tag >= 2**32:
                raise ValueError("not a protobuf field")

    def messages(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each field that is a message, a text or a list."""
        for field in self(at, end):
            if field[2] >= 0:
                yield field

    def numbers(self, at: int, end: int) -> list[int]:
        """The numbers of a packed list."""
        found: list[int] = []
        while at < end and len(found) <= _MOST_DIMENSIONS:
            number, at = self._number(at)
            found.append(number)
        return found

    def _number(self, at: int) -> tuple[int, int]:
        """A variable-length integer, and where the next field begins; IndexError beyond the file."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise ValueError("not a varint")


def checked_onnx(content: bytes) -> Mapping[str, str]:
    """As :func:`read_onnx_metadata`; everything that is wrong is a :class:`WeightsError`."""
    try:
        return read_onnx_metadata(content)
    except UnicodeDecodeError:
        raise WeightsError("damaged: a text in it is not UTF-8; fetch or copy the file again") from None
    except (ValueError, IndexError):
        raise WeightsError(
            "not a weights file: neither a checkpoint from torch's save, nor safetensors, nor a whole ONNX file"
        ) from None
