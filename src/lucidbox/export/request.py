"""What is asked of an export, refused at once where it cannot be had."""

import math
from dataclasses import dataclass

from lucidbox.core.errors import OptionError
from lucidbox.detect.letterbox import parse_size
from lucidbox.export.variants import DEFAULT_OPSET, OPSETS
from lucidbox.model_files.metadata import LARGEST_INPUT, Suppression

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
"""Formats that can be written, and the suffix of each."""

FILE_PRECISIONS = ("fp32", "fp16", "int8")
LARGEST_BATCH = 1024


@dataclass(frozen=True)
class Request:
    """One file to be made.

    Attributes:
        format: one of :data:`SUFFIXES`.
        precision: "fp32"; "fp16" stores the kernels in half the bytes; "int8"
            computes convolutions in 8 bits, with steps measured on pictures.
        shape: batch, height and width that the graph is fixed to; None for any.
        suppression: what the graph suppresses by itself; None for the network's own answer.
        opset: ONNX's operator set, one of :data:`~lucidbox.export.variants.OPSETS`; by default the oldest.

    Raises:
        OptionError: no such file can be made; the message names what can.
    """

    format: str
    precision: str = "fp32"
    shape: tuple[int, int, int] | None = None
    suppression: Suppression | None = None
    opset: int = DEFAULT_OPSET

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise OptionError(f"format {self.format!r} is unknown; choose one of {', '.join(SUFFIXES)}")
        if self.precision not in FILE_PRECISIONS:
            raise OptionError(
                f"precision {self.precision!r} is unknown; choose one of {', '.join(FILE_PRECISIONS)}"
            )
        if self.shape:
            if not 1 <= self.shape[0] <= LARGEST_BATCH:
                raise OptionError(f"batch {self.shape[0]} is not between 1 and {LARGEST_BATCH}")
            parse_size(self.shape[1:])
            if math.prod(self.shape) > LARGEST_INPUT:
                raise OptionError(
                    f"{self.shape[0]} pictures of {self.shape[1]},{self.shape[2]} have more than {LARGEST_INPUT}"
                    " pixels; give a smaller batch or size"
                )
        if self.format == "torchscript" and (self.precision != "fp32" or self.shape):
            raise OptionError(
                "TorchScript is written in fp32 and for every shape; leave --precision, --size and --batch out"
            )
        if self.opset not in OPSETS:
            raise OptionError(f"opset {self.opset} is not between {min(OPSETS)} and {max(OPSETS)}")
        if self.opset != DEFAULT_OPSET and self.format != "onnx":
            raise OptionError(f"an operator set is chosen for onnx; {self.format} has none: leave --opset out")
        if self.suppression and self.format == "torchscript":
            raise OptionError("suppression inside the graph is for onnx and openvino, not for torchscript")
