"""Our exported ONNX files read back as weights.

The export folds each batch norm into its convolution, and the division by 255 into the first one. Here each
convolution gets a norm again, which only adds the folded bias.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lucidbox.core.errors import WeightsError
from lucidbox.model_files.onnx_fields import checked_onnx
from lucidbox.weights.contents import Tensors, Weights, from_metadata
from lucidbox.weights.recognise import NetworkKind, checked, empty_network, kind_of
from lucidbox.weights.unwrapping import STEM, with_norms

PIXEL_SCALE = 255


def read_onnx(content: bytes) -> Weights:
    """Weights from the content of a file that :mod:`lucidbox.export` wrote; float32, norms folded.

    Raises:
        WeightsError: it is not ONNX, not one of ours, or damaged.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    # Before the package makes objects of everything in it.
    metadata = checked_onnx(content)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise WeightsError("damaged: not a whole ONNX file; fetch or copy it again") from None
    if "lucidbox_version" not in metadata:
        raise WeightsError("an ONNX file that lucidbox did not write; give the checkpoint it was exported from")
    if metadata.get("precision") == "int8":
        raise WeightsError("an int8 file, whose weights are rounded; give the file that it was made from")
    stated = from_metadata(metadata, {})
    kind = kind_of(stated)
    return checked(replace(stated, tensors=_unfolded(_initializers(model.graph.initializer), kind)), kind)


def _initializers(constants: Iterable[Any]) -> Tensors:
    """The graph's constants by our names: without the names of wrapping modules, which the exporter prepends."""
    from onnx import numpy_helper

    arrays: Tensors = {}
    for constant in constants:
        name = _text(constant.name)
        try:
            arrays[name] = numpy_helper.to_array(constant)
        except (ValueError, TypeError, KeyError) as error:
            raise WeightsError(f"tensor {name} is damaged ({error})") from None
    prefix = next((name.removesuffix(STEM) for name in arrays if name.endswith(STEM)), "")
    return {name.removeprefix(prefix): array for name, array in arrays.items()}


def _text(value: str | bytes) -> str:
    """A text of the file; protobuf returns a text that is not UTF-8 as bytes."""
    if isinstance(value, bytes):
        raise WeightsError("damaged: a text in it is not UTF-8; fetch or copy the file again")
    return value


def _unfolded(folded: Tensors, kind: NetworkKind) -> Tensors:
    """Tensors of the network as it was before folding. Missing tensors are found by the check that follows."""
    network = empty_network(kind)
    folded = with_norms(folded, network)
    tensors = {name: folded[name] for name in network.state_dict() if name in folded}
    if STEM in tensors:
        with np.errstate(over="ignore", invalid="ignore"):  # the check that follows names what is not finite
            tensors[STEM] = (tensors[STEM].astype(np.float64) * PIXEL_SCALE).astype(np.float32)
    # Our decoder computes these numbers, so no graph contains them; the notebook's checkpoints do.
    for name in network.state_dict():
        if name.endswith(".dfl.project"):
            tensors[name] = np.arange(network.bins, dtype=np.float32)
    return tensors
