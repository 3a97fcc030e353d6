# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Backbone: from pixels to features
#
# *Second of five notebooks: data → **backbone** → neck and head → training → inference.*
#
# The backbone turns a picture of 3 numbers a pixel into maps of a few hundred numbers a *cell*. A cell must know what is there
# (so it has to look far) and where it is (so it must not forget its place). Everything in this notebook follows from
# this tension. We take the network that comes with lucidbox, YOLO11n, trained from random weights by `lucidbox train`, and test
# each of its parts: `ConvBNSiLU`, `C3k2`, `SPPF`.

# %%
# For Colab alone: fetches lucidbox with its example pictures, and installs it.
# Anywhere else this cell does nothing.
import os
import subprocess
import sys

REPOSITORY = ""  # on Colab, put here what you would give to git clone
if "google.colab" in sys.modules and not os.path.isdir("examples"):
    assert REPOSITORY, "name the repository's address in this cell"
    subprocess.run(["git", "clone", "--depth", "1", REPOSITORY, "lucidbox"], check=True)
    os.chdir("lucidbox")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", ".[train,plots]"], check=True)

# %%
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from lucidbox import weights
from lucidbox.detect.letterbox import fit
from lucidbox.draw import show
from lucidbox.images.reading import read_image
from lucidbox.model import build, fuse, gflops, parameters
from lucidbox.model.blocks import Bottleneck, C3k, C3k2, ConvUnit
from lucidbox.model_files import bundled

here = Path.cwd()
EXAMPLES = next(
    folder / "examples"
    for folder in (here, *here.parents)
    if (folder / "examples/street.jpg").is_file()
)
plt.rcParams.update({"figure.dpi": 80, "font.size": 9, "axes.axisbelow": True})
plt.rcParams.update({"axes.grid": True, "grid.color": "#eef1f4"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
torch.manual_seed(0)

network = weights.network(weights.read(bundled.SAFETENSORS)).eval()
image = read_image(EXAMPLES / "street.jpg")
pixels = fit(image.shape[:2], (416, 416)).apply(image)  # 288 × 416, as notebook 1 has it
x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
print("network input:", tuple(x.shape))

# %% [markdown]
# ## 1. The whole way, once
#
# A hook on each layer tells what comes out of it. Watch two numbers run against each other: the grid becomes coarser (stride 2, 4,
# 8, 16, 32), the channels become more. The three levels that go on are called P3, P4, P5: one cell for $2^3, 2^4, 2^5$ pixels.

# %%
outputs = {}
for name, layer in network.backbone.named_children():
    layer.register_forward_hook(
        lambda _, __, out, name=name: outputs.__setitem__(name, out.detach())
    )
with torch.no_grad():
    p3, p4, p5 = network.backbone(x)

print(f"{'layer':<12}{'kind':<10}{'channels':>9}{'grid':>10}{'pixels a cell':>15}{'weights':>10}")
for name, layer in network.backbone.named_children():
    _, channels, rows, columns = outputs[name].shape
    count = sum(weight.numel() for weight in layer.parameters())
    kind = type(layer).__name__
    print(
        f"{name:<12}{kind:<10}{channels:>9}{f'{rows}×{columns}':>10}{416 // columns:>15}{count:>10,}"
    )

# %% [markdown]
# ## 2. ConvBNSiLU: convolve, normalise, bend
#
# Nearly all that the network does is this unit, in lucidbox `ConvUnit`:
#
# $$y = \mathrm{SiLU}\!\left(\gamma\,\frac{(w * x) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta\right),
# \qquad \mathrm{SiLU}(z) = z\,\sigma(z) = \frac{z}{1 + e^{-z}}$$
#
# (batch norm: [arXiv 1502.03167](https://arxiv.org/abs/1502.03167); SiLU: [arXiv 1702.03118](https://arxiv.org/abs/1702.03118).)
# The convolution has no bias, since batch norm subtracts the mean anyhow and has $\beta$. We compute the first unit by hand:

# %%
unit = network.backbone.stem
with torch.no_grad():
    convolved = nn.functional.conv2d(x, unit.conv.weight, stride=2, padding=1)
    mean, variance = (
        statistic[:, None, None] for statistic in (unit.bn.running_mean, unit.bn.running_var)
    )
    scale, shift = unit.bn.weight[:, None, None], unit.bn.bias[:, None, None]
    normalised = scale * (convolved - mean) / torch.sqrt(variance + unit.bn.eps) + shift
    by_hand = normalised * torch.sigmoid(normalised)
    print("largest difference to the unit:", (by_hand - unit(x)).abs().max().item())

# %% [markdown]
# **Why SiLU and not ReLU?** ReLU has no slope left of zero: a unit that is negative for all pictures never learns again. SiLU
# is nearly the same far out, but smooth, and has a slope almost everywhere.

# %%
z = torch.linspace(-6, 6, 241, requires_grad=True)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.4), layout="constrained")
for name, function in (("SiLU", nn.functional.silu), ("ReLU", torch.relu)):
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    left.plot(z.detach(), function(z).detach(), label=name)
    right.plot(z.detach(), slope, label=name)
left.set(title="value", xlabel="z")
right.set(title="slope", xlabel="z")
left.legend(frameon=False)
plt.show()

# %% [markdown]
# **What do the first kernels look for?** 16 kernels of 3 × 3 × 3 numbers, learnt, not designed. Each is shown above what it
# answers on the street (bright: much). You will find edges of several directions, and some that answer to one colour.

# %%
kernels = unit.conv.weight.detach()
span = kernels.abs().amax(dim=(1, 2, 3), keepdim=True)
tiles = ((kernels / span + 1) * 127.5).permute(0, 2, 3, 1).byte().numpy()
answers = outputs["stem"][0]
columns = []
for number in range(8):
    answer = answers[number].numpy()
    low, high = np.quantile(answer, [0.01, 0.99])
    grey = (np.clip((answer - low) / (high - low + 1e-6), 0, 1) * 255).astype(np.uint8)
    small = cv2.resize(grey, (150, 104), interpolation=cv2.INTER_AREA)
    kernel = cv2.resize(tiles[number], (60, 60), interpolation=cv2.INTER_NEAREST)
    kernel = cv2.copyMakeBorder(kernel, 4, 4, 45, 45, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    columns.append(np.vstack([kernel, np.repeat(small[..., None], 3, axis=2)]))
show(np.vstack([np.hstack(columns[:4]), np.hstack(columns[4:])]))

# %% [markdown]
# **Batch norm disappears when the network is used.** In training, $\mu$ and $\sigma$ are the batch's; afterwards they are constants, and a
# constant scale can be multiplied into the kernel: $w' = \gamma w / \sqrt{\sigma^2+\varepsilon}$, $b' = \beta - \gamma\mu/\sqrt{\sigma^2+\varepsilon}$.
# The same function in fewer steps, which `fuse` does for every unit:

# %%
fused = fuse(network)
with torch.no_grad():
    apart = [
        (one - other).abs().max().item() for one, other in zip(network(x), fused(x), strict=True)
    ]
norms = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (network, fused)]
print(f"batch norms: {norms[0]} before, {norms[1]} after")
print(f"largest differences of the logits: boxes {apart[0]:.1e}, classes {apart[1]:.1e}")

# %% [markdown]
# The published networks use $\varepsilon = 0.001$ where torch's default, and the seed of this series, has $0.00001$. Read a
# published checkpoint with the wrong one, and every unit is off by a factor of $\sqrt{(\sigma^2 + 0.001)/(\sigma^2 + 0.00001)}$, most where $\sigma$ is
# small. How much does it move the answer here?

# %%
wrong = weights.network(weights.read(bundled.SAFETENSORS)).eval()
for module in wrong.modules():
    if isinstance(module, nn.BatchNorm2d):
        module.eps = 1e-5
with torch.no_grad():
    right_scores, wrong_scores = (
        net(x).classes.sigmoid().amax(dim=1)[0] for net in (network, wrong)
    )
best = right_scores.topk(3).indices
print("three best scores with the right epsilon:", right_scores[best].numpy().round(3))
print("the same anchors with torch's default   :", wrong_scores[best].numpy().round(3))

# %% [markdown]
# In the third decimal. That is the treacherous kind of mistake: every picture still looks right, and only a careful evaluation
# shows that something is lost. lucidbox keeps each network's own $\varepsilon$.
#
# ## 3. How far does a cell see?
#
# A convolution with kernel $k$ after layers with total stride $j$ widens the **receptive field** by $(k-1)\,j$ pixels:
#
# $$r_\ell = r_{\ell-1} + (k_\ell - 1)\,j_{\ell-1}, \qquad j_\ell = j_{\ell-1}\,s_\ell$$
#
# That is what a cell *can* see. What it *does* see can be asked of the network: which pixels change this cell, and how
# much? The answer is a gradient (Luo et al., [arXiv 1701.04128](https://arxiv.org/abs/1701.04128)). We ask the cell at the middle person's
# chest, at every depth:


# %%
def seen_by(layer_name: str, point: tuple[int, int]) -> np.ndarray:
    """How strongly each pixel changes the cell over a point (x, y), summed over the cell's channels."""
    caught = []
    handle = network.get_submodule(layer_name).register_forward_hook(
        lambda _, __, out: caught.append(out)
    )
    leaf = x.clone().requires_grad_()
    network(leaf)
    handle.remove()
    stride = x.shape[3] // caught[0].shape[3]
    cell = caught[0][0, :, point[1] // stride, point[0] // stride]
    (gradient,) = torch.autograd.grad(cell.abs().sum(), leaf)
    return gradient[0].abs().sum(dim=0).numpy()


point = (234, 180)
depths = ["stem", "mix_p2", "mix_p3", "mix_p4", "mix_p5", "attend_p5"]
grey = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(float)
panels = []
for depth in depths:
    seen = seen_by(f"backbone.{depth}", point)
    heat = np.sqrt(seen / seen.max())[..., None]
    panel = grey * 0.6 * (1 - heat) + np.array([255, 190, 0]) * heat
    panels.append(np.clip(panel, 0, 255).astype(np.uint8))
    rows, columns = np.nonzero(seen)
    order = np.sort(seen.ravel())[::-1].cumsum() / seen.sum()
    print(
        f"{depth:<10} changes with pixels in {np.ptp(columns) + 1:>3} × {np.ptp(rows) + 1:<3};"
        f" half of it comes from {np.searchsorted(order, 0.5) + 1:>5} pixels"
    )
show(np.vstack([np.hstack(panels[:3]), np.hstack(panels[3:])]))

# %% [markdown]
# By the formula: the stem (3 × 3) sees 3 pixels. `down_p2` adds $2 \cdot 2 = 4$, and the two 3 × 3 convolutions of the bottleneck
# in `mix_p2` add $2 \cdot 4 = 8$ each: $3 + 4 + 8 + 8 = 23$. That is the measured number. Two more things to see:
#
# - half of the influence comes from a small part of the field: the *effective* field is much smaller than the possible one;
# - by `mix_p5` the possible field is the whole picture. `attend_p5`, in which all cells ask all others, makes *use* of it: half of its
#   influence comes from several times as many pixels.
#
# ## 4. C3k2: many depths for the price of one
#
# Deep stacks of convolutions see far but are hard to train, and costly. Three ideas together make the block that YOLO11
# repeats at every level:
#
# - **Shortcut** (He et al., [arXiv 1512.03385](https://arxiv.org/abs/1512.03385)): $x + f(x)$, so that a block begins as nearly nothing and gradients
#   have a free way back.
# - **Cross-stage partial** (CSP, Wang et al., [arXiv 1911.11929](https://arxiv.org/abs/1911.11929)): only half of the channels go through
#   the expensive chain, the others pass by.
# - **Keep every stage**: the outputs of all links are joined, so later layers get shallow and deep features alike.
#
# ```text
#            ┌── half a ───────────────────────────────┐
#  x ─ 1×1 ──┤                                         ├─ concatenate ─ 1×1 ─ out
#            └── half b ──┬────────────────────────────┤
#                         └─ link ──┬──────────────────┤      link: Bottleneck, or C3k (deeper),
#                                   └─ link ───────────┘            which is a small CSP block itself
# ```

# %%
block = C3k2(64, 64, repeats=2, link=Bottleneck).eval()
feature = torch.randn(1, 64, 20, 20)
with torch.no_grad():
    half_a, half_b = block.split(feature).chunk(2, dim=1)
    first = block.repeats[0](half_b)
    second = block.repeats[1](first)
    by_hand = block.merge(torch.cat([half_a, half_b, first, second], dim=1))
    print("by hand, as drawn above: difference", (by_hand - block(feature)).abs().max().item())

chain = nn.Sequential(*(ConvUnit(64, 64, 3) for _ in range(4)))
deeper = C3k2(64, 64, repeats=2, link=C3k)
for name, module in (
    ("four 3×3 units in a row", chain),
    ("C3k2 of bottlenecks", block),
    ("C3k2 of C3k", deeper),
):
    print(f"{name:<26}{sum(weight.numel() for weight in module.parameters()):>9,} weights")

# %% [markdown]
# The same number of 3 × 3 convolutions one after the other, a fifth of the weights. **And the shortcut?** Stack pairs of convolutions ever
# deeper, with and without it, random weights, and look at the gradient that arrives at the input. This is measured before any
# training, so it is about whether training can begin at all.


# %%
class NoShortcut(Bottleneck):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(features))


def arriving(kind: type[Bottleneck], depth: int) -> float:
    """Norm of the gradient at the input of a stack, for an output gradient of norm 1."""
    torch.manual_seed(depth)
    stack = nn.Sequential(*(kind(32) for _ in range(depth))).train()
    start = torch.randn(4, 32, 12, 12, requires_grad=True)
    out = stack(start)
    direction = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, start, direction / direction.norm())
    return gradient.norm().item()


depth_range = [1, 2, 4, 8, 12, 16]
figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
for kind, label in ((Bottleneck, "with shortcut"), (NoShortcut, "without")):
    axes.plot(depth_range, [arriving(kind, depth) for depth in depth_range], "o-", label=label)
axes.set(yscale="log", xlabel="bottlenecks in the stack", ylabel="gradient at the input")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# With batch norm in every unit gradients do not vanish; without shortcuts they *explode* with depth (Yang et al.,
# [arXiv 1902.08129](https://arxiv.org/abs/1902.08129), found the same in theory). With shortcuts a stack of 16 is hardly different from one of 4.
#
# ## 5. SPPF: seeing far for nothing
#
# After the last stage a cell should also know its surroundings. Spatial pyramid pooling ([arXiv 1406.4729](https://arxiv.org/abs/1406.4729))
# takes maxima over windows of 5, 9 and 13 cells. The F is for fast: **a maximum of maxima is a maximum**, so three
# poolings of 5 in a row give exactly the windows of 5, 9 and 13.
#
# $$\max_{5}\circ\max_{5} = \max_{9}, \qquad \max_{5}\circ\max_{5}\circ\max_{5} = \max_{13}$$


# %%
def window(side: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(side, stride=1, padding=side // 2)


feature = outputs["mix_p5"]
five = window(5)(feature)
print("5 twice is 9       :", torch.equal(window(5)(five), window(9)(feature)))
print("5 three times is 13:", torch.equal(window(5)(window(5)(five)), window(13)(feature)))
print(f"comparisons a cell: {3 * 24} instead of {24 + 80 + 168}")

pool = network.backbone.pool_p5
with torch.no_grad():
    reduced = pool.reduce(feature)
channel = int(reduced[0].amax(dim=(1, 2)).argmax())
stages = [reduced]
for _ in range(3):
    stages.append(pool.pool(stages[-1]))
figure, axes = plt.subplots(1, 4, figsize=(10, 2), layout="constrained")
for axis, stage, title in zip(
    axes, stages, ("one channel", "max of 5", "max of 9", "max of 13"), strict=True
):
    axis.imshow(stage[0, channel], cmap="magma", vmin=0, vmax=float(reduced[0, channel].max()))
    axis.set(title=title, xticks=[], yticks=[])
    axis.grid(visible=False)
plt.show()
print(
    f"weights of SPPF: {sum(w.numel() for w in pool.parameters()):,}, all of them in its two 1×1 units"
)

# %% [markdown]
# ## 6. What the levels respond to
#
# The first principal direction of a map (Eigen-CAM, [arXiv 2008.00299](https://arxiv.org/abs/2008.00299)) says what a whole layer reacts to
# most: P3, P4, P5 from left to right.

# %%
from lucidbox.explain.drawing import overlay
from lucidbox.explain.eigencam import eigencam

shown = []
for level in (p3, p4, p5):
    heat = eigencam(level[0].numpy())
    heat = cv2.resize(heat / max(heat.max(), 1e-9), (416, 288), interpolation=cv2.INTER_LINEAR)
    shown.append(overlay(pixels, heat.astype(np.float32)))
show(np.hstack(shown))

# %% [markdown]
# P3 answers to edges, here of the scaffold; P4 to bodies and to where they stand. P5's first direction is broad, and lies on nobody: what a
# layer reacts to *most* need not be what a detection was made *of*. Notebook 5 asks about single detections, and tests the answers.
#
# ## 7. Five sizes, and the seed's network
#
# The sizes differ in two numbers alone, depth (links in a chain) and width (channels). The series' own from-scratch network
# has the same plan with plainer parts: `build("notebook")` makes it with the seed's tensor names, so its checkpoints load here.

# %%
print(f"{'network':<12}{'weights':>12}{'GFLOPs at 640':>16}")
for name in ("yolo11n", "yolo11s", "notebook"):
    made = build(name, 80)
    print(f"{name:<12}{parameters(made).published:>12,}{gflops(made):>16.1f}")

# %% [markdown]
# The seed's network is 35 times as large as YOLO11n, because its base of 64 channels is the width of the middle size. In its backbone C3k2
# always chains two plain bottlenecks (published: C3k from P4 on) and keeps half of the channels at every level (published: a quarter at P2
# and P3); its batch norms have torch's $\varepsilon$; its attention comes after the neck and is of another kind, which is the next notebook's matter.
#
# ## Exercises
#
# 1. Compute the possible receptive field after `mix_p3` by the formula, and compare with the measured one.
# 2. Replace the kernel of `SPPF`'s pooling by 3. Which windows do three poolings give then? Test with `torch.equal`.
# 3. In the gradient experiment, remove the batch norms (`unit.bn = nn.Identity()`). What holds the gradient up, the norm or the shortcut?
# 4. `seen_by` for a point on the wall: is the effective field as large as on the person?
# 5. Fold a convolution and its norm by hand with the two formulas of section 2, and compare with `lucidbox.model.fuse.fold`.
# 6. How many GFLOPs has `yolo11n` at 416, and why is it not $(416/640)$ of those at 640?
