"""TorchScript on a processor, as exported. Imports torch when built, not before."""

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import EngineError
from lucidbox.engines.base import Prediction, prediction_of
from lucidbox.engines.torch import refuse_after_fork


class TorchScriptEngine:
    """Runs a TorchScript file, which is a program: load only files that you trust.

    Args:
        path: of the file.
        precision: "auto" or "fp32".
        threads: most threads to use; None leaves it to torch, which has one such setting for the process.

    Raises:
        EngineError: torch is not installed or has worked before this process was forked, another precision is
            asked for, or the file cannot be loaded.
    """

    name = "torch"
    precision = "fp32"
    takes_pixels = False

    def __init__(self, path: Path, precision: str = "auto", threads: int | None = None) -> None:
        try:
            import torch
        except ImportError as error:
            raise EngineError("torch is not installed; pip install 'lucidbox[train]'") from error
        refuse_after_fork()
        if precision not in ("auto", "fp32"):
            raise EngineError(f"TorchScript computes in fp32, not {precision}; choose --precision fp32")
        if threads is not None:
            torch.set_num_threads(threads)
        self._one_call = threading.Lock()
        try:
            with warnings.catch_warnings():
                # Torch calls TorchScript deprecated; that is for who exports to know, not for who runs.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(f"{path}: torch cannot load this TorchScript: {reason}") from error

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`."""
        return prediction_of(dict(zip(("boxes", "scores"), self._answers(images), strict=False)), len(images))

    def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """See :class:`lucidbox.engines.layouts.GraphRunner`; TorchScript has no names: outputs are numbered."""
        return {f"output{number}": value for number, value in enumerate(self._answers(*feeds.values()))}

    def _answers(self, *inputs: np.ndarray) -> list[np.ndarray]:
        import torch

        refuse_after_fork()
        try:
            # Each thread that calls torch would bring as many threads of its own as there are cores.
            with self._one_call, torch.inference_mode():
                answers = self._module(*(torch.from_numpy(np.ascontiguousarray(value)) for value in inputs))
                several = answers if isinstance(answers, (tuple, list)) else (answers,)
                return [answer.numpy() for answer in several]
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"torch failed on a batch of shape {inputs[0].shape}: {reason}") from error
