"""TensorRT engines, where NVIDIA's package and card are. An engine runs on the kind of card it was made on only.

Written from TensorRT 10's documentation and never run: no machine of this project has had the package. It is
checked against the network like every other artefact, on the card, so a wrong engine is not kept.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import EngineError
from lucidbox.engines.base import Prediction
from lucidbox.export.request import Request

SHAPES = ((1, 32, 32, 3), (1, 640, 640, 3), (16, 1280, 1280, 3))
"""Least, usual and largest input of an engine that takes several."""


def require() -> None:
    """Refuse before anything takes time.

    Raises:
        EngineError: TensorRT or a graphics card is not here.
    """
    if find_spec("tensorrt") is None:
        raise EngineError(
            "tensorrt is not installed; pip install tensorrt, on the machine whose card is to run it"
        )
    import torch

    if not torch.cuda.is_available():
        raise EngineError(
            "a TensorRT engine is made on the graphics card that is to run it, and torch sees none here"
        )


def write(graph: Any, metadata: Mapping[str, str], path: Path, request: Request) -> "TensorRtEngine":
    """Build an engine from an ONNX model; metadata go into a ``.json`` beside it.

    Raises:
        EngineError: TensorRT cannot build it.
    """
    import tensorrt  # type: ignore[import-not-found]

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(_float_first(graph).SerializeToString()):
        raise EngineError(f"tensorrt cannot read the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # on by default, and ten bits are not what fp32 promises
    if request.precision == "fp16":
        config.set_flag(tensorrt.BuilderFlag.FP16)
    if request.shape is None:
        profile = builder.create_optimization_profile()
        profile.set_shape("pixels", *SHAPES)
        config.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise EngineError("tensorrt cannot build an engine of this graph; its own log says why")
    path.write_bytes(bytes(built))
    stated = {**metadata, "precision": request.precision}
    path.with_suffix(".json").write_text(json.dumps(stated, ensure_ascii=False, indent=1), encoding="utf-8")
    return TensorRtEngine(bytes(built), request.precision)


class TensorRtEngine:
    """Runs an engine once or twice, to check it.

    Args:
        content: the serialised engine.
        precision: it was built with.
    """

    name = "tensorrt"

    def __init__(self, content: bytes, precision: str) -> None:
        import tensorrt

        self.precision = precision
        self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(content)

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        import torch

        context = self._engine.create_execution_context()
        context.set_input_shape("pixels", images.shape)
        ports = {"pixels": torch.from_numpy(images).cuda()}
        for name in ("boxes", "scores"):
            ports[name] = torch.empty(tuple(context.get_tensor_shape(name)), device="cuda")
        for name, tensor in ports.items():
            context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        if not context.execute_async_v3(stream.cuda_stream):
            raise EngineError("tensorrt failed to run the engine that it built")
        stream.synchronize()
        return Prediction(ports["boxes"].cpu().numpy(), ports["scores"].cpu().numpy())


def _float_first(graph: Any) -> Any:
    """TensorRT takes bytes only if nothing but a cast reads them; our graph transposes them first."""
    from onnx import ModelProto, TensorProto, helper

    changed = ModelProto()
    changed.CopyFrom(graph)
    del changed.graph.node[:]
    changed.graph.node.append(helper.make_node("Cast", ["pixels"], ["pixels_float"], to=TensorProto.FLOAT))
    for node in graph.graph.node:
        added = changed.graph.node.add()
        added.CopyFrom(node)
        added.input[:] = ["pixels_float" if name == "pixels" else name for name in node.input]
    return changed
