"""Loads a model that lucidbox did not write into an engine that runs its format."""

from lucidbox.engines.base import Engine
from lucidbox.engines.layouts.engine import GraphRunner, LayoutEngine
from lucidbox.model_files import ModelFile
from lucidbox.model_files.file_format import data_files
from lucidbox.model_files.layouts.layout import Layout


def load_foreign(name: str, file: ModelFile, layout: Layout, precision: str, threads: int | None) -> Engine:
    """Load a model that lucidbox did not write into the engine of this name, behind the contract of our engines.

    Its own tool computes it in fp32, and its decoding is not made for less: "auto" means fp32.
    """
    precision = "fp32" if precision == "auto" else precision
    beside = data_files(file.path)
    graph: GraphRunner
    if name == "openvino":
        from lucidbox.engines.openvino import OpenVinoEngine

        graph = OpenVinoEngine(file.path, precision, threads, beside=beside, pixels=layout.pixels)
    elif name == "onnxruntime":
        from lucidbox.engines.onnxruntime import OnnxRuntimeEngine

        graph = OnnxRuntimeEngine(file.path, precision, threads, beside=beside)
    else:
        from lucidbox.engines.torchscript import TorchScriptEngine

        graph = TorchScriptEngine(file.path, precision, threads)
    return LayoutEngine(graph, layout, len(file.graph_info.names))
