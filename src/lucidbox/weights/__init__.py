"""Weights files: published ``.pt``, the notebook series' checkpoints, our safetensors, our ONNX.

Reading never runs code of a file, and torch is imported only when a network is made or its shapes are needed.
Public modules besides the names below: ``keys`` (names of tensors), ``licence_text``, ``onnx_file``,
``unwrapping``.

Example:
    >>> weights = read(Path("yolo11n.pt"))
    >>> write(weights, Path("yolo11n.safetensors"))
    >>> model = network(weights)
"""

from lucidbox.weights.class_names import read_names
from lucidbox.weights.contents import Weights, to_metadata
from lucidbox.weights.description import Description, describe
from lucidbox.weights.licence_text import NOT_STATED
from lucidbox.weights.networks import from_network, halved, network, renamed
from lucidbox.weights.reading import read
from lucidbox.weights.store import write

__all__ = [
    "Description", "NOT_STATED", "Weights", "describe", "from_network", "halved", "keys", "licence_text",
    "network", "onnx_file", "read", "read_names", "renamed", "to_metadata", "write", "contents", "unwrapping",
]  # fmt: skip
