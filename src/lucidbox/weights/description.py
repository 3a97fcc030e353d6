"""Facts about weights, for ``lucidbox weights show``."""

from collections import Counter
from dataclasses import dataclass

from lucidbox.weights.contents import DEFAULT_SIZE, Weights
from lucidbox.weights.recognise import empty_network, kind_of


@dataclass(frozen=True)
class Description:
    """Facts about weights, for people and programs.

    Attributes:
        architecture: name for ``lucidbox.model.build``.
        options: further options of ``build``.
        classes: number of classes.
        names: their names, by class id.
        size: longer side of the images that the network is meant for, pixels.
        strides: input pixels per cell of each output level.
        parameters: number of parameters, as published: the fixed ones of the decoder are counted.
        fixed_parameters: how many of them are fixed, not learned.
        gflops: billions of floating-point operations for a 640×640 image.
        tensors: number of arrays in the state.
        types: number of arrays of each number type.
        conf: the score above which its boxes are worth showing.
        licence: as the file states it.
        provenance: where the weights come from.
        source_sha256: hash of the file they were first read from.

    Example:
        >>> describe(read("yolo11n.pt")).gflops
    """

    architecture: str
    options: dict[str, int]
    classes: int
    names: tuple[str, ...]
    size: int
    strides: tuple[int, ...]
    parameters: int
    fixed_parameters: int
    gflops: float
    tensors: int
    types: dict[str, int]
    conf: float
    licence: str
    provenance: str
    source_sha256: str


def describe(weights: Weights) -> Description:
    """Everything known about weights but their numbers."""
    from lucidbox.model import gflops, parameters

    empty = empty_network(kind_of(weights))
    count = parameters(empty)
    stated = ("architecture", "options", "names", "size", "conf", "licence", "provenance", "source_sha256")
    return Description(
        **{name: getattr(weights, name) for name in stated},
        classes=len(weights.names),
        strides=empty.strides,
        parameters=count.published,
        fixed_parameters=count.fixed,
        gflops=gflops(empty, DEFAULT_SIZE),
        tensors=len(weights.tensors),
        types=dict(Counter(str(array.dtype) for array in weights.tensors.values())),
    )
