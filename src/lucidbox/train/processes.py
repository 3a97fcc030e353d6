"""Several processes that train one network, as ``torchrun`` starts them, or only this one."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

from lucidbox.core.array_types import Float
from lucidbox.core.errors import LucidboxError, OptionError

Made = TypeVar("Made")

PATIENCE = timedelta(hours=12)
"""How long processes wait for each other; long, because the first may be making a cache of images."""


class ProcessLostError(LucidboxError):
    """Another process of this training has ended, or its machine does not answer any more."""


@contextmanager
def _with_others() -> Iterator[None]:
    """In the block processes talk to each other; what torch raises there means that one is gone.

    Raises:
        ProcessLostError: in the place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(
            f"another process of this training is gone ({_reason(error)}); its own output says why."
            " Start all of them again with --resume"
        ) from error


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        count: number of processes.
        device: what it computes on.

    Example:
        >>> processes = join("cuda")
        >>> total = processes.sum(torch.tensor([1.0], device=processes.device))
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def sum(self, amounts: Tensor) -> Tensor:
        """The sum over all processes, in every one of them; without gradient."""
        if self.count == 1:
            return amounts
        total = amounts.detach().clone()
        with _with_others():
            distributed.all_reduce(total)
        return total

    def sum_in_place(self, tensors: Iterable[Tensor]) -> None:
        """Sum each of these tensors over all processes, in one message."""
        if self.count == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.reshape(-1) for part in parts])
        with _with_others():
            distributed.all_reduce(flat)
        lengths = [part.numel() for part in parts]
        for part, summed in zip(parts, torch.split(flat, lengths), strict=True):
            part.copy_(summed.view_as(part))

    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Copy the first process's values of these tensors into all processes."""
        if self.count > 1:
            with _with_others():
                for tensor in tensors:
                    distributed.broadcast(tensor, 0)

    def of_first(self, make: Callable[[], Made]) -> Made:
        """What ``make`` returns in the first process, in every one of them; only there it is called.

        Raises:
            LucidboxError: ``make`` raised it; in every process.
        """
        if self.count == 1:
            return make()
        made: list[Made | LucidboxError | None] = [None]
        if self.leads:
            try:
                made = [make()]
            except LucidboxError as error:
                made = [error]
        with _with_others():
            distributed.broadcast_object_list(made, 0)
        if isinstance(made[0], LucidboxError):
            raise made[0]
        return made[0]  # type: ignore[return-value]

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process; all processes must call this and wait for each other."""
        if self.count == 1:
            return flag
        return bool(self.sum(torch.tensor([float(flag)], device=self.device))[0] > 0)

    def gather(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "m k"]:
        """The rows of all processes as float64, in the order of ranks, in every one of them."""
        if self.count == 1:
            return rows
        mine = torch.from_numpy(np.ascontiguousarray(rows, np.float64)).to(self.device)
        lengths = torch.zeros(self.count, dtype=torch.int64, device=self.device)
        lengths[self.rank] = len(mine)
        longest = int(self.sum(lengths).max())
        padded = mine.new_zeros((longest, mine.shape[1]))
        padded[: len(mine)] = mine
        gathered = [torch.empty_like(padded) for _ in range(self.count)]
        with _with_others():
            distributed.all_gather(gathered, padded)
        counts = self.sum(lengths).tolist()
        return np.concatenate([part[:n].cpu().numpy() for part, n in zip(gathered, counts, strict=True)])

    def gather_texts(self, texts: list[str]) -> list[str]:
        """The texts of all processes, in the order of ranks, in every one of them."""
        if self.count == 1:
            return list(texts)
        gathered: list[list[str]] = [[] for _ in range(self.count)]
        with _with_others():
            distributed.all_gather_object(gathered, texts)
        return [text for part in gathered for text in part]

    def leave(self) -> None:
        """End the communication with the other processes."""
        if self.count > 1:
            distributed.destroy_process_group()


def join(device: str = "auto") -> Processes:
    """This process, connected to the others if ``torchrun`` started several.

    Args:
        device: "auto" (a graphics card if there is one), "cpu", "cuda" or "cuda:1".

    Raises:
        OptionError: there is no such device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")), count)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count > 1 and not distributed.is_initialized():
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        try:
            distributed.init_process_group(backend, timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise OptionError(
                f"{count} processes do not find each other ({_reason(error)}); start all with torchrun, and on"
                f" several machines name the network interface: {backend.upper()}_SOCKET_IFNAME=eth0"
            ) from error
    return Processes(rank, count, chosen)


def _reason(error: Exception) -> str:
    """The first sentence of torch's message, without the place in its source."""
    return re.sub(r"\[\S+\.cc:\d+\] ", "", str(error).splitlines()[0]).partition(". ")[0]


def _device(wanted: str, local_rank: int, count: int) -> torch.device:
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        wanted = "cuda" if cards else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise OptionError(f"--device {wanted!r} is not one: give cpu, cuda or cuda:1") from None
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"--device {wanted}: training runs on cpu and cuda")
    if device.type == "cpu":
        return device
    if not cards:
        raise OptionError(f"--device {wanted}: torch sees no graphics card here; use --device cpu")
    index = device.index if device.index is not None else local_rank
    if device.index is not None and count > 1:
        raise OptionError(f"--device {wanted}: torchrun gives each process a card of its own; use --device cuda")
    if index >= cards:
        raise OptionError(f"--device {wanted}: there are {cards} graphics cards, numbered from 0")
    return torch.device("cuda", index)
