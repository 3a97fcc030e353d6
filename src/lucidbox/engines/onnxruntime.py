"""ONNX Runtime, for systems where OpenVINO is not available."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import EngineError
from lucidbox.core.filesystem import stamp_of
from lucidbox.engines.base import Prediction, prediction_of


class OnnxRuntimeEngine:
    """Runs ONNX on ONNX Runtime's CPU provider, in fp32.

    Args:
        path: an ONNX file.
        precision: "auto" or "fp32": its CPU kernels have no other that is faster.
        threads: most threads to use; None leaves it to ONNX Runtime.
        beside: files that hold numbers of the model.

    Raises:
        EngineError: onnxruntime is not installed, another precision is asked for, or the model cannot be loaded.
    """

    name = "onnxruntime"
    takes_pixels = False

    def __init__(
        self,
        path: Path,
        precision: str = "auto",
        threads: int | None = None,
        *,
        quantised: bool = False,
        beside: tuple[Path, ...] = (),
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError("onnxruntime is not installed; pip install 'lucidbox[onnx]'") from error
        if precision not in ("auto", "fp32"):
            raise EngineError(f"onnxruntime on CPU computes in fp32, not {precision}; choose --precision fp32")
        onnxruntime.disable_telemetry_events()
        self.precision = "int8+fp32" if quantised else "fp32"
        self._path, self._beside, self._stamps = path, beside, _stamps(path, *beside)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings are not for our users
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own kinds, all of them Exception's children
            reason = " ".join(str(error).split())
            raise EngineError(f"{path}: onnxruntime cannot load this model: {reason}") from error
        self._names = [port.name for port in self._session.get_outputs()]

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        return prediction_of(self.outputs(images), len(images))

    def for_many(self) -> "OnnxRuntimeEngine":
        """See :class:`lucidbox.engines.base.Scalable`: each call computes in its caller's thread alone.

        The engine itself, where the file is no longer the one that was loaded.
        """
        if _stamps(self._path, *self._beside) != self._stamps:
            return self
        return OnnxRuntimeEngine(self._path, threads=1, quantised=self.precision != "fp32", beside=self._beside)

    def outputs(self, images: UInt8[np.ndarray, "b h w 3"]) -> Mapping[str, np.ndarray]:
        """Everything the graph gives, by name.

        Raises:
            EngineError: the engine fails on this batch.
        """
        return self.run({"pixels": images})

    def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """See :class:`lucidbox.engines.layouts.GraphRunner`."""
        try:
            return dict(zip(self._names, self._session.run(self._names, dict(feeds)), strict=True))
        except Exception as error:
            shape, reason = next(iter(feeds.values())).shape, " ".join(str(error).split())
            raise EngineError(f"onnxruntime failed on a batch of shape {shape}: {reason}") from error


def _stamps(*files: Path) -> list[object]:
    """What changes when one of the files is replaced."""
    return [stamp_of(file) for file in files]
