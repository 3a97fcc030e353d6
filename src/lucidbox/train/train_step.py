"""One training step of a network: forward pass, loss, gradients, optimiser step, average of weights."""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.errors import OptionError
from lucidbox.model import Network
from lucidbox.train.loader import Batch
from lucidbox.train.losses import Gains, Targets, detection_loss
from lucidbox.train.model_ema import ModelEMA
from lucidbox.train.norms import learning_norms, measure_statistics
from lucidbox.train.optimizer import freeze, make_optimizer, set_training_mode
from lucidbox.train.processes import Processes
from lucidbox.train.recipe import Recipe
from lucidbox.train.schedule import Rates, apply
from lucidbox.train.teacher import Teacher, distillation_loss

SCALES = 2
"""Stream of random numbers for the sides of multi-scale batches; the loader's streams are 0 and 1."""


@dataclass(frozen=True)
class Losses:
    """Parts of a batch's loss, gains applied, over all processes.

    Attributes:
        boxes, classes, distributions: see :mod:`lucidbox.train.losses`.
        teacher: loss against the teacher's predictions; 0 without one.
        finite: whether they and the gradients are finite; if not, the weights were not changed.
    """

    boxes: float
    classes: float
    distributions: float
    teacher: float
    finite: bool

    @property
    def parts(self) -> tuple[float, float, float, float]:
        """The four parts."""
        return self.boxes, self.classes, self.distributions, self.teacher


class TrainStep:
    """A network in training, its optimiser and its average.

    Args:
        network: trained in place, on the processes' device.
        recipe: how to train.
        steps: number of optimiser steps in the whole training; "auto" chooses the optimiser by it.
        processes: the processes that train together.
        teacher: a detector whose predictions are learnt besides the truth, or None.

    Attributes:
        network: the network.
        average: moving average of its weights.
        optimizer: torch's optimiser.
        optimization: its settings; "auto" is resolved.
        precision: "fp32", "bf16" or "fp16"; "auto" is resolved.
        pending: batches whose gradients wait for the next step.

    Example:
        >>> step = TrainStep(network, Recipe(), steps=1000, processes=join())
        >>> step.begin()
        >>> losses = step.learn(batch, 0, rates(step.recipe, step.optimization, 0, batches=100))
    """

    def __init__(
        self, network: Network, recipe: Recipe, steps: int, processes: Processes, teacher: Teacher | None = None
    ) -> None:
        self.recipe, self.processes, self.teacher = recipe, processes, teacher
        self.precision = resolve_precision(recipe.precision, processes.device)
        # Channels last is the order in memory that fast convolution kernels want.
        self.network = network.float().to(processes.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._least = least_side(recipe, network, processes)
        freeze(self.network, recipe.freeze)
        self.optimizer, self.optimization = make_optimizer(self.network, recipe, steps=steps)
        processes.agree(self.network.state_dict().values())
        self.average = ModelEMA(self.network, recipe.ema_decay, recipe.ema_ramp)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=self.precision == "fp16")
        self.gains = Gains(recipe.box_gain, recipe.class_gain, recipe.dfl_gain)
        self.pending = 0

    def begin(self) -> None:
        """Set the training mode: call it before the first batch, and after any other use of the network."""
        set_training_mode(self.network, self.recipe.freeze, norms=self.recipe.freeze_norms)

    def learn(self, batch: Batch, number: int, rates: Rates) -> Losses:
        """Add a batch's gradients, and take a step when there are enough; neither if they are not finite.

        Args:
            batch: this process's part of the batch.
            number: number of the batch in the training; it determines the side of a multi-scale batch.
            rates: the rates for this batch.
        """
        losses = self._differentiate(batch, number)
        if losses.finite:
            self.pending += 1
            if self.pending >= rates.accumulate and not self._step(rates):
                return replace(losses, finite=False)
        return losses

    def _differentiate(self, batch: Batch, number: int) -> Losses:
        images, targets = self._on_device(batch, number)
        size = (images.shape[2], images.shape[3])
        with self._autocast():
            logits = self.network(images)
        rest: dict[str, Any] = {
            "strides": self.network.strides, "bins": self.network.bins, "sum_over_processes": self.processes.sum,
        }  # fmt: skip
        loss = detection_loss(logits, targets, size, self.gains, **rest)
        total, distilled = loss.total, loss.items.new_zeros(1)
        if self.teacher is not None:
            distillation = distillation_loss(logits, self.teacher(_pixels(images)), size, self.gains, **rest)
            total = total + self.recipe.teacher_gain * distillation.total
            distilled = self.recipe.teacher_gain * distillation.items.sum().reshape(1)
        boxes, classes, distributions, teacher = self.processes.sum(torch.cat((loss.items, distilled))).tolist()
        finite = bool(np.isfinite([boxes, classes, distributions, teacher]).all())
        if finite:
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return Losses(boxes, classes, distributions, teacher, finite)

    def _step(self, rates: Rates) -> bool:
        """One optimiser step with the gradients since the last; false if they are not finite."""
        apply(self.optimizer, rates)
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        self.processes.sum_in_place(gradients)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(trained, self.recipe.clip or math.inf)
        if math.isfinite(norm.item()):
            self.scaler.step(self.optimizer)
            self.average.update(self.network)
        elif self.precision != "fp16" or self.scaler.get_scale() < 1:
            return False
        # In fp16 gradients overflow sometimes: the step is skipped, and the scale is lower from then on.
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.pending = 0
        return True

    def share_gradients(self) -> None:
        """Move the gradients that wait for a step to the first process, which saves them."""
        if self.processes.count > 1:
            gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
            self.processes.sum_in_place(gradients)
            for gradient in gradients if not self.processes.leads else ():
                gradient.zero_()

    def measure_norms(self, batches: Iterable[tuple[int, Batch]]) -> None:
        """Give the average's batch norms statistics of the average's own weights; frozen norms stay.

        Args:
            batches: this process's parts, each with the batch's number in the training; as many in each process.
        """
        average = self.average.network
        norms = learning_norms(self.network, average)
        if norms:
            with self._autocast():
                measure_statistics(
                    average, norms, (self._on_device(batch, number)[0] for number, batch in batches)
                )

    def share_statistics(self) -> None:
        """Replace batch norms' statistics, which each process gathers from its own images, by the mean of all."""
        for network in (self.network, self.average.network):
            statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
            self.processes.sum_in_place(statistics)
            if self.processes.count > 1:
                for buffer in statistics:
                    buffer /= self.processes.count

    def _autocast(self) -> AbstractContextManager[object]:
        """Within it networks compute in the recipe's precision."""
        half = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.processes.device.type, half, enabled=self.precision != "fp32")

    def _on_device(self, batch: Batch, number: int) -> tuple[Float[Tensor, "b 3 h w"], Targets]:
        """Images from 0 to 1, resized for multi-scale training, and their targets."""
        device = self.processes.device
        pixels = batch.images.to(device, non_blocking=True)
        # Memory in the order "b h w 3", seen as "b 3 h w", is channels last without a copy.
        images = pixels.permute(0, 3, 1, 2).float() / 255
        targets = batch.targets.map(lambda tensor: tensor.to(device, non_blocking=True))
        side = self._side(number)
        if side == self.recipe.size:
            return images, targets
        factor = side / self.recipe.size
        images = interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        return images, Targets(targets.pictures, targets.classes, targets.boxes * factor)

    def _side(self, number: int) -> int:
        """Side of the network's input for a batch, at random by its number, so that all processes agree."""
        if not self.recipe.multi_scale:
            return self.recipe.size
        random = np.random.default_rng((self.recipe.seed, SCALES, number))
        factor = random.uniform(1 - self.recipe.multi_scale, 1 + self.recipe.multi_scale)
        return max(self._least, round(self.recipe.size * factor / 32) * 32)


def least_side(recipe: Recipe, network: Network, processes: Processes) -> int:
    """The least side of the network's input with which every norm that learns has two values to compare.

    Raises:
        OptionError: the recipe's size is below that.
    """
    coarsest = max(network.strides)
    alone = recipe.batch // processes.count == 1 and not recipe.freeze_norms
    least = 2 * coarsest if alone else coarsest
    if recipe.size < least:
        raise OptionError(
            f"recipe: size {recipe.size} with one picture per process and batch leaves batch norms one value,"
            f" which has no statistics: use batch {2 * processes.count}, size {least} or freeze_norms=true"
        )
    return least


def resolve_precision(wanted: str, device: torch.device) -> str:
    """The precision for a device: "auto" means bf16 if the hardware computes in it, else fp32 (fp16 on cards).

    Raises:
        OptionError: fp16 on a processor.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise OptionError("recipe: precision fp16 trains on graphics cards only; use bf16 or fp32")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Where the processor has no instructions for it, bf16 is emulated, and slower than fp32.
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else "fp32"


def _pixels(images: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b h w 3"]:
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
