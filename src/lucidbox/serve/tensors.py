"""Tensors of the Open Inference Protocol, version 2, with its binary extension: bodies to values and back."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from lucidbox.core.array_types import Shaped
from lucidbox.core.detections import Detections
from lucidbox.detect.predictor import Image
from lucidbox.serve.detecting import json_of
from lucidbox.serve.request_errors import RequestError

INPUTS = (
    {"name": "pixels", "datatype": "UINT8", "shape": [1, -1, -1, 3]},
    {"name": "image", "datatype": "BYTES", "shape": [1]},
)
"""What a model takes, one of these: RGB pixels, or a picture file (in JSON as base64)."""

OUTPUTS = (
    {"name": "boxes", "datatype": "FP32", "shape": [-1, 4]},
    {"name": "scores", "datatype": "FP32", "shape": [-1]},
    {"name": "classes", "datatype": "INT64", "shape": [-1]},
    {"name": "labels", "datatype": "BYTES", "shape": [-1]},
)
"""What a model gives: a row for each detection, best first; boxes are xyxy in pixels of the picture."""

_LONGEST_HEADER = 2**20
_IGNORED = ("priority", "timeout")  # of Triton's clients: nothing here has priority, and the server has a deadline


@dataclass(frozen=True)
class InferRequest:
    """An inference request.

    Attributes:
        picture: a file's bytes, or RGB pixels "h w 3".
        outputs: names of what is wanted, in order, and whether as binary data.
        parameters: of the request.
        request_id: the client's own.
    """

    picture: bytes | Image
    outputs: Mapping[str, bool]
    parameters: Mapping[str, Any]
    request_id: str | None


def read_request(body: bytes, header_length: str | None, max_pixels: int) -> InferRequest:
    """What the body of an inference request asks.

    Args:
        body: JSON, and the binary data behind it.
        header_length: the header Inference-Header-Content-Length: how much of the body is JSON; None for all.
        max_pixels: of a picture.

    Raises:
        RequestError: 400 it does not follow the protocol, 413 too many pixels.
    """
    header, binary = _split(body, header_length)
    document = json_of(header)
    if not isinstance(document, dict):
        raise RequestError(400, "an inference request is a JSON object")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RequestError(400, "give one input: 'pixels', UINT8 [1,h,w,3], or 'image', BYTES [1]")
    parameters = _object(document, "parameters")
    for name in _IGNORED:
        parameters.pop(name, None)
    picture = _picture(inputs[0], binary, max_pixels)
    binary_by_default = _flag(parameters.pop("binary_data_output", False), "binary_data_output")
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise RequestError(400, "id is a text")
    return InferRequest(picture, _outputs(document.get("outputs"), binary_by_default), parameters, request_id)


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 12):
        raise RequestError(400, "Inference-Header-Content-Length is no number")
    length = int(header_length)
    if length > len(body):
        raise RequestError(400, f"Inference-Header-Content-Length is {length}, and the body has {len(body)} bytes")
    if length > _LONGEST_HEADER and length < len(body):
        raise RequestError(413, f"the JSON before binary data has more than {_LONGEST_HEADER} bytes")
    return body[:length], body[length:]


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(400, f"{name} is an object")
    return dict(value or {})


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise RequestError(400, f"{name} is true or false")
    return value


def _picture(given: Mapping[str, Any], binary: bytes, max_pixels: int) -> bytes | Image:
    """The one input's value."""
    name, datatype, shape = given.get("name"), given.get("datatype"), given.get("shape")
    expected = {entry["name"]: entry for entry in INPUTS}.get(name) if isinstance(name, str) else None
    if expected is None:
        raise RequestError(400, f"there is no input {str(name)[:40]!r}; there are 'pixels' and 'image'")
    if datatype != expected["datatype"]:
        raise RequestError(
            400, f"input {name} has datatype {str(datatype)[:20]!r}; it takes {expected['datatype']}"
        )
    if not _fits(shape, expected["shape"]):
        raise RequestError(400, f"input {name} has shape {str(shape)[:60]}; it takes {expected['shape']}")
    assert isinstance(shape, list)
    size = _binary_size(given, binary)
    if name == "image":
        return _one_element(binary) if size is not None else _one_base64(given.get("data"))
    if shape[1] * shape[2] > max_pixels:
        raise RequestError(413, f"{shape[2]}×{shape[1]} pixels exceed the limit of {max_pixels}")
    if size is None:
        return _from_numbers(given.get("data"), shape)
    if size != prod(shape):
        raise RequestError(400, f"input pixels has {size} bytes; its shape needs {prod(shape)}")
    return np.frombuffer(binary, np.uint8).reshape(shape[1:])


def _fits(shape: Any, expected: Any) -> bool:
    """Whether a shape is of whole numbers from 1 that are the expected ones where these are not -1."""
    return (
        isinstance(shape, list)
        and len(shape) == len(expected)
        and all(type(side) is int and 1 <= side < 2**31 for side in shape)
        and all(side == wanted or wanted == -1 for side, wanted in zip(shape, expected, strict=True))
    )


def _binary_size(given: Mapping[str, Any], binary: bytes) -> int | None:
    """Bytes of an input's binary data; None where it has its data in JSON.

    Raises:
        RequestError: 400, it states another length than there is.
    """
    parameters = _object(given, "parameters")
    size = parameters.pop("binary_data_size", None)
    if parameters:
        raise RequestError(400, f"input parameter {next(iter(parameters))[:40]!r} is not known here")
    if (size is None) == ("data" not in given):
        raise RequestError(400, "give an input either 'data' or the parameter 'binary_data_size'")
    if size is not None and type(size) is not int:
        raise RequestError(400, "binary_data_size is a whole number")
    if (size or 0) != len(binary):
        raise RequestError(400, f"{len(binary)} bytes of binary data came, {size or 0} were announced")
    return size


def _one_element(binary: bytes) -> bytes:
    """The one element of a tensor of BYTES: its length, four bytes of it, and it."""
    length = int.from_bytes(binary[:4], "little")
    if len(binary) < 4 or length != len(binary) - 4:
        raise RequestError(
            400, "input image is no single element: four bytes of its length, little-endian, and it"
        )
    return binary[4:]


def _one_base64(data: Any) -> bytes:
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], str):
        raise RequestError(400, "input image takes one text: a picture file in base64")
    try:
        return b64decode(data[0], validate=True)
    except ValueError as error:
        raise RequestError(400, "input image is no base64; send it as binary data, or as base64") from error


def _from_numbers(data: Any, shape: Sequence[int]) -> Image:
    """Pixels from whole numbers of JSON, flat or nested."""
    if not isinstance(data, list):
        raise RequestError(400, "input pixels: data is an array")
    flat = data
    if data and isinstance(data[0], list):
        for length in shape[1:]:
            if not all(isinstance(row, list) and len(row) == length for row in flat):
                raise RequestError(400, f"input pixels: data is nested otherwise than its shape {list(shape)}")
            flat = list(chain.from_iterable(flat))
    if len(flat) != prod(shape):
        raise RequestError(400, f"input pixels: {len(flat)} values, and its shape needs {prod(shape)}")
    try:
        values = bytes(flat)
    except (TypeError, ValueError) as error:
        raise RequestError(400, "input pixels takes whole numbers from 0 to 255") from error
    return np.frombuffer(values, np.uint8).reshape(tuple(shape[1:]))


def _outputs(wanted: Any, binary_by_default: bool) -> dict[str, bool]:
    """Names of the outputs that are wanted, and whether each is as binary data."""
    known = [str(entry["name"]) for entry in OUTPUTS]
    if wanted is None or wanted == []:
        return dict.fromkeys(known, binary_by_default)
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise RequestError(400, "outputs is an array of objects")
    chosen: dict[str, bool] = {}
    for one in wanted:
        name, parameters = one.get("name"), _object(one, "parameters")
        if name not in known or name in chosen:
            raise RequestError(
                400, f"output {str(name)[:40]!r} is unknown, or named twice; there are {', '.join(known)}"
            )
        chosen[name] = _flag(parameters.pop("binary_data", binary_by_default), "binary_data")
        if parameters:
            raise RequestError(400, f"output parameter {next(iter(parameters))[:40]!r} is not known here")
    return chosen


def write_outputs(found: Detections, wanted: Mapping[str, bool]) -> tuple[list[dict[str, Any]], bytes]:
    """Detections as output tensors: their descriptions, and the binary data of those that are sent so."""
    arrays: dict[str, Shaped[np.ndarray, "..."]] = {
        "boxes": found.boxes.astype("<f4", copy=False),
        "scores": found.scores.astype("<f4", copy=False),
        "classes": found.classes.astype("<i8", copy=False),
    }
    entries: list[dict[str, Any]] = []
    binary = []
    for name, as_binary in wanted.items():
        datatype = next(entry["datatype"] for entry in OUTPUTS if entry["name"] == name)
        shape = [len(found), 4] if name == "boxes" else [len(found)]
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if as_binary:
            data = _elements(found.labels) if name == "labels" else np.ascontiguousarray(arrays[name]).tobytes()
            entry["parameters"] = {"binary_data_size": len(data)}
            binary.append(data)
        else:
            entry["data"] = found.labels if name == "labels" else arrays[name].ravel().tolist()
        entries.append(entry)
    return entries, b"".join(binary)


def _elements(texts: Sequence[str]) -> bytes:
    parts = (text.encode(errors="replace") for text in texts)
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
