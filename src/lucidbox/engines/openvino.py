"""OpenVINO: the default engine, fastest on processors and small to install."""

import contextlib
import copy
import os
import sys
import threading
import zlib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import EngineError, OutputError
from lucidbox.core.filesystem import atomic_write, cache_folder, sha256_of
from lucidbox.core.forking import forks_wait_for_libraries
from lucidbox.engines.base import Prediction, prediction_of
from lucidbox.model_files.layouts.layout import Pixels

NARROW = 32
"""Width of an input that is one cell wide at the largest stride. Below fp32, OpenVINO 2026.4's kernels of such
maps read memory that nobody has written: answers are NaN or wrong, another time right."""

_CONVERTER = "openvino.tools.ovc"
_importing = threading.Lock()

_CHECKSUM = 4  # bytes at the end of a kept model
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}

_ONE_SOON = {"PERFORMANCE_HINT": "LATENCY"}
# Not pinned to cores: the threads that decode must get them, too.
_MANY_AT_ONCE = {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}


def import_openvino() -> Any:
    """The openvino module, with its telemetry package kept out.

    OpenVINO falls back to a stub of its own when openvino_telemetry cannot be imported: nothing phones
    home, and 25 to 50 ms of start-up are saved. Its converter of other tools' models, which nothing here uses,
    would take 100 ms more, and is imported when someone asks for it.
    """
    with _importing:
        if "openvino" in sys.modules:
            import openvino

            return openvino
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # as if it were not installed
        try:
            import openvino
        finally:
            del sys.modules[_CONVERTER]
        openvino.__getattr__ = _convert_model
        return openvino


def _convert_model(name: str) -> Any:
    """What ``openvino.convert_model`` is, for who asks for it after all."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    from openvino.tools.ovc import convert_model

    return convert_model


@cache
def shared_core() -> Any:
    """The one ``openvino.Core`` of this process, which is never let go.

    Its processor plugin gives the thread that first needs it a stack for signals, and frees that memory with the
    last core: on another thread the first would crash at its next signal, be it a child process's end.
    """
    openvino = import_openvino()
    # Its tables of number types are made at their first use. Two threads that first infer at once would wait for
    # each other for ever: one for Python's lock, the other for the table. So they are made here, by one.
    openvino.Type.u8.to_dtype()
    openvino.Tensor(np.zeros(1, np.uint8))
    forks_wait_for_libraries()
    return openvino.Core()


def automatic_precision() -> tuple[str, str]:
    """What precision "auto" means on this processor, and why."""
    native = shared_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" in native:
        return "bf16", "this processor multiplies bfloat16 natively, and AP moves by less than 0.001"
    return "fp32", "this processor has no faster precision"


class OpenVinoEngine:
    """Runs our ONNX or OpenVINO IR on OpenVINO's CPU plugin.

    Args:
        path: an ONNX file, or the .xml of an IR whose .bin lies beside it.
        precision: "fp32", "bf16" or "fp16"; "auto" takes bf16 where the processor computes it natively.
        threads: most threads to use; None leaves it to OpenVINO.
        quantised: the file computes its convolutions in int8; ``precision`` is that of the rest.
        cached: keep the compiled model in the cache folder, where that can be written.
        beside: files that hold numbers of the model.
        pixels: how a model that lucidbox did not write takes its input; the conversion is fused into the graph.

    Raises:
        EngineError: the processor does not compute in ``precision``, or the model cannot be compiled.
    """

    name = "openvino"
    takes_pixels = True

    def __init__(
        self,
        path: Path,
        precision: str = "auto",
        threads: int | None = None,
        *,
        quantised: bool = False,
        cached: bool = True,
        beside: tuple[Path, ...] = (),
        pixels: Pixels | None = None,
    ) -> None:
        openvino = import_openvino()
        native = shared_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "auto":
            precision, _ = automatic_precision()
        if precision not in HINTS or precision.upper() not in native:
            raise EngineError(
                f"openvino on this processor cannot compute in {precision}; choose --precision auto or fp32"
            )
        self.precision = f"int8+{precision}" if quantised else precision
        self._options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
        try:
            model, self._content = _compiled(openvino, (path, *beside), self._options | _ONE_SOON, cached, pixels)
        except RuntimeError as error:
            raise EngineError(f"{path}: openvino cannot load this model: {_first_line(error)}") from error
        self._for_forks = self
        self._narrow_is_wrong = precision != "fp32"
        self._take(model)

    def _take(self, model: Any) -> None:
        self._model, self._process = model, os.getpid()
        self._names = [name for port in model.outputs for name in port.names]
        self._inputs = [port.names or {port.node.friendly_name} for port in model.inputs]
        self._local = threading.local()

    def for_many(self) -> "OpenVinoEngine":
        """See :class:`lucidbox.engines.base.Scalable`: a thread a picture instead of all threads for one.

        Made from the compiled model in memory: the file may have been replaced since, and nothing is compiled
        again. That how many threads there are rounds nothing differently is not promised anywhere: tests hold it.

        In a process forked from the one that loaded it, the engine itself: there this form would wait for threads
        that only the parent has, and so may importing a model.
        """
        if self._process != os.getpid():
            return self
        openvino = import_openvino()
        options = self._options | _MANY_AT_ONCE
        engine = copy.copy(self)
        engine._take(shared_core().import_model(openvino.Tensor(self._content), "CPU", options))
        return engine

    @cached_property
    def _in_fp32(self) -> "OpenVinoEngine":
        """The same model in fp32, for images that are :data:`NARROW` pixels wide; made when one comes."""
        options = self._options | _ONE_SOON | {"INFERENCE_PRECISION_HINT": HINTS["fp32"]}
        engine = copy.copy(self)
        engine._narrow_is_wrong = False
        engine._take(shared_core().import_model(import_openvino().Tensor(self._content), "CPU", options))
        return engine

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        return prediction_of(self.outputs(images), len(images))

    def outputs(self, images: UInt8[np.ndarray, "b h w 3"]) -> Mapping[str, np.ndarray]:
        """Everything the graph gives, by name; overwritten by this thread's next call.

        Raises:
            EngineError: the engine fails on this batch.
        """
        return self.run({"pixels": images})

    def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """See :class:`lucidbox.engines.layouts.GraphRunner`."""
        if self._process != os.getpid():
            if self._for_forks is not self:
                return self._for_forks.run(feeds)
        elif self._narrow_is_wrong and any(feed.ndim == 4 and feed.shape[2] == NARROW for feed in feeds.values()):
            return self._in_fp32.run(feeds)
        # A request holds its own memory for results; one a thread keeps threads out of each other's.
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        try:
            inputs = [next(feeds[name] for name in names if name in feeds) for names in self._inputs]
            outputs = request.infer(inputs, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            shape = next(iter(feeds.values())).shape
            raise EngineError(f"openvino failed on a batch of shape {shape}: {_first_line(error)}") from error
        return {name: outputs[name] for name in self._names}


def _compiled(
    openvino: Any, files: tuple[Path, ...], options: dict[str, Any], cached: bool, pixels: Pixels | None
) -> tuple[Any, UInt8[np.ndarray, " n"]]:
    """The compiled model and its bytes, from the cache folder or else put there, if that can be done.

    OpenVINO has a cache of its own. It recognises a model by path, size and time, so it would answer with an
    old model when a file was replaced by a copy that kept them; and it writes in place, so that a second
    process may read half a file. Here the name says the content, files appear whole, and a checksum is kept.
    """
    core, path = shared_core(), files[0]
    depends = options if pixels is None else options | {"pixels": pixels}
    kept = _kept_path(openvino.__version__, core, files, depends) if cached else None
    if kept is not None and (content := _whole_content(kept)) is not None:
        try:
            return core.import_model(openvino.Tensor(content), "CPU", options), content
        except RuntimeError:  # whatever it holds, it is made anew
            pass
    if pixels is None:
        model = core.compile_model(str(path), "CPU", options)
    else:
        from lucidbox.engines.layouts.pixels import fused_into

        model = core.compile_model(fused_into(openvino, core.read_model(str(path)), pixels), "CPU", options)
    made: bytes = model.export_model().getvalue()
    if kept is not None:
        with contextlib.suppress(OutputError):  # a full or locked disk costs the next start some time, no more
            atomic_write(kept, made + zlib.crc32(made).to_bytes(_CHECKSUM, "big"))
    return model, np.frombuffer(made, np.uint8)


def _kept_path(version: str, core: Any, files: tuple[Path, ...], options: dict[str, Any]) -> Path | None:
    """Where a compiled model is kept: by the model's content and by all that compiling depends on."""
    processor = [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    depends = repr((version, processor, sorted(options.items())))
    numbers = files[0].with_suffix(".bin")  # an IR keeps its weights there, and its .xml does not tell them apart
    try:
        if files[0].suffix.lower() != ".onnx" and numbers.exists():
            files = (*files, numbers)
        depends += "".join(map(sha256_of, files[1:]))
        return cache_folder() / "openvino" / f"{sha256_of(files[0])[:16]}-{zlib.crc32(depends.encode()):08x}.blob"
    except (OSError, OutputError):
        return None


def _whole_content(path: Path) -> np.ndarray | None:
    """What a kept file holds; None if it is not there, or damaged."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError:
        return None
    model, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:].tobytes()
    return model if zlib.crc32(model.data) == int.from_bytes(checksum, "big") and len(model) else None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
