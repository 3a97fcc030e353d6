"""PyTorch: runs the network itself, for graphics cards and for comparing. Imports torch when built, not before."""

import os
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import EngineError
from lucidbox.engines.base import Prediction

if TYPE_CHECKING:
    import torch

    from lucidbox.model import Network


class TorchEngine:
    """Runs a fused copy of a network in torch; the network, such as one in training, stays as it is.

    Args:
        network: not fused.
        precision: "fp32", "bf16" or "fp16"; "auto" is fp32 on a processor and fp16 on a graphics card.
        threads: most threads to use on a processor; None leaves it to torch. Torch has one such setting for
            the whole process.
        device: "auto" (a graphics card if there is one), "cpu", "cuda", "cuda:1"...

    Raises:
        EngineError: the device or precision is not to be had, or torch has worked before this process was forked.
    """

    name = "torch"

    def __init__(
        self, network: "Network", precision: str = "auto", threads: int | None = None, device: str = "auto"
    ) -> None:
        import torch

        from lucidbox.model.decoding import Detecting
        from lucidbox.model.fuse import fuse

        refuse_after_fork()
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = _device(device)
        self._one_call = threading.Lock()
        self._most_pixels = 0  # that the memory does for at once; 0 while it is not known
        on_card = self.device.type == "cuda"
        self.precision = ("fp16" if on_card else "fp32") if precision == "auto" else precision
        types = {"fp32": torch.float32, "bf16": torch.bfloat16} | ({"fp16": torch.float16} if on_card else {})
        if self.precision not in types:
            raise EngineError(f"torch on {self.device} does not compute in {precision}; choose --precision fp32")
        self._type = types[self.precision]
        fused = fuse(network)
        for module in fused.modules():
            if isinstance(module, torch.nn.SiLU):
                module.inplace = True  # of a copy that nobody looks into: a quarter less time in fp32
        detecting = Detecting(fused).eval().to(self.device, self._type)
        # Channels last is the order that processors' and cards' fast convolution kernels want.
        self._network = detecting.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        """See :class:`lucidbox.engines.base.Engine`.

        A batch that a card has no memory for is answered in halves, and so are later ones as large; a warning says
        so.

        Raises:
            EngineError: the memory does not do for one picture, or the process is forked from the engine's.
        """
        import torch

        refuse_after_fork()
        batch, height, width = images.shape[:3]
        most = max(1, self._most_pixels // (height * width)) if self._most_pixels else batch
        if batch > most:
            return self._in_parts(images, most)
        try:
            return self._answer(images)
        except torch.OutOfMemoryError as error:
            if batch == 1:
                raise EngineError(
                    f"{self.device} is out of memory for one picture of {height}×{width}; use a smaller --size, or"
                    " --engine openvino"
                ) from error
        # Outside of the handler: the error holds on to what was in memory.
        most = batch // 2
        self._most_pixels = most * height * width
        warnings.warn(
            f"{self.device} is out of memory for {batch} pictures of {height}×{width}; going on with batches of"
            f" {most}",
            RuntimeWarning,
            stacklevel=2,
        )
        return self._in_parts(images, most)

    def _in_parts(self, images: UInt8[np.ndarray, "b h w 3"], most: int) -> Prediction:
        parts = [self(images[start : start + most]) for start in range(0, len(images), most)]
        return Prediction(
            np.concatenate([part.boxes for part in parts]), np.concatenate([part.scores for part in parts])
        )

    def _answer(self, images: UInt8[np.ndarray, "b h w 3"]) -> Prediction:
        import torch

        # Two calls at once would each bring as many threads as there are cores, which wait for work by spinning.
        with self._one_call, torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)
            found = self._network(pixels.to(torch.float32).div_(255).to(self._type))
            return Prediction(found.boxes.float().cpu().numpy(), found.scores.float().cpu().numpy())


def refuse_after_fork() -> None:
    """Call it before torch works: in a process forked from one in which torch has worked, it might hang for ever.

    There it would wait for threads that only the parent has, or for a lock that a thread of the parent held in
    the moment of the fork. A graphics card cannot be used there at all.

    Raises:
        EngineError: this is such a process.
    """
    if _first_worked_in() != os.getpid():
        raise EngineError(
            "torch has worked in the process that this one was forked from, and might wait for that one's threads"
            " for ever: start processes by multiprocessing's method spawn; --engine openvino detects without torch"
        )


@cache
def _first_worked_in() -> int:
    """The process that first asked; forked ones inherit the answer."""
    return os.getpid()


def _device(wanted: str) -> "torch.device":
    import torch

    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise EngineError(f"device {wanted!r} is not one: give cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"device {wanted} is asked for, and torch sees no graphics card; use --device cpu")
    return device
