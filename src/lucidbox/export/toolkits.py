"""OpenVINO IR and TorchScript files."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import torch

from lucidbox import weights as weights_files
from lucidbox.engines.openvino import import_openvino, shared_core
from lucidbox.export.tracing import FromPixels, quiet
from lucidbox.model.fuse import fuse
from lucidbox.model_files.toolkit_metadata import EXTRA_FILE
from lucidbox.weights import Weights


def write_ir(graph: Path, metadata: Mapping[str, str], path: Path) -> None:
    """Write an ONNX file as OpenVINO IR: ``path`` and a ``.bin`` beside it; metadata as ``rt_info/lucidbox``.

    Number types stay as they are in the ONNX: OpenVINO's own compression would halve every constant.
    """
    openvino = import_openvino()
    model = shared_core().read_model(str(graph))
    for key, value in metadata.items():
        model.set_rt_info(value, ["lucidbox", key])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def write_torchscript(weights: Weights, path: Path) -> None:
    """Write the fused network and its decoder, from uint8 pixels to boxes and scores, for any batch and size."""
    module = FromPixels(fuse(weights_files.network(weights))).eval()
    # Unequal sides and two pictures, as for ONNX.
    example = torch.zeros(2, 96, 160, 3, dtype=torch.uint8)
    buffer = io.BytesIO()  # a file's own name would become part of its content
    with quiet(), torch.no_grad():
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        entry = {EXTRA_FILE: json.dumps(weights_files.to_metadata(weights), ensure_ascii=False)}
        torch.jit.save(traced, buffer, _extra_files=entry)
    path.write_bytes(buffer.getvalue())
