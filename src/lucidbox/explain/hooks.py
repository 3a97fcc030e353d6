"""What layers of a network put out, and how a score depends on it, without touching the network.

The network runs as a twin: other modules, the same tensors. Evaluation mode and hooks are set on the twin,
which is forgotten afterwards. So whatever happens, an error or another thread, the network itself keeps its
mode, its hooks, its gradients, its parameters and its batch norm statistics.
"""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lucidbox.core.array_types import Float, Float32, UInt8
from lucidbox.core.errors import OptionError
from lucidbox.engines.torch import refuse_after_fork
from lucidbox.explain.targets import SIDES, Target
from lucidbox.model.decoding import expected_distances
from lucidbox.model.network import Logits, Network

_Module = TypeVar("_Module", bound=nn.Module)


class Landmarks(NamedTuple):
    """Layers of an architecture that explanations name by what they are.

    Attributes:
        levels: those whose output the head reads, P3, P4, P5.
        early: the backbone's at 8 pixels a cell: it knows shapes, and little of classes.
    """

    levels: tuple[str, ...]
    early: str


LANDMARKS = {
    "yolo11": Landmarks(("neck.top_down_p3", "neck.bottom_up_p4", "neck.bottom_up_p5"), "backbone.mix_p3"),
    "notebook": Landmarks(("fpn.fpn_p3", "pan.pan_p4", "c2psa"), "backbone.stage2"),
}
"""By the beginning of the architecture's name."""

NO_SAY = "layer {} has no say in this score; choose one before it, or leave --layer out"


@dataclass(frozen=True, eq=False)
class Recording:
    """One forward pass, from which any number of scores can be followed back.

    Attributes:
        network: the network that was run, for its strides and bins.
        logits: its output for one picture.
        outputs: what each recorded layer put out, by layer name.
        width: of the network's input, pixels.
    """

    network: Network
    logits: Logits
    outputs: dict[str, Tensor]
    width: int

    def activations(self, layer: str) -> Float32[np.ndarray, "k h w"]:
        """What the layer put out, ``k`` channels."""
        return _array(self.outputs[layer])

    def gradients(self, score: Tensor, layer: str) -> Float32[np.ndarray, "k h w"]:
        """How the score grows with each number that the layer put out.

        Raises:
            OptionError: the layer has no say in this score.
        """
        if not score.requires_grad:
            raise OptionError(NO_SAY.format(layer))
        # Asked for by name instead of backward(): no tensor's .grad is ever written.
        (found,) = torch.autograd.grad(score, [self.outputs[layer]], retain_graph=True, allow_unused=True)
        if found is None:
            raise OptionError(NO_SAY.format(layer))
        return _array(found)

    def score(self, target: Target) -> Float[Tensor, ""]:
        """The target as a number that can be followed back: a logit, since probabilities saturate.

        Of a box side: the logit of the distance it has, between its two neighbouring bins, above the mean
        logit of the side's distribution.
        """
        with torch.inference_mode(False), torch.enable_grad():
            return self._score(target)

    def _score(self, target: Target) -> Float[Tensor, ""]:
        if target.side is None:
            return self.logits.classes[0, target.class_id, target.anchor]
        bins = self.network.bins
        logits = self.logits.boxes[0, :, target.anchor].reshape(4, bins)[SIDES.index(target.side)]
        anchor = self.logits.boxes[:1, :, target.anchor : target.anchor + 1].detach()
        distance = float(expected_distances(anchor, bins)[0, SIDES.index(target.side), 0])
        low = min(int(distance), bins - 2)
        share = distance - low
        return (1 - share) * logits[low] + share * logits[low + 1] - logits.mean()

    def class_score(self, class_id: int) -> Float[Tensor, ""]:
        """A class's logits summed over all cells of P3, the finest level: the notebook's class score."""
        with torch.inference_mode(False), torch.enable_grad():
            return self.class_scores()[class_id]

    def class_scores(self) -> Float[Tensor, " c"]:
        """:meth:`class_score` of every class."""
        with torch.inference_mode(False), torch.enable_grad():
            return self.logits.classes[0, :, : self._cells(0)].sum(dim=1)

    def level(self, anchor: int) -> int:
        """Index of the level that an anchor belongs to."""
        last = 0
        for level in range(len(self.network.strides)):
            last += self._cells(level)
            if anchor < last:
                return level
        raise IndexError(f"anchor {anchor} of {last}")

    def own_layer(self, target: Target) -> str:
        """The layer that the head reads at the target's own level."""
        return landmarks(self.network).levels[self.level(target.anchor)]

    def _cells(self, level: int) -> int:
        # Every level has a quarter of the cells of the one before it (strides double).
        shares = [(self.network.strides[0] / stride) ** 2 for stride in self.network.strides]
        return round(self.logits.classes.shape[2] * shares[level] / sum(shares))


def record(network: Network, pixels: UInt8[np.ndarray, "h w 3"], layers: Sequence[str]) -> Recording:
    """Run a network on one letterboxed picture and keep what layers put out.

    Args:
        network: in any mode, fused or not; left exactly as it is.
        pixels: RGB, sides multiples of 32.
        layers: names as in ``network.named_modules()``.

    Raises:
        OptionError: a layer does not exist, or puts out no single map.
        EngineError: torch has worked before this process was forked.
    """
    refuse_after_fork()  # before its twin does: the division by 255 may already use several threads
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    return record_images(network, images, layers)


def record_images(network: Network, images: Float[Tensor, "1 3 h w"], layers: Sequence[str]) -> Recording:
    """As :func:`record`, from an image with values 0 to 1."""
    known = dict(network.named_modules())
    for layer in layers:
        if layer not in known or not layer:
            raise OptionError(f"layer {layer!r} does not exist; did you mean {', '.join(_near(layer, known))}?")
    outputs: dict[str, Tensor] = {}

    def keeper(layer: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                inner = _within(layer, known)
                raise OptionError(
                    f"layer {layer} puts out no single map; choose one in it: {', '.join(inner[-4:])}"
                )
            # The twin's parameters ask for no gradients, so the first recorded output starts the graph:
            # nothing before it costs memory or time.
            outputs[layer] = output if output.requires_grad else output.requires_grad_()

        return keep

    # A caller's inference_mode or no_grad is about the caller's own sums.
    with torch.inference_mode(False), torch.enable_grad():
        running = twin(network).eval()
        parameter = next(running.parameters())
        modules = dict(running.named_modules())
        handles = [modules[layer].register_forward_hook(keeper(layer)) for layer in layers]
        try:
            logits = running(images.detach().clone().to(parameter.device, parameter.dtype))
        finally:
            for handle in handles:
                handle.remove()
    if silent := [layer for layer in layers if layer not in outputs]:
        inner = _within(silent[0], known)
        raise OptionError(f"layer {silent[0]} only holds others; choose one in it: {', '.join(inner[:4])}")
    return Recording(network, logits, outputs, images.shape[3])


def twin(module: _Module) -> _Module:
    """Other modules around the same tensors: a copy that costs no memory, and has neither hooks nor gradients.

    Raises:
        EngineError: torch has worked before this process was forked. All that explanations compute, a twin does.
    """
    refuse_after_fork()
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            # Tensors made in inference mode cannot enter a graph, but copies of them can.
            memo[id(tensor)] = tensor.clone() if tensor.is_inference() else tensor.detach()
        for name, value in vars(part).items():
            if name.endswith("_hooks"):
                memo[id(value)] = OrderedDict()
    return copy.deepcopy(module, memo)


def shuffled(network: Network, seed: int = 0) -> Network:
    """A copy whose convolutions and linear layers have their own weights in a random order.

    Norms and biases stay, and so does every layer's distribution of weights: the signal lives, what was
    learnt is gone.
    """
    with torch.inference_mode(False), torch.no_grad():
        changed = copy.deepcopy(twin(network)).eval()
        generator = torch.Generator().manual_seed(seed)
        for part in changed.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                order = torch.randperm(part.weight.numel(), generator=generator).to(part.weight.device)
                part.weight.copy_(part.weight.flatten()[order].reshape(part.weight.shape))
    return changed


def landmarks(network: Network) -> Landmarks:
    """The layers that explanations look at by default.

    Raises:
        OptionError: the architecture is not one of ours.
    """
    for beginning, layers in LANDMARKS.items():
        if network.architecture.startswith(beginning):
            return layers
    raise OptionError(f"architecture {network.architecture} has no default layer; name one")


def _within(layer: str, known: dict[str, nn.Module]) -> list[str]:
    """The outermost layers in a layer that put something out themselves."""
    inner = [name for name in known if name.startswith(f"{layer}.") and not isinstance(known[name], nn.ModuleList)]
    outermost = min((name.count(".") for name in inner), default=0)
    return [name for name in inner if name.count(".") == outermost]


def _near(layer: str, known: dict[str, nn.Module]) -> list[str]:
    """Names that are like the given one, or contain it."""
    holding = [name for name in known if layer and layer in name][:3]
    close = get_close_matches(layer, [name for name in known if name], n=4, cutoff=0.5) if layer else []
    return list(dict.fromkeys(close + holding)) or [name for name in known if name.count(".") == 1][:6]


def _array(tensor: Tensor) -> Float32[np.ndarray, "k h w"]:
    found: Float32[np.ndarray, "k h w"] = tensor[0].detach().float().cpu().numpy()
    return found
