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
# # 3 · Neck and head: from features to boxes
#
# *Third of five notebooks: data → backbone → **neck and head** → training → inference.*
#
# The backbone gives three maps: fine ones that know little, coarse ones that know much. The neck lets them talk; the head makes of
# each cell 80 class scores and one box. We test on the street picture what each of these is good for: by taking
# it away, by computing it by hand, or by looking at what it attends to.

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
from lucidbox.core.detections import Detections
from lucidbox.detect.letterbox import fit
from lucidbox.detect.nms import Limits, detect
from lucidbox.draw import draw, show
from lucidbox.images.reading import read_image
from lucidbox.model import Decoder, anchor_points
from lucidbox.model.decoding import expected_distances
from lucidbox.model.yolo11 import Pyramid, prior_logit
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
torch.set_grad_enabled(False)

network = weights.network(weights.read(bundled.SAFETENSORS)).eval()
names = weights.read(bundled.SAFETENSORS).names
image = read_image(EXAMPLES / "street.jpg")
pixels = fit(image.shape[:2], (416, 416)).apply(image)
height, width = pixels.shape[:2]
x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
levels = network.backbone(x)
for name, level in zip(("P3", "P4", "P5"), levels, strict=True):
    print(name, tuple(level.shape[1:]))

# %% [markdown]
# ## 1. FPN and PAN: down once, up once
#
# **FPN** (Lin et al., [arXiv 1612.03144](https://arxiv.org/abs/1612.03144)) sends meaning down: the coarse map is doubled by repeating cells and
# joined to the finer one. **PAN** (Liu et al., [arXiv 1803.01534](https://arxiv.org/abs/1803.01534)) sends place up again: a convolution of stride 2
# halves the fine map, which is joined to the coarser one.
#
# ```text
#  P5 ──────────────┬──────────────────── C3k2 ── out P5  (large objects)
#                   │ ×2                   ↑ stride 2
#  P4 ─────────── C3k2 ──┬─────────────── C3k2 ── out P4
#                        │ ×2              ↑ stride 2
#  P3 ───────────────── C3k2 ──────────────┴───── out P3  (small objects)
#         FPN: top down  →        PAN: bottom up →
# ```
#
# Written out, the neck is five lines. Computed by hand, from the network's own parts:

# %%
neck = network.neck
p3, p4, p5 = levels


def double(level: torch.Tensor) -> torch.Tensor:
    return level.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


down_p4 = neck.top_down_p4(torch.cat([double(p5), p4], dim=1))
out_p3 = neck.top_down_p3(torch.cat([double(down_p4), p3], dim=1))
out_p4 = neck.bottom_up_p4(torch.cat([neck.down_p4(out_p3), down_p4], dim=1))
out_p5 = neck.bottom_up_p5(torch.cat([neck.down_p5(out_p4), p5], dim=1))
for name, mine, own in zip(("P3", "P4", "P5"), (out_p3, out_p4, out_p5), neck(levels), strict=True):
    print(name, "by hand as by the neck:", torch.equal(mine, own))

# %% [markdown]
# **Is it needed?** The strictest test is to take something away. We replace one level of the backbone by its own mean (so that sizes and
# magnitudes stay, and only what it *says about places* is gone), and look at the three people's scores:

# %%
decoder = Decoder(network.strides, network.bins)


def answer(features: Pyramid) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of every anchor, from the backbone's levels on."""
    predicted = decoder(network.head(network.neck(features)), height, width)
    return predicted.boxes[0].numpy(), predicted.scores[0].numpy()


def found(features: Pyramid, conf: float = 0.25) -> Detections:
    boxes, scores = answer(features)
    kept_boxes, kept = detect(boxes, scores, Limits(conf=conf))
    return Detections(kept_boxes, kept.scores, kept.classes, names)


whole = found(levels)
whole


# %%
def without(number: int) -> Pyramid:
    """The levels with one of them replaced by its mean over all cells."""
    parts = list(levels)
    parts[number] = parts[number].mean(dim=(2, 3), keepdim=True).expand_as(parts[number])
    return Pyramid(*parts)


def best_near(features: Pyramid, box: np.ndarray) -> float:
    """The best person score among anchors whose box has an IoU of at least 0.5 with this one."""
    from lucidbox.core.boxes import pairwise_iou

    boxes, scores = answer(features)
    near = pairwise_iou(boxes, box[None])[:, 0] >= 0.5
    return float(scores[near, 0].max(initial=0))


print(" " * 18 + "".join(f"{f'person {number + 1}':>10}" for number in range(3)))
for label, features in (
    ("all levels", levels),
    *((f"without P{n + 3}", without(n)) for n in range(3)),
):
    print(f"{label:<18}" + "".join(f"{best_near(features, box):10.2f}" for box in whole.boxes[:3]))

# %% [markdown]
# P4 carries these people (130 to 150 pixels high), and without it they are nearly gone. P3 gives a part of their scores. P5, the
# level with the widest view, could as well be silent here: its objects are larger. So the levels do divide the work by size, and
# yet each hears the others. Try the same on other objects in the exercises.
#
# ## 2. C2PSA: every cell asks every other
#
# At the end of the backbone stands attention (Vaswani et al., [arXiv 1706.03762](https://arxiv.org/abs/1706.03762)): each cell asks a *query*,
# offers a *key*, and gives a *value*; what it gets is a mean of all values, weighted by how well keys fit its query:
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^{\top}}{\sqrt{d}}\right) V$$
#
# With 13 × 9 cells this is a table of 117 × 117, which is cheap. That is why it stands at the coarsest level: at P3 it would be 1,872 × 1,872.
# We compute it by hand, and by torch's own function:

# %%
attention = network.backbone.attend_p5.repeats[0].attention
caught = []
handle = attention.register_forward_hook(lambda _, inputs, out: caught.append((inputs[0], out)))
network.backbone(x)
handle.remove()
features, expected = caught[0]
_, channels, rows, columns = features.shape
packed = attention.query_key_value(features).reshape(1, attention.heads, -1, rows * columns)
query, key, value = packed.split([32, 32, 64], dim=2)
table = (query.transpose(2, 3) @ key / 32**0.5).softmax(dim=3)  # 1, heads, asking cell, asked cell
mixed = value @ table.transpose(2, 3)
position = attention.position(value.reshape(features.shape))
by_hand = attention.project(mixed.reshape(features.shape) + position)
torchs = nn.functional.scaled_dot_product_attention(
    *(part.transpose(2, 3) for part in (query, key, value))
)
print("by hand, largest difference to the block:", (by_hand - expected).abs().max().item())
print(
    "softmax part, to torch's own function   :", (torchs.transpose(2, 3) - mixed).abs().max().item()
)

# %% [markdown]
# **Whom does a cell look at?** Bright: what the marked cell attends to, mean of the heads.


# %%
def attended(cell: tuple[int, int]) -> np.ndarray:
    """The picture with the attention of one cell (column, row) over it, and the cell marked."""
    from lucidbox.explain.drawing import overlay

    weight = table[0, :, cell[1] * columns + cell[0]].mean(dim=0).reshape(rows, columns).numpy()
    heat = cv2.resize(weight / weight.max(), (width, height), interpolation=cv2.INTER_LINEAR)
    shown = overlay(pixels, heat.astype(np.float32))
    corner = cell[0] * 32, cell[1] * 32
    return cv2.rectangle(shown, corner, (corner[0] + 31, corner[1] + 31), (80, 220, 255), 2)


show(np.hstack([attended((7, 5)), attended((1, 5)), attended((9, 1))]))
entropy = -(table * table.clamp(min=1e-12).log()).sum(dim=3)
effective = entropy.exp().mean().item()
print(
    f"a cell spreads its attention over about {effective:.0f} of {rows * columns} cells (e to the entropy)"
)

# %% [markdown]
# The two cells on people look at people, most of all at the woman who walks; the cell on the wall looks nearly everywhere. On average attention is
# spread widely: it adds context rather than picking single places.
#
# **Attention alone knows no places.** Shuffle the cells, and its answers are shuffled the same way: it sees a bag of cells. What tells left
# from right is the 3 × 3 *position* convolution of the values, which replaces the position codes of language models. A test of both:

# %%
order = torch.randperm(rows * columns)


def shuffled(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2)[:, :, order].reshape(maps.shape)


def mix(maps: torch.Tensor, with_position: bool) -> torch.Tensor:
    packed = attention.query_key_value(maps).reshape(1, attention.heads, -1, rows * columns)
    query, key, value = packed.split([32, 32, 64], dim=2)
    weighted = value @ (query.transpose(2, 3) @ key / 32**0.5).softmax(dim=3).transpose(2, 3)
    out = weighted.reshape(maps.shape)
    return out + attention.position(value.reshape(maps.shape)) if with_position else out


for with_position in (False, True):
    first, last = mix(shuffled(features), with_position), shuffled(mix(features, with_position))
    apart = (first - last).abs().max()
    label = "with the position convolution" if with_position else "attention alone"
    print(f"{label:<30} shuffle first or last: {apart.item():.5f} apart")

# %% [markdown]
# The seed's block of the same name is another one: squeeze-and-excitation ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), which
# weighs *channels* by functions of their means over the whole picture. It can say "there is a person somewhere, listen to these
# channels", but cell A can learn nothing from cell B in particular. lucidbox has it in `model/notebook.py`, for the seed's checkpoints.
#
# ## 3. The head: two questions, two branches
#
# *What* and *where* want different features (Ge et al., YOLOX, [arXiv 2107.08430](https://arxiv.org/abs/2107.08430)), so each level has a branch for
# each. The class branch is mostly depthwise (a 3 × 3 for each channel, then a 1 × 1 across): cheap, for 80 yes-or-no questions.
# The box branch has full convolutions. No anchor boxes, no objectness: a cell's class score *is* its confidence.

# %%
for number, level in enumerate(("P3", "P4", "P5")):
    boxes, classes = network.head.box_branches[number], network.head.class_branches[number]
    count = [sum(weight.numel() for weight in branch.parameters()) for branch in (boxes, classes)]
    print(f"{level}: box branch {count[0]:>7,} weights, class branch {count[1]:>7,}")

# %% [markdown]
# **How should it begin?** With random weights sigmoids give 0.5 everywhere: thousands of false alarms, and a first gradient that says nothing
# but "no". So the class bias begins at the logit of how often an object is really there (focal loss, [arXiv 1708.02002](https://arxiv.org/abs/1708.02002),
# section 4.1): five objects at each level in 640 × 640 pixels, over all classes and cells.
#
# $$b = \log\frac{5}{C \cdot (640/s)^2}$$

# %%
for stride in (8, 16, 32):
    bias = prior_logit(80, stride)
    cells = (640 // stride) ** 2
    expected_objects = 80 * cells / (1 + np.exp(-bias))
    print(
        f"stride {stride:>2}: bias {bias:6.2f}, expected objects at this level {expected_objects:.3f}"
    )

# %% [markdown]
# ## 4. Anchor points
#
# Each cell predicts from its centre, $((i + \tfrac12)s, (j+\tfrac12)s)$: the three grids over the picture.

# %%
grids = [(height // stride, width // stride) for stride in network.strides]
anchors = anchor_points(grids, network.strides)
panels = []
for stride, colour in zip(
    network.strides, ((86, 180, 233), (230, 159, 0), (0, 158, 115)), strict=True
):
    panel = (pixels * 0.55).astype(np.uint8)
    for px, py in anchors.points[anchors.strides == stride].tolist():
        cv2.circle(panel, (int(px), int(py)), max(1, stride // 10), colour, -1)
    panels.append(panel)
show(np.hstack(panels))
print(" + ".join(f"{r} · {c}" for r, c in grids), "=", len(anchors.points), "anchors")

# %% [markdown]
# ## 5. DFL: a side is a distribution
#
# A cell does not say "my right side is 3.7 cells away". It says how probable 0, 1, 2, …, 15 cells are, and the distance is the
# **expectation** (Li et al., Generalized Focal Loss, [arXiv 2006.04388](https://arxiv.org/abs/2006.04388), equation 6):
#
# $$\hat d = \sum_{i=0}^{15} i \cdot \mathrm{softmax}(z)_i$$
#
# By hand, with three likely numbers, against `expected_distances`:

# %%
logits = np.zeros(16) - 20
logits[[3, 4, 5]] = np.log([0.2, 0.6, 0.2])  # the others have next to no probability
probability = np.exp(logits) / np.exp(logits).sum()
by_hand = sum(number * p for number, p in enumerate(probability))
four_sides = torch.from_numpy(np.tile(logits, 4)[None, :, None])
ours = expected_distances(four_sides, 16)[0, :, 0]
print("by hand:", by_hand.round(6), "  ours:", ours.numpy().round(6))

# %% [markdown]
# Now real ones: the anchors of the three people, all four sides. A sharp peak is a side that the network is sure of.

# %%
raw = network.head(network.neck(levels))
boxes, scores = answer(levels)
_, kept = detect(boxes, scores, Limits(conf=0.25))
figure, axes = plt.subplots(3, 4, figsize=(10, 4.6), sharex=True, layout="constrained")
for row, anchor in enumerate(kept.anchors[:3]):
    sides = raw.boxes[0, :, anchor].reshape(4, 16).softmax(dim=1).numpy()
    stride = anchors.strides[anchor].item()
    for column, side in enumerate(("left", "top", "right", "bottom")):
        mean = sides[column] @ np.arange(16)
        wide = np.sqrt(sides[column] @ (np.arange(16) - mean) ** 2)
        axes[row, column].bar(range(16), sides[column], color="#2f6fb3")
        axes[row, column].axvline(mean, color="#d9822b")
        axes[row, column].set_title(
            f"{side}: {mean * stride:.0f} ± {wide * stride:.0f} px", fontsize=8
        )
    axes[row, 0].set_ylabel(f"person {row + 1}\nstride {stride:.0f}", fontsize=8)
plt.show()

# %% [markdown]
# **Does the width mean anything?** If it does, sides with wide distributions should be further from the truth. Over all anchors of the
# four example pictures that see an annotated object (IoU at least 0.5, its class above 0.1):

# %%
from lucidbox.core.boxes import pairwise_iou
from lucidbox.datasets import read_dataset
from lucidbox.datasets.training import PictureSamples

data = read_dataset(EXAMPLES / "instances.json", images=EXAMPLES).parts[0]
samples = PictureSamples(data, 416)
widths, errors = [], []
for number in range(len(samples)):
    sample = samples[number]
    box = fit(sample.image.shape[:2], (416, 416))
    shape = box.shape
    seen = torch.from_numpy(box.apply(sample.image)).permute(2, 0, 1)[None] / 255
    out = network(seen)
    predicted = decoder(out, *shape)
    points = anchor_points([(shape[0] // s, shape[1] // s) for s in (8, 16, 32)], (8, 16, 32))
    truth = sample.boxes + np.float32([box.left, box.top] * 2)
    overlap = pairwise_iou(predicted.boxes[0].numpy(), truth)
    matched = overlap.argmax(axis=1)
    sure = predicted.scores[0].numpy()[np.arange(len(matched)), sample.classes[matched]] > 0.1
    chosen = np.flatnonzero((overlap.max(axis=1) >= 0.5) & sure)
    sides = out.boxes[0, :, chosen].T.reshape(-1, 4, 16).softmax(dim=2).numpy()
    mean = sides @ np.arange(16)
    wide = np.sqrt((sides * (np.arange(16) - mean[..., None]) ** 2).sum(axis=2))
    stride = points.strides.numpy()[chosen, None]
    centre = np.tile(points.points.numpy()[chosen], 2)
    true_distance = np.abs(truth[matched[chosen]] - centre)
    widths.append(wide * stride)
    errors.append(np.abs(mean * stride - true_distance))
widths, errors = np.concatenate(widths).ravel(), np.concatenate(errors).ravel()
thirds = np.quantile(widths, [0, 1 / 3, 2 / 3, 1])
print(f"{len(widths)} sides of {len(widths) // 4} anchors")
for low, high, name in zip(thirds, thirds[1:], ("sharp", "middling", "wide"), strict=False):
    inside = (widths >= low) & (widths <= high)
    print(
        f"{name:<9} {low:5.1f} to {high:5.1f} px wide: median error {np.median(errors[inside]):5.1f} px"
    )

# %% [markdown]
# It does. Nobody has taught the network its own uncertainty: it follows from learning a distribution. (The four pictures are few; it is a
# direction, not a measurement.)
#
# **The price: 15 cells and no further.** A side can be at most $15\,s$ pixels away. At stride 32 that is 480, so objects wider than 960 pixels
# of the network's input cannot be boxed from their middle. No problem at 640; remember it when you raise `--size`.
#
# **Decode one anchor by hand**, all the way, as the graph does it:

# %%
anchor = int(kept.anchors[0])
distances = expected_distances(raw.boxes, 16)[0, :, anchor] * anchors.strides[anchor]
centre = anchors.points[anchor]
left, top, right, bottom = distances
box = torch.stack(
    [centre[0] - left, centre[1] - top, centre[0] + right, centre[1] + bottom]
).numpy()
score = 1 / (1 + np.exp(-raw.classes[0, :, anchor].numpy()))
print(f"anchor {anchor} at {centre.tolist()}, stride {anchors.strides[anchor]:.0f}")
print("by hand:", box.round(3), names[score.argmax()], score.max().round(4))
decoded = boxes[anchor].round(3), names[scores[anchor].argmax()], scores[anchor].max().round(4)
print("Decoder:", *decoded)
show(draw(pixels, found(levels)))

# %% [markdown]
# ## What to take along
#
# - The neck is a conversation between levels; taking one out shows which objects live where.
# - Attention is a weighted mean with weights from the picture; places come from a convolution beside it.
# - The head begins where the truth begins: nearly nothing is an object.
# - A box side is an expectation, and its width is a free measure of doubt.
#
# ## Exercises
#
# 1. Repeat `without` for `kitchen.jpg` with conf 0.1. Which level do bowls and cups live on?
# 2. Replace only P5 by zeros instead of its mean. Why is that the worse experiment?
# 3. Two heads share the attention here. Show `table[0, 0]` and `table[0, 1]` for the same cell. Do they look at the same?
# 4. Find logits whose expectation is 7.5 but whose probability at 7 and 8 is nearly 0. What would such a side mean?
# 5. With how many bins could an object of 1,280 pixels be boxed at stride 32? What would it cost in weights?
# 6. Show that `softmax(z + c)` is `softmax(z)`. Which direction in the space of box logits can training therefore never learn?
