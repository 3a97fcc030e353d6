"""Weights → files for where people deploy: ONNX, OpenVINO IR, TorchScript.

Every graph is a variant of one: :func:`export_onnx` traces the network, :func:`export` changes shapes, number
types and outputs of that ONNX and hands it to the other toolkits. Each file is checked before it gets its name.
"""

from lucidbox.export.checking import Check
from lucidbox.export.request import FILE_PRECISIONS, SUFFIXES, Request
from lucidbox.export.tracing import export_onnx
from lucidbox.export.writing import export

__all__ = [
    "SUFFIXES", "FILE_PRECISIONS", "Check", "Request", "export", "export_onnx",
]  # fmt: skip
